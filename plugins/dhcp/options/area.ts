/** Options on the wire: code, length, value; long ones split on writing and joined on reading (RFC 3396). Pure. */
import { BedplateError } from '../../../core/errors.ts'
import { option } from './codes.ts'

export type Options = ReadonlyMap<number, Buffer>

const truncated = (code: number) => new BedplateError('PACKET_INVALID', { protocol: 'DHCP', kind: 'option-truncated', reason: `option ${code} runs past the end of its field` })

/** Adds the options of one field to `into`; a code seen before is continued. An absent end option is tolerated. Throws PACKET_INVALID. */
export function readOptions (field: Buffer, into: Map<number, Buffer>): void {
  let at = 0
  while (at < field.length) {
    const code = field[at++] as number
    if (code === option.pad) continue
    if (code === option.end) return
    const length = field[at++]
    if (length === undefined || at + length > field.length) throw truncated(code)
    const value = field.subarray(at, at + length)
    const before = into.get(code)
    into.set(code, before === undefined ? value : Buffer.concat([before, value]))
    at += length
  }
}

/** The space one option takes on the wire, in bytes. */
export const sizeOf = ({ length }: Buffer): number => length <= 255 ? length + 2 : length + 2 * Math.ceil(length / 255)

/** Writes one option at `at` and returns the position behind it. The caller has made room. */
export function writeOption (into: Buffer, at: number, code: number, value: Buffer): number {
  const { length } = value
  if (length <= 255) { // nearly all of them
    into[at] = code
    into[at + 1] = length
    if (length <= 16) for (let index = 0; index < length; index++) into[at + 2 + index] = value[index] as number
    else into.set(value, at + 2)
    return at + 2 + length
  }
  for (let from = 0; from === 0 || from < value.length; from += 255) {
    const part = value.subarray(from, from + 255)
    into[at++] = code
    into[at++] = part.length
    part.copy(into, at)
    at += part.length
  }
  return at
}

/** One sub-option, as `readEncapsulated` finds it, with nothing made on the way: relays put them into every packet. */
export function subOption (value: Buffer, wanted: number): Buffer | undefined {
  let found: Buffer | undefined
  let at = 0
  while (at + 1 < value.length) {
    const code = value[at] as number
    if (code === option.pad) { at++; continue }
    if (code === option.end) break
    const end = at + 2 + (value[at + 1] as number)
    if (end > value.length) break
    if (code === wanted) found = value.subarray(at + 2, end)
    at = end
  }
  return found
}

/** Sub-options of an encapsulating option. Those behind a damaged one are lost, not refused: vendors are sloppy here. */
export function readEncapsulated (value: Buffer): Options {
  const found = new Map<number, Buffer>()
  let at = 0
  while (at + 1 < value.length) {
    const code = value[at] as number
    if (code === option.pad) { at++; continue }
    if (code === option.end) break
    const length = value[at + 1] as number
    if (at + 2 + length > value.length) break
    found.set(code, value.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  return found
}
