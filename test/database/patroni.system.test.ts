/** Two servers under Debian's Patroni and etcd: the pool follows a switchover and the loss of the leader, and with the synchronous mode nothing acknowledged is lost. */
import { afterAll, beforeAll, expect, test } from 'vitest'
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
let going = true
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

beforeAll(async () => {
  cluster = await createPatroni()
  db = await openDatabase({ hosts: cluster.members.map(({ host, port }) => ({ host, port })), database: 'bedplate', user: 'bedplate', password: cluster.password, log: createLogger('silent'), size: 4 })
  await db.query('create table kept (n integer primary key)')
  load = Promise.all([write(0), write(1)])
  await until(() => acknowledged.size > 50)
})
afterAll(async () => {
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
  const first = await cluster.primary()
  const second = other(first)
  const [said] = await Promise.all([cluster.control('switchover', 'bedplate', '--candidate', second.name, '--force'), followed(second, 'switchover')])
  expect(said).toContain('Successfully switched over')
  await cluster.safe() // the old leader has joined again
  await second.kill9()
  await followed(first, 'the leader lost')
  going = false
  await load
  const there = new Set((await first.sql<{ n: number }>('select n from kept', 'bedplate')).map(({ n }) => n))
  expect([...acknowledged.keys()].filter(n => !there.has(n))).toEqual([])
  expect(refused).toEqual([])
})
