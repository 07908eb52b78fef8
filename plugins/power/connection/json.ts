/** JSON from a BMC, read with suspicion: what has the wrong type is not there. Pure. */

export type Json = Readonly<Record<string, unknown>>
export const object = (value: unknown): Json => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Json : {}
export const list = (value: unknown): readonly unknown[] => Array.isArray(value) ? value : []
export const text = (value: unknown): string | undefined => typeof value === 'string' && value.trim() !== '' ? value : undefined
export const texts = (value: unknown): readonly string[] => list(value).filter(one => typeof one === 'string')
/** A number, also one that stands in a string, as some BMCs write them. */
export const number = (value: unknown): number | undefined => {
  const read = typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value
  return typeof read === 'number' && Number.isFinite(read) ? read : undefined
}
/** What is under these keys, one inside the other. */
export const within = (value: unknown, ...keys: readonly string[]): unknown => keys.reduce<unknown>((inner, key) => object(inner)[key], value)

/** A path on the service itself. DSP0266 has `@odata.id` begin with a slash; what leads to another host, or might, is no link. */
const path = (value: unknown): string | undefined => {
  const found = text(value)
  return found !== undefined && found.length <= 2_000 && /^\/(?![/\\])[^\\\s]*$/.test(found) ? found.replace(/#.*$/s, '') : undefined
}
/** The link in `{ "@odata.id": "/…" }`. */
export const link = (value: unknown): string | undefined => path(object(value)['@odata.id'])
export const links = (value: unknown): readonly string[] => list(value).flatMap(one => link(one) ?? [])
/** `Members@odata.nextLink`. Some BMCs write it as an object. */
export const nextLink = (body: Json): string | undefined => path(body['Members@odata.nextLink']) ?? link(body['Members@odata.nextLink'])

/** The path of a `target` or Location, which may be a whole URL: whatever host it names, it is asked for on the BMC itself, which is the only one that is told the token. */
export function pathOf (reference: unknown): string | undefined {
  const found = text(reference)
  if (found === undefined || found.length > 2_000) return undefined
  if (!/^https?:\/\//i.test(found)) return path(found)
  if (!URL.canParse(found)) return undefined
  const { pathname, search } = new URL(found)
  return path(pathname + search)
}
