/** Leaders that are real processes on a real database, killed, paused and cut off: never two that write, and a successor in time. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { defaultPace } from '../../core/leader/term.ts'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { onceEvent, until } from '../kit/wait.ts'
import type { Said } from './bidder.ts'

interface Bidder { readonly holder: string, readonly child: ChildProcess, readonly said: Said[], cut (on: boolean): void }
type Cable = { readonly port: number, cut (on: boolean): void, close (): void }

let db: TestDatabase
const children: ChildProcess[] = []
const cables: Cable[] = []
const now = (): number => Number(process.hrtime.bigint()) / 1e6
const takeover = defaultPace.ttl + 2_000

beforeAll(async () => {
  db = await testDatabase()
  await db.query('create table led (id bigserial, name text not null, term bigint not null, holder text not null, at timestamptz not null default clock_timestamp())')
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await onceEvent(child, 'exit')
  }
  for (const cable of cables.splice(0)) cable.close()
})
afterAll(() => db.drop())

/** A way to the database that can be cut without a word: nothing comes through, and no connection ends. */
async function cable (): Promise<Cable> {
  const sockets = new Set<Socket>()
  let silent = false
  const front = createServer(near => {
    const { host, port } = server()
    const far = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host)
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('data', data => { to.write(data) })
      from.on('close', () => { sockets.delete(from); if (!silent) to.destroy() })
      from.on('error', () => {})
      if (silent) from.pause()
    }
  })
  await new Promise<void>(resolve => { front.listen(0, '127.0.0.1', resolve) })
  const made: Cable = {
    port: (front.address() as AddressInfo).port,
    cut (on) { silent = on; for (const socket of sockets) if (on) socket.pause(); else socket.resume() },
    close () { front.close(); for (const socket of sockets) socket.destroy() }
  }
  cables.push(made)
  return made
}

async function bidder (name: string, holder: string): Promise<Bidder> {
  const way = await cable()
  const child = fork(new URL('./bidder.ts', import.meta.url), [name, holder, '127.0.0.1', String(way.port), db.options.database, db.options.user], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  children.push(child)
  const said: Said[] = []
  child.on('message', (message: Said) => { said.push(message) })
  await until(() => said.some(({ t }) => t === 'ready'), { what: `${holder} bids` })
  return { holder, child, said, cut: way.cut }
}

const gains = (of: Bidder) => of.said.flatMap(one => one.t === 'gain' ? [one] : [])
const writes = async (name: string, term: number) => Number((await db.query<{ n: string }>('select count(*) as n from led where name = $1 and term = $2', [name, term]))[0]?.n)

/** Three bidders, one of which leads and writes. */
async function three (name: string): Promise<{ readonly all: readonly Bidder[], readonly leader: Bidder }> {
  const all = await Promise.all(['a', 'b', 'c'].map(holder => bidder(name, holder)))
  const leader = await until(() => all.find(one => gains(one).length > 0), { what: 'a leader' })
  await until(async () => await writes(name, 1) > 20, { what: 'writes' })
  return { all, leader }
}

/** Waits for the successor; gives how long after `since` it led, in ms. */
async function successor (name: string, others: readonly Bidder[], term: number, since: number): Promise<number> {
  const gain = await until(() => others.flatMap(gains).find(one => one.term === term), { timeout: 30_000, what: `term ${term}` })
  await until(async () => await writes(name, term) > 20, { what: 'writes of the successor' })
  return gain.at - since
}

/** Nobody wrote in another's term, no two terms' writes overlap, and no process believed in a term when another had begun. */
async function alone (name: string, all: readonly Bidder[]): Promise<void> {
  const terms = await db.query<{ term: string, holders: number, first: Date, last: Date, apart: boolean }>(`
    select term, count(distinct holder)::int as holders, min(at) as first, max(at) as last, coalesce(min(at) > lag(max(at)) over (order by term), true) as apart
    from led where name = $1 group by term order by term`, [name])
  expect(terms.length).toBeGreaterThan(1)
  expect(terms.every(({ holders, apart }) => holders === 1 && apart), JSON.stringify(terms)).toBe(true)
  const begun = all.flatMap(gains)
  for (const kept of all.flatMap(one => one.said.flatMap(said => said.t === 'kept' ? [said] : []))) {
    for (const later of begun) if (later.term > kept.term) expect(Math.min(given(all, kept.term), kept.until)).toBeLessThan(later.at)
  }
}
/** When a term was lost or given up, as far as its process could say. */
const given = (all: readonly Bidder[], term: number): number => all.flatMap(one => one.said.flatMap(said => said.t === 'loss' && said.term === term ? [said.at] : []))[0] ?? Infinity

test('a leader that is killed is followed within TTL + 2 s', async () => {
  const { all, leader } = await three('killed')
  const since = now()
  leader.child.kill('SIGKILL')
  expect(await successor('killed', all.filter(one => one !== leader), 2, since)).toBeLessThan(takeover)
  await alone('killed', all)
})

test('a leader that is stopped cleanly is followed at once', async () => {
  const { all, leader } = await three('stopped')
  const since = now()
  leader.child.send('stop')
  expect(await successor('stopped', all.filter(one => one !== leader), 2, since)).toBeLessThan(3_000) // a term lasts 5 s
  await alone('stopped', all)
})

test('a leader that is paused beyond its term is followed, and writes nothing when it goes on', async () => {
  const { all, leader } = await three('paused')
  const since = now()
  leader.child.kill('SIGSTOP')
  try {
    expect(await successor('paused', all.filter(one => one !== leader), 2, since)).toBeLessThan(takeover)
  } finally { leader.child.kill('SIGCONT') }
  const written = await writes('paused', 1)
  await until(() => leader.said.some(({ t }) => t === 'loss'), { what: 'the old leader to notice' })
  const more = await writes('paused', 2)
  await until(async () => await writes('paused', 2) > more + 50, { what: 'the successor to go on beside it' })
  expect(await writes('paused', 1)).toBe(written)
  await alone('paused', all)
})

test('a leader that is cut off lets go before its successor begins, and bids again when it is back', async () => {
  const { all, leader } = await three('cut')
  const others = all.filter(one => one !== leader)
  const since = now()
  leader.cut(true)
  expect(await successor('cut', others, 2, since)).toBeLessThan(takeover)
  const loss = await until(() => leader.said.find(one => one.t === 'loss'), { what: 'the old leader to let go' })
  expect('at' in loss && loss.at).toBeLessThan(others.flatMap(gains)[0]?.at ?? 0)
  await alone('cut', all)
  leader.cut(false)
  for (const other of others) other.child.kill('SIGKILL')
  expect((await until(() => gains(leader)[1], { timeout: 40_000, what: 'the one that was cut off to lead again' })).term).toBeGreaterThan(2)
})
