/** Text of logins and text requests: `key=value` pairs, each ended by a zero byte. RFC 7143 section 6.1. Pure. */

export type Pairs = readonly (readonly [key: string, value: string])[]

const keyForm = /^[A-Z][A-Za-z0-9.\-+@_]{0,62}$/
const mostPairs = 256
/** Of a value that is not a binary one; no key of the standard needs more than a binary of 1,024 bytes, which is 2,050 characters. */
const longestValue = 8192

/** What is wrong with a text, for whoever sent it. */
export class TextError extends Error { override readonly name = 'TextError' }

/** Reads pairs. A text may end without its last zero. Throws TextError. */
export function parseText (bytes: Uint8Array): Pairs {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const pairs: [string, string][] = []
  for (const part of text.split('\0')) {
    if (part === '') continue // padding
    const equals = part.indexOf('=')
    const key = part.slice(0, equals === -1 ? 63 : equals)
    if (equals === -1) throw new TextError(`"${key}" has no value`)
    if (!keyForm.test(key)) throw new TextError(`"${key.slice(0, 63)}" is no key`)
    if (part.length - equals > longestValue) throw new TextError(`the value of ${key} is too long`)
    if (pairs.length === mostPairs) throw new TextError('these are too many keys')
    pairs.push([key, part.slice(equals + 1)])
  }
  return pairs
}

export const formatText = (pairs: Pairs): Buffer => Buffer.from(pairs.map(([key, value]) => `${key}=${value}\0`).join(''), 'utf8')

/** A number: decimal, or hexadecimal after 0x. Undefined when it is neither, or above what a double holds exactly. 6.1 */
export function parseNumber (value: string): number | undefined {
  if (!/^(?:0[xX][0-9a-fA-F]{1,13}|\d{1,15})$/.test(value)) return undefined
  return Number(value)
}

/** A binary value: hexadecimal after 0x, base64 after 0b. Undefined when it is neither or longer than `most` bytes. 6.1 */
export function parseBinary (value: string, most: number): Buffer | undefined {
  const body = value.slice(2)
  const form = value.slice(0, 2).toLowerCase()
  if (form === '0x' && /^(?:[0-9a-fA-F]+)$/.test(body) && body.length <= 2 * most) return Buffer.from(body.length % 2 ? `0${body}` : body, 'hex')
  if (form === '0b' && /^[A-Za-z0-9+/]+={0,2}$/.test(body) && body.length % 4 === 0 && body.length <= Math.ceil(most / 3) * 4) {
    const bytes = Buffer.from(body, 'base64')
    return bytes.length <= most ? bytes : undefined
  }
  return undefined
}
export const formatBinary = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`
