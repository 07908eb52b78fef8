/** Domain names on the wire: RFC 1035 section 3.1 with its compression, as RFC 3397 has it for search lists. Pure. */
import type { OptionValue } from './written.ts'
import { invalid } from './written.ts'

const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i

/** The labels of a name, without a dot at its end. Throws OPTION_INVALID. */
export function labelsOf (name: OptionValue, option: string): string[] {
  const wrong = () => invalid(option, `${typeof name === 'string' ? `"${name}"` : JSON.stringify(name)} is not a domain name`)
  if (typeof name !== 'string' || name.length > 254) throw wrong()
  const labels = name.replace(/\.$/, '').split('.')
  if (!labels.every(part => label.test(part)) || labels.reduce((sum, part) => sum + part.length + 1, 1) > 255) throw wrong()
  return labels
}

/** Names one after the other; a suffix that stands there already is a pointer to it. Throws OPTION_INVALID. */
export function encodeNames (names: readonly OptionValue[], option: string): Buffer {
  const places = new Map<string, number>()
  const out: number[] = []
  for (const name of names) {
    const labels = labelsOf(name, option)
    let pointed = false
    for (let from = 0; from < labels.length; from++) {
      const suffix = labels.slice(from).join('.').toLowerCase()
      const place = places.get(suffix)
      if (place !== undefined) {
        out.push(0xc0 | (place >>> 8), place & 0xff)
        pointed = true
        break
      }
      if (out.length < 0x3fff) places.set(suffix, out.length)
      const text = labels[from] as string
      out.push(text.length, ...Buffer.from(text, 'latin1'))
    }
    if (!pointed) out.push(0)
  }
  return Buffer.from(out)
}

/** Reads them again. A pointer goes backwards only, so that none can go round. Throws OPTION_INVALID. */
export function decodeNames (data: Buffer, option: string): string[] {
  const names: string[] = []
  let at = 0
  while (at < data.length) {
    const labels: string[] = []
    let size = 1
    let reading = at
    let end: number | undefined // behind the name, once a pointer was followed
    let before = at // pointers lead to before here
    for (;;) {
      const length = data[reading]
      if (length === undefined) throw invalid(option, 'a name runs past the end')
      if (length === 0) { reading++; break }
      if (length >= 0xc0) {
        const low = data[reading + 1]
        if (low === undefined) throw invalid(option, 'a pointer runs past the end')
        const target = ((length & 0x3f) << 8) | low
        if (target >= before) throw invalid(option, 'a pointer does not lead back')
        end ??= reading + 2
        before = reading = target
        continue
      }
      if (length > 63) throw invalid(option, `a label of ${length} bytes`)
      if (reading + 1 + length > data.length) throw invalid(option, 'a label runs past the end')
      size += length + 1
      if (size > 255) throw invalid(option, 'a name is longer than 255 bytes')
      labels.push(data.toString('latin1', reading + 1, reading + 1 + length))
      reading += 1 + length
    }
    names.push(labels.join('.'))
    at = end ?? reading
  }
  if (names.length === 0) throw invalid(option, 'it holds no name')
  return names
}
