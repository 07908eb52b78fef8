/** Which answer a conditional request for a file gets (RFC 9110 section 13). Files here have an entity tag and no date of change, so conditions that name dates are not looked at (13.1.3, 13.1.4). Pure. */
import { parseRange } from './range.ts'
import type { Part } from './range.ts'

export interface Asked {
  readonly method: string
  /** As Node joins them: several fields of one name with ", ". */
  readonly headers: { readonly 'if-match'?: string | undefined, readonly 'if-none-match'?: string | undefined, readonly 'if-range'?: string | undefined, readonly range?: string | undefined }
}
export type Verdict = { readonly status: 200 | 304 | 412 | 416 } | { readonly status: 206, readonly from: number, readonly to: number }

/** Entity tags in a list, quoted, weak ones with their W/; a `*` by itself. */
const tagsOf = (list: string): string[] => list.trim() === '*' ? ['*'] : [...list.matchAll(/(?:^|[\s,])((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")/g)].map(([, tag = '']) => tag)

/** The answer for a content of `size` bytes with this strong entity tag (quoted), in the order of section 13.2.2. */
export function verdictOf ({ method, headers }: Asked, etag: string, size: number): Verdict {
  const { 'if-match': match, 'if-none-match': noneMatch, 'if-range': ifRange, range } = headers
  // If-Match compares strongly: a weak tag never matches. If-None-Match compares weakly.
  if (match !== undefined && !tagsOf(match).some(tag => tag === '*' || tag === etag)) return { status: 412 }
  if (noneMatch !== undefined && tagsOf(noneMatch).some(tag => tag === '*' || tag.replace(/^W\//, '') === etag)) return { status: 304 }
  // Ranges are defined for GET alone (14.2). An If-Range with a date, a weak tag or another one asks for the whole.
  const part: Part = method === 'GET' && (ifRange === undefined || ifRange.trim() === etag) ? parseRange(range, size) : 'whole'
  return part === 'whole' ? { status: 200 } : part === 'unsatisfiable' ? { status: 416 } : { status: 206, ...part }
}
