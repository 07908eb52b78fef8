/** The memory of who is who: what it keeps, and what it must not. */
import { describe, expect, it } from 'vitest'
import type { Query } from '../../../core/plugin.ts'
import { createAuthentication } from '../../../plugins/access/authentication.ts'
import { bearerOf, newSecret } from '../../../plugins/access/secret.ts'
import { manualClock } from '../../kit/clock.ts'

/** A database whose answers the test gives, one by one. */
function asked () {
  const waiting: ((rows: unknown[]) => void)[] = []
  const db: Query = { query: <Row>() => new Promise<Row[]>(resolve => { waiting.push(rows => resolve(rows as Row[])) }) }
  return { db, waiting }
}
const row = { id: '7', name: 'ci', account: 'admin', scopes: ['read'], expiresAt: null }

describe('the memory of tokens', () => {
  it('forgets answers that were on their way when a token changed', async () => {
    const { db, waiting } = asked()
    const { authenticate, forget } = createAuthentication(db, manualClock())
    const credentials = { authorization: `Bearer ${newSecret().text}`, address: '::1' }
    const first = authenticate(credentials)
    forget()
    waiting[0]!([row])
    expect(await first).toMatchObject({ id: '7' })
    const second = authenticate(credentials) // had it been remembered, nobody would be asked
    expect(waiting).toHaveLength(2)
    waiting[1]!([])
    expect(await second).toBeUndefined()
  })

  it('asks once while a token is remembered, and never remembers unknown ones', async () => {
    const { db, waiting } = asked()
    const clock = manualClock()
    const { authenticate } = createAuthentication(db, clock)
    const [known, unknown] = [newSecret(), newSecret()].map(({ text }) => ({ authorization: `Bearer ${text}`, address: '::1' }))
    const first = authenticate(known!)
    waiting[0]!([row])
    expect(await first).toEqual({ id: '7', name: 'admin/ci', scopes: ['read'] })
    for (let index = 0; index < 10; index++) expect(await authenticate(known!)).toBe(await authenticate(known!))
    expect(waiting).toHaveLength(1)
    for (const count of [2, 3]) {
      const guess = authenticate(unknown!)
      waiting[count - 1]!([])
      expect(await guess).toBeUndefined()
      expect(waiting).toHaveLength(count)
    }
    await clock.advance(30_000)
    const again = authenticate(known!)
    expect(waiting).toHaveLength(4)
    waiting[3]!([row])
    await again
  })

  it('asks nobody about what cannot be a token', async () => {
    const { db, waiting } = asked()
    const { authenticate } = createAuthentication(db, manualClock())
    const { text } = newSecret()
    for (const authorization of [undefined, '', 'Bearer', 'Bearer ', 'Bearer bpt_', `Bearer ${text}x`, `Bearer ${text.slice(0, -1)}`, `Basic ${text}`, text, `Bearer ${'x'.repeat(1e6)}`]) {
      expect(bearerOf(authorization)).toBeUndefined()
      expect(await authenticate({ authorization, address: '::1' })).toBeUndefined()
    }
    expect(waiting).toEqual([])
    for (const authorization of [`Bearer ${text}`, `bearer  ${text} `]) expect(bearerOf(authorization)).toBe(text)
  })
})
