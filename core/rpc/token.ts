/** The text of an enrolment token: `bp1.<id>.<secret>.<sha256 of the authority's certificate>`. Pure but for the random secret. */
import { createHash, randomBytes } from 'node:crypto'
import { BedplateError } from '../errors.ts'

export interface EnrolmentToken { readonly id: string, readonly secret: string, readonly authoritySha256: string }

export const makeToken = (authoritySha256: string): EnrolmentToken => ({ id: randomBytes(8).toString('hex'), secret: randomBytes(24).toString('base64url'), authoritySha256 })
export const tokenText = (token: EnrolmentToken): string => `bp1.${token.id}.${token.secret}.${token.authoritySha256}`

/** Throws ENROLMENT_REFUSED when the text is no token. */
export function parseToken (text: string): EnrolmentToken {
  const [, id, secret, authoritySha256] = /^bp1\.([0-9a-f]{16})\.([\w-]{32})\.([0-9a-f]{64})$/.exec(text.trim()) ?? []
  if (id === undefined || secret === undefined || authoritySha256 === undefined) throw new BedplateError('ENROLMENT_REFUSED', { reason: 'this is not an enrolment token (bp1.….….…). Was it copied whole?' })
  return { id, secret, authoritySha256 }
}

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')
