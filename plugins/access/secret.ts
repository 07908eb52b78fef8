/** What a token looks like, and how it is found again without being stored. Pure but for the random source. */
import { createHash, randomBytes } from 'node:crypto'

export interface Secret { readonly text: string, readonly prefix: string, readonly hash: Buffer }

const form = /^bpt_[A-Za-z0-9_-]{43}$/

/** A new token of 256 random bits: `bpt_` and 43 characters of base64url. Its first 10 characters may be shown later. */
export function newSecret (): Secret {
  const text = `bpt_${randomBytes(32).toString('base64url')}`
  return { text, prefix: text.slice(0, 10), hash: hashOf(text) }
}

/** 256 random bits need no salt and no slow hash: there is nothing to guess. */
export const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The token of an `Authorization: Bearer` header; undefined for anything else. */
export function bearerOf (authorization: string | undefined): string | undefined {
  const [, text] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? []
  return text !== undefined && form.test(text) ? text : undefined
}
