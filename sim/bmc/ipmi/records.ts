/** Sensor data records (IPMI 2.0 sections 43.1 and 43.8) and FRU areas (Platform Management FRU Information Storage Definition), from what the BMC knows. Pure. */
import type { Hardware } from '../../machine/machine.ts'
import { readingOf, sensors, type Sensor } from '../hardware.ts'
import type { PowerState } from '../../machine/machine.ts'
import type { Profile } from '../profile.ts'

const bmcAddress = 0x20
const units: Readonly<Record<Sensor['unit'], number>> = { Cel: 1, V: 4, W: 6, RPM: 18 }
/** Sensor types of table 42-3; 0x0b: other units. */
const types: Readonly<Record<Sensor['kind'], number>> = { temperature: 0x01, voltage: 0x02, fan: 0x04, power: 0x0b }
/** Entities of table 43-13. */
const entities: Readonly<Record<Sensor['kind'], number>> = { temperature: 0x07, voltage: 0x0a, fan: 0x1d, power: 0x15 }
/** What one step of a reading is worth: fans turn faster than a byte can say. */
const step = ({ unit }: Sensor): number => unit === 'RPM' ? 40 : 1
export const rawOf = (sensor: Sensor, value: number): number => Math.max(0, Math.min(255, Math.round(value / step(sensor))))
const below = ({ kind }: Sensor): boolean => kind === 'fan'

/** Which thresholds there are, one bit each: lower non-critical, critical, non-recoverable, then upper. */
export const thresholdMask = (sensor: Sensor): number => (sensor.warning === undefined ? 0 : below(sensor) ? 0x01 : 0x08) | (sensor.critical === undefined ? 0 : below(sensor) ? 0x02 : 0x10)
/** Raw, in the order of the mask's bits. */
export function thresholds (sensor: Sensor): Buffer {
  const values = Buffer.alloc(6)
  const at = below(sensor) ? 0 : 3
  if (sensor.warning !== undefined) values[at] = rawOf(sensor, sensor.warning)
  if (sensor.critical !== undefined) values[at + 1] = rawOf(sensor, sensor.critical)
  return values
}
/** The thresholds that are crossed, as the mask's bits. */
export function crossed (sensor: Sensor, state: PowerState): number {
  const value = readingOf(sensor, state)
  if (value === null) return 0
  const beyond = (limit: number | undefined) => limit !== undefined && (below(sensor) ? value <= limit : value >= limit)
  return (beyond(sensor.warning) ? below(sensor) ? 0x01 : 0x08 : 0) | (beyond(sensor.critical) ? below(sensor) ? 0x02 : 0x10 : 0)
}

/** A string field: 8-bit ASCII, its length before it. One character alone would look like the end of an area (0xc1): it gets company. */
const text = (value: string): Buffer => { const bytes = Buffer.from(value.length === 1 ? `${value} ` : value, 'latin1').subarray(0, 31); return Buffer.concat([Buffer.of(0xc0 | bytes.length), bytes]) }

function record (id: number, type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(id & 255, id >> 8, 0x51, type, body.length), body])
}

function fullSensor (sensor: Sensor, id: number): Buffer {
  const body = Buffer.alloc(43)
  const mask = thresholdMask(sensor)
  const limits = thresholds(sensor)
  body.set([bmcAddress, 0, sensor.number, entities[sensor.kind], sensor.number, 0x6f, mask === 0 ? 0x43 : 0x47, types[sensor.kind], 0x01])
  body.writeUInt8(mask, 13) // readable thresholds
  body.set([0, units[sensor.unit], 0, 0, step(sensor), 0, 0, 0, 0, 0, 0x07, rawOf(sensor, sensor.on), 0xff, 0, 0xff, 0], 15)
  // thresholds from upper non-recoverable down to lower non-critical
  body.set([limits[5] ?? 0, limits[4] ?? 0, limits[3] ?? 0, limits[2] ?? 0, limits[1] ?? 0, limits[0] ?? 0, 1, 1], 31)
  return record(id, 0x01, Buffer.concat([body.subarray(0, 42), text(sensor.name)]))
}
/** Where the machine's FRU is: device 0 of the BMC. */
const fruLocator = (id: number): Buffer => record(id, 0x11, Buffer.concat([Buffer.of(bmcAddress, 0, 0x80, 0, 0, 0x10, 0, 0x07, 0x01, 0), text('Machine')]))

/** The repository: a record for each sensor, and where the FRU is. Ids from 1. */
export const repository: readonly Buffer[] = [...sensors.map((sensor, index) => fullSensor(sensor, index + 1)), fruLocator(sensors.length + 1)]

const checked = (bytes: Buffer): Buffer => { bytes[bytes.length - 1] = -bytes.subarray(0, -1).reduce((sum, byte) => sum + byte, 0) & 255; return bytes }
function area (head: readonly number[], fields: readonly string[]): Buffer {
  const content = Buffer.concat([Buffer.of(1, 0, ...head), ...fields.map(text), Buffer.of(0xc1)])
  const bytes = Buffer.concat([content, Buffer.alloc(8 - content.length % 8)]) // with at least one byte for the checksum
  bytes[1] = bytes.length / 8
  return checked(bytes)
}
const english = 25

/** Chassis, board and product of the machine. */
export function fruOf (hardware: Hardware, profile: Profile): Buffer {
  const rackMount = 0x17
  const vendor = hardware.manufacturer === 'Bedplate' ? profile.vendor : hardware.manufacturer
  const model = hardware.manufacturer === 'Bedplate' && hardware.model === 'Simulated' ? profile.model : hardware.model
  const areas = [
    area([rackMount], ['BP-1', hardware.serial]),
    area([english, 0, 0, 0], [vendor, `${model} board`, hardware.serial, 'BP-1', '']),
    area([english], [vendor, model, 'BP-1', '1.0', hardware.serial, '', ''])
  ]
  const offsets = areas.map((_, index) => 1 + areas.slice(0, index).reduce((sum, { length }) => sum + length / 8, 0))
  return Buffer.concat([checked(Buffer.of(1, 0, ...offsets, 0, 0, 0)), ...areas])
}
