/** HTTP byte ranges (RFC 9110 section 14), single ones only. Pure. */

export type Part = { readonly from: number, readonly to: number } | 'whole' | 'unsatisfiable'

/**
 * What a Range header asks of a content of `size` bytes; `from` and `to` inclusive. Several ranges, other units and what
 * cannot be read are ignored, as RFC 9110 allows: the answer is then the whole.
 */
export function parseRange (header: string | undefined, size: number): Part {
  const match = header === undefined ? null : /^bytes=[ \t]*(\d{0,32})-(\d{0,32})[ \t]*$/i.exec(header)
  if (match === null) return 'whole'
  const [, first = '', second = ''] = match
  if (first === '' && second === '') return 'whole'
  if (first === '') { // the last so many bytes
    const count = Math.min(Number(second), size)
    if (Number(second) > 0 && size === 0) return 'whole' // satisfiable, yet no Content-Range can say so (14.4)
    return count === 0 ? 'unsatisfiable' : { from: size - count, to: size - 1 }
  }
  const [from, last] = [Number(first), second === '' ? Number.POSITIVE_INFINITY : Number(second)]
  if (last < from) return 'whole' // not a range at all
  return from >= size ? 'unsatisfiable' : { from, to: Math.min(last, size - 1) }
}
