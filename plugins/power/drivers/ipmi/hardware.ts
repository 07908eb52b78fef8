/** What a BMC tells of its machine: who it is, its sensors, its log. */
import { readMachineFru, readSel, readSensorRecords } from '../../../../ipmi/client/ask.ts'
import { getDeviceId, getSystemGuid, guessGuidOrder, uuidOf, type GuidOrder } from '../../../../ipmi/commands/device.ts'
import { getSdrInfo, getSensorReading } from '../../../../ipmi/commands/sdr.ts'
import { isLacking } from '../../../../ipmi/completion.ts'
import { IpmiError } from '../../../../ipmi/error.ts'
import { describe, selTime } from '../../../../ipmi/sel-text.ts'
import { judge, valueOf, type SensorRecord } from '../../../../ipmi/sensor.ts'
import type { Identity, LogEntry, Sensor } from '../../driver.ts'
import type { Bmc } from './connection.ts'

const entries = 500
const bmcItself = 0x20 // other owners are behind it, and not asked
const kinds: Readonly<Record<number, Sensor['kind']>> = { 1: 'temperature', 2: 'voltage', 3: 'current', 4: 'fan' }

/** What a BMC may do without. */
const unless = <T, E>(work: Promise<T>, instead: E): Promise<T | E> => work.catch((error: unknown) => {
  if (error instanceof IpmiError && (isLacking(error) || error.kind === 'malformed')) return instead
  throw error
})

/** `given`: the order of the identifier's bytes, where somebody knows it. */
export async function identify ({ ask }: Bmc, given: GuidOrder | 'auto' = 'auto'): Promise<Identity> {
  const { firmware } = await ask(getDeviceId, undefined)
  const guid = await unless(ask(getSystemGuid, undefined), undefined)
  const guessed = guid === undefined ? undefined : guessGuidOrder(guid)
  const order = guessed === undefined || given === 'auto' ? guessed : given // none is guessed: there is no identifier
  const fru = await unless(readMachineFru(ask), undefined)
  return { uuid: guid === undefined || order === undefined ? null : uuidOf(guid, order), manufacturer: fru?.manufacturer ?? null, model: fru?.product ?? null, serial: fru?.serial ?? null, bmcVersion: firmware }
}

/** The sensor records, read anew only when the BMC says that they changed. */
async function recordsOf ({ ask, records }: Bmc): Promise<readonly SensorRecord[]> {
  const info = await ask(getSdrInfo, undefined)
  const stamp = `${info.records} ${info.added} ${info.erased}`
  const known = records.get()
  if (known?.stamp === stamp) return known.sensors
  const sensors = info.records === 0 ? [] : await readSensorRecords(ask)
  records.set({ stamp, sensors })
  return sensors
}

/** Those with a number; what only has states is in the log. */
export async function sensors (bmc: Bmc): Promise<Sensor[]> {
  const found: Sensor[] = []
  for (const record of await recordsOf(bmc)) {
    if (record.owner !== bmcItself || record.factors === undefined || record.factors.format === 'none') continue
    const reading = await unless(bmc.ask(getSensorReading, record.number, record.lun), undefined)
    const value = reading?.available === true && reading.scanning ? valueOf(record, reading.reading) : undefined
    found.push({ name: record.name, kind: record.unit === 'W' ? 'power' : kinds[record.type] ?? 'other', value: value ?? null, unit: record.unit, status: reading === undefined ? 'unknown' : judge(record, reading) })
  }
  return found
}

/** With the sensors' names, where the BMC tells them. */
export async function log (bmc: Bmc): Promise<LogEntry[]> {
  const names = new Map((await unless(recordsOf(bmc), [])).map(({ number, name }) => [number, name]))
  return (await readSel(bmc.ask, entries)).map(record => ({ id: String(record.id), at: selTime(record), ...describe(record, number => names.get(number)) }))
}
