/** Whatever was written is read as it was; whatever was not is nothing, or an IpmiError. */
import fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { suites } from '../../ipmi/ciphers.ts'
import { createWindow } from '../../ipmi/client/session.ts'
import { encodeBootFlags, decodeBootFlags, getBootOption, setBootOption } from '../../ipmi/commands/boot.ts'
import { chassisControl, getChassisStatus } from '../../ipmi/commands/chassis.ts'
import { answerOf, type Command } from '../../ipmi/commands/command.ts'
import { getDeviceId, getSystemGuid, guessGuidOrder, guidOf, guidOrders, uuidOf } from '../../ipmi/commands/device.ts'
import { getFruInfo, readFru } from '../../ipmi/commands/fru.ts'
import { getLanConfiguration, ipText, macText } from '../../ipmi/commands/lan.ts'
import { getSdr, getSdrInfo, getSensorReading, reserveSdr } from '../../ipmi/commands/sdr.ts'
import { decodeSelRecord, encodeSelRecord, getSelEntry, getSelInfo } from '../../ipmi/commands/sel.ts'
import { activateSession, closeSession, getAuthCapabilities, getCipherSuites, getSessionChallenge, setPrivilege, suiteNumbers, suiteRecord } from '../../ipmi/commands/session.ts'
import { IpmiError } from '../../ipmi/error.ts'
import { areaLength, decodeBoard, decodeProduct, fruAreas } from '../../ipmi/fru.ts'
import { authType, decode15, encode15, verify15 } from '../../ipmi/lan15.ts'
import { createProtection, decodePlus } from '../../ipmi/lanplus.ts'
import { decodeMessage, encodeMessage, isAnswerTo, request, response } from '../../ipmi/message.ts'
import { decodeOpenRequest, decodeOpenResponse, decodeRakp1, decodeRakp2, decodeRakp3, decodeRakp4 } from '../../ipmi/rakp.ts'
import { classOf, decodeAsf } from '../../ipmi/rmcp.ts'
import { describe as sentence, selTime } from '../../ipmi/sel-text.ts'
import { decodeSensorRecord, decodeText, judge, valueOf, type SensorRecord } from '../../ipmi/sensor.ts'

const blob = (maxLength = 64) => fc.uint8Array({ maxLength }).map(array => Buffer.from(array))
const byte = fc.integer({ min: 0, max: 255 })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
/** How a command's requests and its responses are read. */
const both = <Q, A>(command: Command<Q, A>): ((bytes: Buffer) => unknown)[] => [bytes => command.request.decode(bytes), bytes => answerOf(command, bytes)]
const commands = [
  both(setBootOption), both(getBootOption), both(chassisControl), both(getChassisStatus), both(getDeviceId), both(getSystemGuid), both(getFruInfo), both(readFru), both(getLanConfiguration), both(getSdr), both(getSdrInfo), both(getSensorReading), both(reserveSdr), both(getSelEntry), both(getSelInfo), both(activateSession), both(closeSession), both(getAuthCapabilities), both(getCipherSuites), both(getSessionChallenge), both(setPrivilege)
].flat()

describe('what was written is read as it was', () => {
  test('messages', () => {
    fc.assert(fc.property(byte, byte, fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 3 }), byte, blob(), (to, from, netFn, seq, lun, command, data) => {
      const message = { to, toLun: lun, netFn, from, fromLun: 3 - lun, seq, command, data }
      expect(decodeMessage(encodeMessage(message))).toEqual(message)
    }))
  })
  test('a response answers its request and no other', () => {
    const asked = request(0x06, 0x01, Buffer.alloc(0), 5)
    expect(isAnswerTo(asked, response(asked, 0, Buffer.of(1)))).toBe(true)
    for (const other of [request(0x06, 0x01, Buffer.alloc(0), 6), request(0x06, 0x02, Buffer.alloc(0), 5), request(0x04, 0x01, Buffer.alloc(0), 5)]) expect(isAnswerTo(asked, response(other, 0, Buffer.of(1)))).toBe(false)
  })
  test('packets of IPMI 1.5, which know a wrong password', () => {
    fc.assert(fc.property(fc.constantFrom(authType.none, authType.md5, authType.password), u32, u32, blob(200), fc.string({ maxLength: 16, unit: 'binary-ascii' }), (type, sequence, sessionId, message, password) => {
      const packet = decode15(encode15({ authType: type, sequence, sessionId, message }, password))
      expect(packet).toMatchObject({ authType: type, sequence, sessionId, message })
      expect(packet !== undefined && verify15(packet, password)).toBe(true)
      if (type !== authType.none) expect(packet !== undefined && verify15(packet, `x${password}`.slice(0, 16).padEnd(3, 'y'))).toBe(false)
    }))
  })
  test('packets of 2.0, with every suite', () => {
    fc.assert(fc.property(fc.constantFrom(...suites), u32, u32, blob(300), (suite, sessionId, sequence, payload) => {
      const protection = createProtection(suite, randomBytes(20), randomBytes(20), randomBytes)
      const datagram = protection.seal(0, sessionId, sequence, payload)
      const packet = decodePlus(datagram)
      expect(packet).toMatchObject({ payloadType: 0, sessionId, sequence })
      expect(packet && protection.open(datagram, packet)).toEqual(payload)
      if (suite.confidentiality.aes && payload.length > 3) expect(datagram.includes(payload)).toBe(false)
    }))
  })
  test('records of the log', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff }), u32, byte, byte, byte, fc.boolean(), fc.integer({ min: 0, max: 127 }), (id, at, sensorType, sensor, data, asserted, eventType) => {
      const record = { id, type: 2, at, event: { generator: 0x20, revision: 4, sensorType, sensor, asserted, eventType, data: [data, 255, 0] as const } }
      expect(decodeSelRecord(encodeSelRecord(record))).toEqual(record)
      expect(sentence(record).message).toMatch(/\S/)
    }))
  })
  test('identifiers, in the order they are in', () => {
    fc.assert(fc.property(fc.uuid({ version: [1, 4] }), fc.constantFrom(...guidOrders), (uuid, order) => {
      expect(uuidOf(guidOf(uuid, order), order)).toBe(uuid)
      expect(guessGuidOrder(guidOf(uuid, 'smbios'))).toBe('smbios')
    }))
    expect(guessGuidOrder(Buffer.alloc(16))).toBeUndefined()
    expect(guessGuidOrder(Buffer.alloc(16, 0xff))).toBeUndefined()
  })
  test('boot flags, and lists of suites', () => {
    fc.assert(fc.property(fc.boolean(), fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 15 }), (valid, persistent, efi, device) => { expect(decodeBootFlags(encodeBootFlags({ valid, persistent, efi, device }))).toEqual({ valid, persistent, efi, device }) }))
    expect(suiteNumbers(Buffer.concat(suites.map(({ id, authentication, integrity, confidentiality }) => suiteRecord(id, authentication.number, integrity.number, confidentiality.number))))).toEqual(suites.map(({ id }) => id))
  })
})

test('whatever comes, a decoder gives nothing or an IpmiError', () => {
  const readers: readonly ((bytes: Buffer) => unknown)[] = [
    classOf, decodeAsf, decode15, decodePlus, decodeMessage, decodeOpenRequest, decodeOpenResponse, decodeRakp1, decodeRakp2, decodeRakp3, decodeRakp4, decodeSelRecord, decodeSensorRecord, decodeProduct, decodeBoard, fruAreas, areaLength, suiteNumbers, ipText, macText, decodeBootFlags,
    ...commands
  ]
  const hostile = fc.oneof(blob(120), blob(120).map(bytes => Buffer.concat([Buffer.of(6, 0, 255, 7, 6), bytes])), blob(60).map(bytes => Buffer.concat([Buffer.of(0), bytes])), blob(60).map(bytes => Buffer.concat([Buffer.of(1, 0, 0x51, 1, 60), bytes])))
  fc.assert(fc.property(hostile, bytes => {
    for (const read of readers) try { read(bytes) } catch (error) { if (!(error instanceof IpmiError)) throw error }
  }), { numRuns: 1_000 })
})

describe('what readings are worth', () => {
  const record = (factors: Partial<NonNullable<SensorRecord['factors']>>): SensorRecord => ({ id: 1, owner: 0x20, lun: 0, number: 1, entity: 7, type: 1, threshold: true, unit: '°C', name: 'x', factors: { format: 'unsigned', linearisation: 0, m: 1, b: 0, bExponent: 0, exponent: 0, ...factors } })
  test.each([
    { raw: 0x60, factors: { m: 2, b: -50 }, value: 142 },
    { raw: 0xff, factors: { format: 'twos' }, value: -1 },
    { raw: 0xfe, factors: { format: 'ones' }, value: -1 },
    { raw: 120, factors: { m: 1, exponent: -1 }, value: 12 },
    { raw: 10, factors: { m: 5, b: 2, bExponent: 1, exponent: -2 }, value: 0.7 },
    { raw: 50, factors: { linearisation: 7 }, value: 0.02 },
    { raw: 3, factors: { linearisation: 8 }, value: 9 },
    { raw: 3, factors: { linearisation: 0x70 }, value: undefined },
    { raw: 0, factors: { linearisation: 7 }, value: undefined }
  ] as const)('raw $raw with $factors is $value', ({ raw, factors, value }) => { expect(valueOf(record(factors), raw)).toBe(value) })
  test.each([[0x00, 'ok'], [0x08, 'warning'], [0x18, 'critical'], [0x01, 'warning'], [0x02, 'critical'], [0x20, 'critical']] as const)('thresholds %i: %s', (states, status) => { expect(judge(record({}), { reading: 1, available: true, scanning: true, states })).toBe(status) })
  test('no reading, no verdict', () => { expect(judge(record({}), { reading: 0, available: false, scanning: true, states: 0 })).toBe('unknown') })
  test.each([[1, '1234a0', '1234 0'], [2, '29dc a6'.replace(' ', ''), 'IPMI'], [3, '4142', 'AB']])('text of kind %i', (kind, hex, text) => { expect(decodeText(kind, Buffer.from(hex, 'hex'))).toBe(text) })
})

describe('the log in words', () => {
  const event = (sensorType: number, eventType: number, offset: number, asserted = true) => ({ id: 1, type: 2, at: 1_700_000_000, event: { generator: 0x20, revision: 4, sensorType, sensor: 7, asserted, eventType, data: [offset, 0xff, 0xff] as const } })
  test.each([
    { record: event(0x0c, 0x6f, 1), severity: 'critical', message: 'memory 0x07: uncorrectable error' },
    { record: event(0x0c, 0x6f, 0), severity: 'warning', message: 'memory 0x07: correctable error' },
    { record: event(0x01, 0x01, 9), severity: 'critical', message: 'temperature 0x07: is above its upper critical threshold' },
    { record: event(0x01, 0x01, 9, false), severity: 'info', message: 'temperature 0x07: is above its upper critical threshold, no more' },
    { record: event(0x10, 0x6f, 2), severity: 'info', message: 'event log 0x07: log cleared' },
    { record: event(0xe0, 0x7e, 3), severity: 'info', message: 'sensor type 0xe0 0x07: event 0x7e offset 3, data 03ffff' }
  ])('$message', ({ record, severity, message }) => { expect(sentence(record)).toEqual({ severity, message }) })
  test('times, where the BMC had a clock', () => {
    expect(selTime(event(1, 1, 1))).toBe('2023-11-14T22:13:20.000Z')
    for (const at of [undefined, 0, 0x1fffffff, 0xffffffff]) expect(selTime({ id: 1, type: 2, at })).toBeNull()
  })
})

test('a sequence number is taken once, in order or a little out of it, and none from far away', () => {
  const fresh = createWindow(16)
  expect([1, 2, 2, 5, 3, 3, 4, 1, 0].map(fresh)).toEqual([true, true, false, true, true, false, true, false, false])
  expect([22, 21, 6, 21, 5].map(fresh)).toEqual([false, true, true, false, false])
  const late = createWindow(16)
  expect([0xffffffff, 1, 0xfffffffe, 0xffffffff].map(late)).toEqual([true, true, true, false])
})
