/** What the leader writes on one real database: while its term stands it is kept, and what the one that lost its term writes is refused. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import { take } from '../../core/leader/lease.ts'
import { until } from '../kit/wait.ts'
import { electorsOfFile, leading, signal } from './electors.ts'

const on = electorsOfFile()

/** The system's clock, with a pause button: what a stopped process or a frozen machine sees when it wakes is simply a later time. */
function jumping (): Clock & { jump(ms: number): void } {
  let offset = 0
  return {
    now: () => systemClock.now() + offset,
    monotonic: () => systemClock.monotonic() + offset,
    sleep: systemClock.sleep,
    jump (ms) { offset += ms }
  }
}

describe('a term', () => {
  test('writes while it stands', async () => {
    const a = on.elector('a')
    await a.start(signal)
    const term = await leading(a)
    await expect(term.write(async tx => { await tx.query("insert into written values ('stands', 1)"); return 7 })).resolves.toBe(7)
    expect((await on.db.query("select n from written where by = 'stands'"))).toEqual([{ n: 1 }])
  })

  test('of a leader that was paused refuses, by the clock alone', async () => {
    const clock = jumping()
    const a = on.elector('a', { clock, ttl: 60_000, renew: 20_000 })
    await a.start(signal)
    const term = await leading(a)
    clock.jump(60_000)
    expect(term.valid()).toBe(false)
    expect(a.current()).toBeUndefined()
    await expect(term.write(tx => tx.query("insert into written values ('paused', 1)"))).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    expect(await on.db.query("select n from written where by = 'paused'")).toEqual([])
  })

  test('of a leader whose clock stood still is refused by the database', async () => {
    let now = 0
    const stopped: Clock = { now: () => now, monotonic: () => now, sleep: (_ms, signal) => new Promise(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) }) }
    const a = on.elector('a', { clock: stopped })
    await a.start(signal)
    const term = await until(() => a.gained[0])
    const b = on.elector('b', { db: on.second })
    await b.start(signal)
    await leading(b)
    expect(term.valid()).toBe(true) // as far as it can know
    await expect(term.write(tx => tx.query("insert into written values ('frozen', 1)"))).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    expect(term.signal.aborted).toBe(true)
    expect(await on.db.query("select n from written where by = 'frozen'")).toEqual([])
    now = 1e9 // lets it stop
  })

  test('that has run out counts as lost though nobody has taken it', async () => {
    let now = 0
    const stopped: Clock = { now: () => now, monotonic: () => now, sleep: (_ms, signal) => new Promise(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) }) }
    const a = on.elector('a', { clock: stopped })
    await a.start(signal)
    const term = await until(() => a.gained[0])
    await until(async () => (await on.db.query('select from core.leader where name = $1 and expires_at < clock_timestamp()', [on.name])).length === 1)
    await expect(term.write(async () => {})).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    now = 1e9
  })

  test('is not taken by another before a write that had begun is committed', async () => {
    const a = on.elector('a', { ttl: 300, renew: 10_000, margin: 0 })
    await a.start(signal)
    const term = await leading(a)
    const inside = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const write = term.write(async tx => {
      await tx.query("insert into written values ('long', 1)")
      inside.resolve()
      await tx.query('select pg_sleep(0.8)')
      await finish.promise
    })
    await inside.promise
    await a.stop() // gives the lease up, so that anybody might take it
    const b = on.elector('b', { db: on.second })
    await b.start(signal)
    expect(await take(on.second, { name: on.name, holder: 'c' }, 100, 1)).toBeUndefined()
    expect(b.current()).toBeUndefined()
    finish.resolve()
    await write
    expect((await leading(b)).number).toBe(2n)
    expect(await on.db.query("select n from written where by = 'long'")).toEqual([{ n: 1 }])
  })

  test('is renewed while its own write is under way', async () => {
    const a = on.elector('a')
    await a.start(signal)
    const term = await leading(a)
    await term.write(tx => tx.query('select pg_sleep(1.5)'))
    expect(a.current()).toBe(term)
  })

  test('whose leader stops in the middle of a write keeps nobody out for longer than the TTL', async () => {
    const a = on.elector('a', { ttl: 300, renew: 10_000, margin: 0 })
    await a.start(signal)
    const term = await leading(a)
    const never = new Promise<void>(() => {})
    const write = term.write(async tx => { await tx.query('select 1'); await Promise.race([never, until(() => b.current())]); await tx.query("insert into written values ('zombie', 1)") })
    const b = on.elector('b', { db: on.second })
    await b.start(signal)
    await leading(b)
    await expect(write).rejects.toThrow()
    expect(await on.db.query("select n from written where by = 'zombie'")).toEqual([])
  })
})
