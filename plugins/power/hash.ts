/** A number from a text, the same everywhere and always, spread evenly. Pure. */
export function hashOf (text: string): number {
  let hash = 0x811c9dc5 // FNV-1a, 32 bits
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  // FNV leaves texts that differ at their end near each other; the finish of MurmurHash3 spreads them.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
/** In [0, 1). */
export const shareOf = (text: string): number => hashOf(text) / 2 ** 32
