/** Hardware addresses in any form people and firmware write them. Pure. */

/** `52:54:00:ab:cd:ef` from colons, dashes, dots, none, any case, or with the `01-` of PXE's file names in front; undefined when it is none. */
export function parseMac (text: string): string | undefined {
  const form = /^(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$|^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$|^[0-9a-f]{12}$/
  const lower = text.trim().toLowerCase()
  const plain = /^01([:-])/.test(lower) && lower.length === 20 ? lower.slice(3) : lower
  if (!form.test(plain)) return undefined
  return plain.replace(/[^0-9a-f]/g, '').match(/../g)?.join(':')
}
