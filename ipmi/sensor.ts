/** Sensor data records, full (type 1) and compact (type 2), and what a raw reading is worth: IPMI 2.0 sections 36.3, 43.1, 43.2 and 43.15. Pure. */
import { Reader } from './bytes.ts'
import type { SensorReading } from './commands/sdr.ts'
import { units } from './sensor-types.ts'

/** How a raw byte becomes a value: `(m·x + b·10^bExponent)·10^exponent`, then the linearisation. */
export interface Factors { readonly format: 'unsigned' | 'ones' | 'twos' | 'none', readonly linearisation: number, readonly m: number, readonly b: number, readonly bExponent: number, readonly exponent: number }
/** `id`: of the record. `threshold`: the states of its readings are thresholds. `entity`: what it measures, table 43-13. */
export interface SensorRecord { readonly id: number, readonly owner: number, readonly lun: number, readonly number: number, readonly entity: number, readonly type: number, readonly threshold: boolean, readonly unit: string, readonly factors: Factors | undefined, readonly name: string }

const signed = (value: number, bits: number): number => value << 32 - bits >> 32 - bits
const formats = ['unsigned', 'ones', 'twos', 'none'] as const

/** Undefined for records of another type. IpmiError `malformed`. */
export function decodeSensorRecord (bytes: Buffer): SensorRecord | undefined {
  const from = new Reader(bytes, 'a sensor record')
  const id = from.u16()
  from.u8()
  const kind = from.u8()
  if (kind !== 1 && kind !== 2) return undefined
  from.u8()
  const [owner, lun, number, entity] = [from.u8(), from.u8() & 0x03, from.u8(), from.u8()]
  from.take(3)
  const [type, eventType] = [from.u8(), from.u8()]
  from.take(6)
  const [unitBits, base, modifier] = [from.u8(), from.u8(), from.u8()]
  const factors = kind === 1 ? factorsOf(from, formats[unitBits >> 6] ?? 'none') : undefined
  from.take(kind === 1 ? 17 : 8) // limits, thresholds, hysteresis
  return { id, owner, lun, number, entity, type, threshold: eventType === 0x01, unit: unitOf(unitBits, base, modifier), factors, name: nameOf(from) }
}

function factorsOf (from: Reader, format: Factors['format']): Factors {
  const [linearisation, m, m2, b, b2] = [from.u8() & 0x7f, from.u8(), from.u8(), from.u8(), from.u8()]
  from.u8() // accuracy
  const exponents = from.u8()
  return { format, linearisation, m: signed((m2 & 0xc0) << 2 | m, 10), b: signed((b2 & 0xc0) << 2 | b, 10), exponent: signed(exponents >> 4, 4), bExponent: signed(exponents & 0x0f, 4) }
}

function unitOf (bits: number, base: number, modifier: number): string {
  if ((bits & 1) !== 0) return '%'
  const [first = '', second = ''] = [units[base], units[modifier]]
  const relation = bits >> 1 & 0x03
  const unit = relation === 1 ? `${first}/${second}` : relation === 2 ? `${first}·${second}` : first
  return `${unit}${['', '/µs', '/ms', '/s', '/min', '/h', '/d', ''][bits >> 3 & 0x07] ?? ''}`
}

const bcd = '0123456789 -.:,_'
/** A field after its byte of type and length: section 43.15; FRU fields have the same types. */
export function decodeText (kind: number, bytes: Buffer): string {
  if (kind === 1) return [...bytes].map(byte => `${bcd[byte >> 4] ?? ''}${bcd[byte & 0x0f] ?? ''}`).join('').trimEnd()
  if (kind === 3 || kind === 0) return bytes.toString('latin1').replace(/\0.*$/s, '').trim()
  let text = ''
  for (let bit = 0; bit + 6 <= bytes.length * 8; bit += 6) text += String.fromCharCode(0x20 + (((bytes[bit >> 3] ?? 0) | (bytes[(bit >> 3) + 1] ?? 0) << 8) >> (bit & 7) & 0x3f))
  return text.trimEnd()
}
function nameOf (from: Reader): string {
  const head = from.u8()
  return decodeText(head >> 6, from.take(Math.min(head & 0x1f, from.left)))
}

/** Table 43-1, byte 24. Those above 11 differ from reading to reading. */
const linear: readonly ((value: number) => number)[] = [value => value, Math.log, Math.log10, Math.log2, Math.exp, value => 10 ** value, value => 2 ** value, value => 1 / value, value => value ** 2, value => value ** 3, Math.sqrt, Math.cbrt]

/** Undefined where the sensor has no number, or it would take a command of its own for each reading (non-linear sensors). */
export function valueOf ({ factors }: SensorRecord, raw: number): number | undefined {
  if (factors === undefined || factors.format === 'none') return undefined
  const x = factors.format === 'unsigned' ? raw : factors.format === 'twos' ? signed(raw, 8) : raw & 0x80 ? -(~raw & 0xff) : raw
  const value = linear[factors.linearisation]?.((factors.m * x + factors.b * 10 ** factors.bExponent) * 10 ** factors.exponent)
  return value === undefined || !Number.isFinite(value) ? undefined : Number(value.toPrecision(6))
}

/** What the thresholds say; `unknown` where there is no reading. Sensors of states have no verdict of their own. */
export function judge ({ threshold }: SensorRecord, { available, scanning, states }: SensorReading): 'ok' | 'warning' | 'critical' | 'unknown' {
  if (!available || !scanning) return 'unknown'
  if (!threshold) return 'ok'
  return (states & 0b110110) !== 0 ? 'critical' : (states & 0b001001) !== 0 ? 'warning' : 'ok'
}
