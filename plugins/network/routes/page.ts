/** What all routes of the network share: names and ids, pages, and the sentences for what is missing or refused. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'

export const Id = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'id' })
export const ById = Type.Object({ id: Type.String({ maxLength: 64 }) })
export const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^\\S(.*\\S)?$', description: 'unique among its kind, not all digits' })
/** A page of at most `limit` items out of one more than that. */
export const page = <T>(items: readonly T[], limit: number, keyOf: (item: T) => string) => {
  const shown = items.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown, ...items.length > limit && last !== undefined ? { next: keyOf(last) } : {} }
}

export const found = <T>(value: T | undefined, what: string, id: string): T => {
  if (value === undefined) throw new BedplateError('NOT_FOUND', { what, id })
  return value
}

export const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }
