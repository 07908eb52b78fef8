/** Commands about what is kept: the SEL, sensor records, the FRU; and the sensors' readings. */
import { completion } from '../../../ipmi/completion.ts'
import { getFruInfo, readFru } from '../../../ipmi/commands/fru.ts'
import { getSdr, getSdrInfo, getSensorReading, reserveSdr, wholeRecord } from '../../../ipmi/commands/sdr.ts'
import { encodeSelRecord, firstRecord, getSelInfo, lastRecord } from '../../../ipmi/commands/sel.ts'
import { netFn } from '../../../ipmi/message.ts'
import { logSize, readingOf, sensors, type LogRecord } from '../hardware.ts'
import { now } from '../model.ts'
import { answering, plain, refused, told, type Handler } from './command.ts'
import { crossed, fruOf, rawOf, repository, thresholdMask, thresholds } from './records.ts'

const bmcAddress = 0x20
const eventRevision = 0x04
const sensorSpecific = 0x6f
const most = 0x2e // bytes of a record or a FRU in one answer, as many BMCs have it
const reservation = 1 // nobody else ever reserves

const u32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes }
const selEntry = ({ id, at, type, offset, sensor }: LogRecord): Buffer => encodeSelRecord({ id, type: 0x02, at, event: { generator: bmcAddress, revision: eventRevision, sensorType: type, sensor, asserted: true, eventType: sensorSpecific, data: [offset, 0xff, 0xff] } })
const slice = (bytes: Buffer, offset: number, count: number): Buffer | undefined => offset > bytes.length ? undefined : bytes.subarray(offset, offset + count)

const sel: readonly Handler[] = [
  answering(getSelInfo, 'user', (_, { model: { systems: [{ log }] } }) => ({ version: 0x51, entries: log.records.length, free: (logSize - log.records.length) * 16, added: log.addedAt, erased: log.clearedAt, overflow: false })),
  plain('Reserve SEL', netFn.storage, 0x42, 'user', () => told(Buffer.of(reservation, 0))),
  plain('Get SEL Entry', netFn.storage, 0x43, 'user', (data, { model: { systems: [{ log }] } }) => {
    if (data.length < 6) return refused(completion.requestLength)
    const [record, offset, count] = [data.readUInt16LE(2), data[4] ?? 0, data[5] ?? 0]
    const { records } = log
    const at = record === firstRecord ? 0 : record === lastRecord ? records.length - 1 : records.findIndex(({ id }) => id === record)
    const found = records[at]
    if (found === undefined) return refused(completion.notPresent)
    const next = records[at + 1]?.id ?? lastRecord
    return told(Buffer.concat([Buffer.of(next & 255, next >> 8), selEntry(found).subarray(offset, count === 0xff ? 16 : offset + count)]))
  }),
  plain('Clear SEL', netFn.storage, 0x47, 'operator', (data, { model: { systems: [{ log }] } }) => {
    if (data.toString('latin1', 2, 5) !== 'CLR') return refused(completion.invalidField)
    if (data[5] === 0xaa) log.clear()
    return told(Buffer.of(0x01)) // erasing is over
  }),
  plain('Get SEL Time', netFn.storage, 0x48, 'user', () => told(u32(now()))),
  plain('Set SEL Time', netFn.storage, 0x49, 'operator', () => told(Buffer.alloc(0)))
]

const sdr: readonly Handler[] = [
  answering(getSdrInfo, 'user', (_, { model }) => ({ version: 0x51, records: repository.length, free: 0, added: model.started, erased: model.started, support: 0x02 })), // records may be reserved
  answering(reserveSdr, 'user', () => reservation),
  answering(getSdr, 'user', ({ record, offset, count }) => {
    const at = record === 0 ? 0 : record === 0xffff ? repository.length - 1 : record - 1
    const bytes = repository[at]
    if (bytes === undefined) return refused(completion.notPresent)
    if (count === wholeRecord ? bytes.length - offset > most : count > most) return refused(completion.tooManyBytes)
    const data = slice(bytes, offset, count)
    return data === undefined ? refused(completion.outOfRange) : { next: at + 1 === repository.length ? 0xffff : at + 2, data }
  })
]

const sensorNumbered = (number: number | undefined) => sensors.find(one => one.number === number)
const readings: readonly Handler[] = [
  plain('Get Sensor Thresholds', netFn.sensor, 0x27, 'user', data => {
    const sensor = sensorNumbered(data[0])
    return sensor === undefined ? refused(completion.notPresent) : told(Buffer.concat([Buffer.of(thresholdMask(sensor)), thresholds(sensor)]))
  }),
  plain('Get Sensor Hysteresis', netFn.sensor, 0x25, 'user', data => sensorNumbered(data[0]) === undefined ? refused(completion.notPresent) : told(Buffer.of(1, 1))),
  answering(getSensorReading, 'user', (number, { model: { systems: [{ machine }] } }) => {
    const sensor = sensorNumbered(number)
    if (sensor === undefined) return refused(completion.notPresent)
    const value = readingOf(sensor, machine.state())
    return { reading: value === null ? 0 : rawOf(sensor, value), available: value !== null, scanning: true, states: 0xc0 | crossed(sensor, machine.state()) }
  })
]

const fru: readonly Handler[] = [
  answering(getFruInfo, 'user', (device, { model: { systems: [{ machine }], profile } }) => device === 0 ? { size: fruOf(machine.hardware, profile).length, words: false } : refused(completion.notPresent)),
  answering(readFru, 'user', ({ device, offset, count }, { model: { systems: [{ machine }], profile } }) => {
    if (device !== 0) return refused(completion.notPresent)
    if (count > most) return refused(completion.tooManyBytes)
    const data = slice(fruOf(machine.hardware, profile), offset, count)
    return data === undefined ? refused(completion.outOfRange) : { count: data.length, data }
  })
]

export const storageCommands: readonly Handler[] = [...sel, ...sdr, ...readings, ...fru]
