/** A machine's boots out of its history: which requests belong together, and what they cost. Pure. */

/** A boot request as the history has it. */
export interface Request { readonly at: string, readonly data: { readonly rack: string, readonly by: string, readonly what: string, readonly bytes: number, readonly milliseconds: number, readonly failure: string | null, readonly retries?: number } }
/** Requests of one boot, the oldest first. `from`, `to`: ISO 8601. */
export interface Boot { readonly from: string, readonly to: string, readonly requests: readonly Request[] }

const pause = 5 * 60_000 // ms: between two requests of one boot even a slow download is shorter, since it is a request of its own
/** What firmware asks for first: a boot loader, whatever it is called. */
const isLoader = ({ data: { by, what } }: Request): boolean => (by === 'tftp' || what.startsWith('/loaders/')) && /\.(?:0|efi|k?pxe|lkrn)(?:\.signed)?$/.test(what)

/** When a request began. */
export const begin = ({ at, data }: Request): number => Date.parse(at) - data.milliseconds

/** A boot begins with a boot loader after something else, or after a pause. Requests may come in any order: what a rack that was dead had kept comes late. */
export function boots (history: readonly Request[]): Boot[] {
  const requests = [...history].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  const found: Request[][] = []
  let before: Request | undefined
  for (const request of requests) {
    const last = found.at(-1)
    const anew = before === undefined || last === undefined || begin(request) - Date.parse(before.at) > pause || (isLoader(request) && !isLoader(before))
    if (anew) found.push([request])
    else last.push(request)
    before = request
  }
  return found.map(those => ({ from: new Date(Math.min(...those.map(begin))).toISOString(), to: those.reduce((to, { at }) => at > to ? at : to, ''), requests: those }))
}

/** What was asked for, without what a person does not read. */
export const shortName = (what: string): string => what.replace(/^\/files\/[0-9a-f]{64}\//, '').replace(/^iqn\.\S*:root\.[0-9a-f]{64}/, 'root.squashfs')
