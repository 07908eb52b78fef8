/** Two servers under Debian's Patroni and etcd: the pool follows a switchover and the loss of the leader, and with the synchronous mode nothing acknowledged is lost, without it the last moment at most. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { hasCode, reasonOf } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { createPatroni } from '../kit/patroni.ts'
import type { PatroniCluster, PatroniMember } from '../kit/patroni.ts'
import { until } from '../kit/wait.ts'

const soon = 5000 // ms: what docs/adr/0008 allows between the promotion and the first write
let cluster: PatroniCluster
let db: DatabaseHandle
const acknowledged = new Map<number, number>()
const refused: string[] = []
let going = false
let load: Promise<unknown> = Promise.resolve()

/** One write after the other; what the client of an API does when nobody knows, or no server is found, is to try again: here with the next number. */
async function write (from: number): Promise<void> {
  for (let n = from; going; n += 2) {
    try {
      await db.tx(tx => tx.query('insert into kept values ($1)', [n]))
      acknowledged.set(n, performance.now())
    } catch (error) {
      if (!hasCode(error, 'TRANSACTION_UNKNOWN') && !hasCode(error, 'DATABASE_UNREACHABLE')) refused.push(reasonOf(error))
    }
  }
}

async function begin (): Promise<void> {
  acknowledged.clear()
  going = true
  load = Promise.all([write(0), write(1)])
  await until(() => acknowledged.size > 50, { timeout: 30_000, what: 'the load to be under way' })
}
/** Ends the load; gives those that were acknowledged and are not on `member`, with the time of their acknowledgement. */
async function lost (member: PatroniMember): Promise<[n: number, at: number][]> {
  going = false
  await load
  const there = new Set((await member.sql<{ n: number }>('select n from kept', 'bedplate')).map(({ n }) => n))
  return [...acknowledged.entries()].filter(([n]) => !there.has(n))
}

beforeEach(async () => {
  cluster = await createPatroni()
  db = await openDatabase({ hosts: cluster.members.map(({ host, port }) => ({ host, port })), database: 'bedplate', user: 'bedplate', password: cluster.password, log: createLogger('silent'), size: 4 })
  await db.query('create table kept (n integer primary key)')
})
afterEach(async () => {
  going = false
  try {
    await load
    await db?.close()
  } finally { await cluster?.destroy() }
})

/** The other member becomes the primary: how long after that the first write is acknowledged, in ms. */
async function followed (next: PatroniMember, how: string): Promise<void> {
  await until(() => next.writable(), { timeout: 60_000, interval: 20, what: `${next.name} to be promoted` })
  const moment = performance.now()
  await until(() => [...acknowledged.values()].filter(at => at > moment).length > 10, { timeout: 30_000, what: 'writes to go on' })
  const after = Math.min(...[...acknowledged.values()].filter(at => at > moment)) - moment
  process.stdout.write(`Patroni, ${how}: writes went on ${Math.round(after)} ms after the promotion\n`)
  expect(after).toBeLessThan(soon)
  expect(db.health()).toEqual({ state: 'running' })
}
const other = (member: PatroniMember): PatroniMember => cluster.members[member === cluster.members[0] ? 1 : 0]

test('a switchover, then the loss of the leader with all its processes: writes go on by themselves, and nothing acknowledged is lost', async () => {
  await begin()
  const first = await cluster.primary()
  const second = other(first)
  const [said] = await Promise.all([cluster.control('switchover', 'bedplate', '--candidate', second.name, '--force'), followed(second, 'switchover')])
  expect(said).toContain('Successfully switched over')
  await cluster.safe() // the old leader has joined again
  await second.kill9()
  await followed(first, 'the leader lost')
  expect(await lost(first)).toEqual([])
  expect(refused).toEqual([])
  await second.start()
  await cluster.safe() // by pg_rewind, on its own
})

test('without the synchronous mode writes go on by themselves too, and only the tail that was not sent yet is lost', async () => {
  await cluster.control('edit-config', 'bedplate', '--set', 'synchronous_mode=false', '--force')
  const first = await cluster.primary()
  await until(async () => (await first.sql("select from pg_stat_replication where state = 'streaming' and sync_state = 'async'")).length === 1, { timeout: 30_000, interval: 100, what: 'the standby to be asynchronous' })
  await begin()
  await first.kill9()
  const died = performance.now()
  const second = other(first)
  await followed(second, 'the leader lost, asynchronous')
  const tail = await lost(second)
  process.stdout.write(`Patroni, asynchronous: ${tail.length} of ${acknowledged.size} acknowledged writes lost\n`)
  for (const [, at] of tail) { expect(at).toBeGreaterThan(died - 1000); expect(at).toBeLessThan(died + 100) }
  expect(refused).toEqual([])
})
