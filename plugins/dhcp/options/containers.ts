/** Options that hold options: encapsulated ones (RFC 2132 section 8.4) and those of vendors by enterprise number (RFC 3925). Pure. */
import { bytesOf, isKind, kinds } from './kinds.ts'
import type { OptionValue } from './written.ts'
import { invalid } from './written.ts'

type Fields = Readonly<Record<string, OptionValue>>
const fieldsOf = (value: OptionValue): Fields | undefined => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Fields : undefined

function numberOf (key: string, option: string, high: number, what: string): number {
  const number = /^\d{1,10}$/.test(key) ? Number(key) : Number.NaN
  if (!(number <= high)) throw invalid(option, `"${key}" is not ${what}.`)
  return number
}

/** A sub-option's bytes: as such, or with the kind it is written in: `{ "type": "u8", "value": 8 }`. */
function subValue (value: OptionValue, option: string): Buffer {
  const fields = fieldsOf(value)
  if (fields === undefined) return bytesOf(value, option)
  const { type, value: inner } = fields
  if (typeof type !== 'string' || !isKind(type) || inner === undefined) throw invalid(option, `a sub-option is bytes, or has a type (${Object.keys(kinds).join(', ')}) and a value.`)
  return kinds[type].encode(inner, option)
}

/** `{ "1": …, "6": … }` as code, length, value each; or the bytes themselves. Throws OPTION_INVALID. */
export function encodeContainer (value: OptionValue, option: string): Buffer {
  const fields = fieldsOf(value)
  if (fields === undefined) return bytesOf(value, option)
  const parts: Buffer[] = []
  for (const [key, inner] of Object.entries(fields)) {
    const code = numberOf(key, option, 254, 'the number of a sub-option (1 to 254)')
    if (code === 0) throw invalid(option, 'sub-option 0 only pads.')
    const name = `${option}.${code}`
    const bytes = subValue(inner, name)
    if (bytes.length > 255) throw invalid(name, `${bytes.length} bytes, and a sub-option holds 255.`)
    parts.push(Buffer.of(code, bytes.length), bytes)
  }
  if (parts.length === 0) throw invalid(option, 'it needs at least one sub-option.')
  return Buffer.concat(parts)
}

/** The sub-options by number, in hexadecimal; what is not made of sub-options comes back as bytes, since vendors put anything here. */
export function decodeContainer (data: Buffer): OptionValue {
  const found: Record<string, OptionValue> = {}
  let at = 0
  while (at < data.length) {
    const code = data[at] as number
    if (code === 0) { at++; continue }
    if (code === 255) break
    const length = data[at + 1]
    if (length === undefined || at + 2 + length > data.length || Object.hasOwn(found, code)) return data.toString('hex')
    found[code] = data.toString('hex', at + 2, at + 2 + length)
    at += 2 + length
  }
  return Object.keys(found).length === 0 ? data.toString('hex') : found
}

/** Enterprise number, length, data; with `nested`, the data are sub-options. Throws OPTION_INVALID. */
export function encodeEnterprises (value: OptionValue, option: string, nested: boolean): Buffer {
  const fields = fieldsOf(value)
  if (fields === undefined) return bytesOf(value, option)
  const parts: Buffer[] = []
  for (const [key, inner] of Object.entries(fields)) {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(numberOf(key, option, 0xffffffff, 'an enterprise number'))
    const name = `${option}.${key}`
    const data = nested ? encodeContainer(inner, name) : bytesOf(inner, name)
    if (data.length > 255) throw invalid(name, `${data.length} bytes, and a vendor's part holds 255.`)
    head[4] = data.length
    parts.push(head, data)
  }
  if (parts.length === 0) throw invalid(option, 'it needs at least one enterprise number.')
  return Buffer.concat(parts)
}

/** Throws OPTION_INVALID for a part that runs past the end. */
export function decodeEnterprises (data: Buffer, option: string, nested: boolean): OptionValue {
  const found: Record<string, OptionValue> = {}
  let at = 0
  while (at < data.length) {
    const length = data[at + 4]
    if (length === undefined || at + 5 + length > data.length) throw invalid(option, 'a vendor\'s part runs past the end')
    const part = data.subarray(at + 5, at + 5 + length)
    found[data.readUInt32BE(at)] = nested ? decodeContainer(part) : part.toString('hex')
    at += 5 + length
  }
  return found
}
