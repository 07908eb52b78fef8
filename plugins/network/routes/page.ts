/** What all routes of the network share: keyset pages, entity tags, and the sentence for what does not exist. */
import { createHash } from 'node:crypto'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'

export const Id = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'id' })
export const ById = Type.Object({ id: Type.String({ maxLength: 64 }) })
export const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^\\S(.*\\S)?$', description: 'unique among its kind, not all digits' })
export const IfMatch = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'ETag of what was read; the change is refused when it is no longer that' })) })
export const pageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'most items in one page' }),
  after: Type.Optional(Type.String({ maxLength: 64, description: '`next` of the page before' }))
}
export const paged = <T extends TSchema>(item: T) => Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()], { description: 'give it as `after` to read on; null on the last page' }) })

/** A page of at most `limit` items out of one more than that. */
export const page = <T>(items: readonly T[], limit: number, keyOf: (item: T) => string) => {
  const shown = items.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown, next: items.length > limit && last !== undefined ? keyOf(last) : null }
}

export const found = <T>(value: T | undefined, what: string, id: string): T => {
  if (value === undefined) throw new BedplateError('NOT_FOUND', { what, id })
  return value
}

export const etagOf = (value: unknown): string => `"${createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22)}"`

/** PRECONDITION_FAILED when the client has read something else than `value`. */
export const match = (wanted: string | undefined, what: string, id: string, value: unknown): void => {
  const etag = etagOf(value)
  if (wanted !== undefined && wanted !== '*' && !wanted.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag)) throw new BedplateError('PRECONDITION_FAILED', { what, id, etag })
}

export const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }
