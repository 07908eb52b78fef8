/** What a BMC knows of its machine beside the power: sensors, firmware, records of its log. The same for Redfish and IPMI. */
import type { PowerState } from '../machine/machine.ts'

export type Unit = 'Cel' | 'RPM' | 'V' | 'W'
/** Limits are the unit's, too; `off` is its reading while the machine has no power, null: none. */
export interface Sensor {
  readonly number: number // of IPMI
  readonly name: string, readonly kind: 'temperature' | 'fan' | 'voltage' | 'power', readonly unit: Unit
  readonly on: number, readonly off: number | null
  readonly warning?: number, readonly critical?: number // above, but for fans: below
}
export const sensors: readonly Sensor[] = [
  { number: 1, name: 'Inlet Temp', kind: 'temperature', unit: 'Cel', on: 23, off: 21, warning: 38, critical: 42 },
  { number: 2, name: 'CPU1 Temp', kind: 'temperature', unit: 'Cel', on: 48, off: null, warning: 85, critical: 95 },
  { number: 3, name: 'Fan1', kind: 'fan', unit: 'RPM', on: 5400, off: null, warning: 800, critical: 480 },
  { number: 4, name: 'Fan2', kind: 'fan', unit: 'RPM', on: 5600, off: null, warning: 800, critical: 480 },
  { number: 5, name: 'PSU1 Voltage', kind: 'voltage', unit: 'V', on: 230, off: 230 },
  { number: 6, name: 'Power Meter', kind: 'power', unit: 'W', on: 184, off: 8 }
]
export const readingOf = (sensor: Sensor, state: PowerState): number | null => state === 'on' ? sensor.on : sensor.off

export interface LogRecord {
  readonly id: number
  readonly at: number // s since 1970
  readonly severity: 'OK' | 'Warning' | 'Critical'
  readonly message: string
  /** IPMI 2.0, table 42-3: sensor type, and offset of the event; `sensor` its number. */
  readonly type: number, readonly offset: number, readonly sensor: number
}
const kinds = {
  cleared: { severity: 'OK', message: 'The log was cleared.', type: 0x10, offset: 2, sensor: 0x10 },
  'input lost': { severity: 'Critical', message: 'Power supply 1 has lost its input.', type: 0x08, offset: 3, sensor: 0x11 },
  'power off': { severity: 'OK', message: 'The machine was powered off.', type: 0x09, offset: 0, sensor: 0x12 },
  'power on': { severity: 'OK', message: 'The machine was started by a power-up.', type: 0x1d, offset: 0, sensor: 0x13 },
  reset: { severity: 'OK', message: 'The machine was started by a hard reset.', type: 0x1d, offset: 1, sensor: 0x13 }
} as const satisfies Record<string, Omit<LogRecord, 'id' | 'at'>>
export type RecordKind = keyof typeof kinds

/** The log: the oldest record goes when it is full. */
export interface EventLog {
  readonly records: readonly LogRecord[]
  add(kind: RecordKind): void
  clear(): void
  /** s since 1970, of the last change of each kind. */
  readonly addedAt: number
  readonly clearedAt: number
}
export const logSize = 512

export function createLog (now: () => number): EventLog {
  let records: LogRecord[] = []
  let id = 0
  const log = {
    get records () { return records }, addedAt: 0, clearedAt: 0,
    add (kind: RecordKind) {
      log.addedAt = now()
      records.push({ ...kinds[kind], id: id = id % 0xfffe + 1, at: log.addedAt })
      if (records.length > logSize) records.shift()
    },
    clear () { records = []; log.clearedAt = now(); log.add('cleared') }
  }
  log.clear()
  log.add('input lost')
  return log
}
