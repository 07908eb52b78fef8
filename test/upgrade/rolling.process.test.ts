/** A rolling upgrade under load: two regions and a rack go from version N to N+1 one by one; both versions work side by side, and nothing that was acknowledged is lost. */
import { mkdtemp, copyFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { adminToken, member } from './controllers.ts'
import type { Member } from './controllers.ts'
import { startLoad, unexplained } from './load.ts'
import type { Absence, Kind, Load } from './load.ts'
import { makeTree } from './trees.ts'
import type { Tree } from './trees.ts'

let folder: string
let database: TestDatabase
let trees: readonly [Tree, Tree, Tree]
const members: Member[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bedplate-upgrade-'))
  database = await testDatabase({ bare: true })
  trees = [await makeTree(join(folder, 'n'), 0), await makeTree(join(folder, 'n1'), 1), await makeTree(join(folder, 'n2'), 2)]
})
afterAll(async () => {
  for (const one of members) one.kill()
  await Promise.all(members.map(one => one.stop()))
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

async function make (name: string, role: 'region' | 'rack'): Promise<Member> {
  const made = await member(folder, name, role, { hosts: [server().host], name: database.options.database, user: database.options.user })
  members.push(made)
  return made
}
interface Controller { readonly id: string, readonly hostname: string, readonly version: string, readonly linked: boolean }
const applied = () => database.query<{ label: string, phase: string, version: string }>("select set || ' ' || name as label, phase, version from core.migration where set in ('core', 'ledger') order by applied_at, set, number")
const columns = async (table: string) => (await database.query<{ name: string }>("select column_name as name from information_schema.columns where table_schema = 'ledger' and table_name = $1 order by ordinal_position", [table])).map(({ name }) => name)

test('region by region and rack, with both versions at work', async () => {
  const [n, next, afterNext] = trees
  const [a, b, rack] = [await make('a', 'region'), await make('b', 'region'), await make('rack', 'rack')]
  await a.start(n)
  await copyFile(join(a.directory, 'secret.key'), join(b.directory, 'secret.key'))
  await b.start(n)
  const token = await adminToken(a)
  const api = async <T>(region: Member, path: string, body?: unknown): Promise<T> => await (await fetch(`${region.url}/api/v1${path}`, {
    ...body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  })).json() as T
  const controllers = async (region: Member) => (await api<{ items: Controller[] }>(region, '/controllers')).items
  const isLinked = async (region: Member, name: string, version: string) => (await controllers(region)).some(one => one.hostname === name && one.linked && one.version === version)
  const linked = (region: Member, version: string, name = 'rack') => until(() => isLinked(region, name, version), { timeout: 30_000, interval: 50, what: `${region.name} to hold a link to ${name} of version ${version}` })
  const versions = async () => Object.fromEntries((await controllers(a)).flatMap(({ hostname, version }) => hostname === 'early' ? [] : [[hostname, version]]))

  const regions = [a.rpc, b.rpc]
  const early = await make('early', 'rack')
  for (const one of [rack, early]) {
    await one.start(n, { regions, enrolmentToken: (await api<{ token: string }>(a, '/controllers/tokens', { roles: ['rack'] })).token })
    for (const region of [a, b]) await linked(region, n.version, one.name)
  }

  // a rack that goes two versions ahead finds no region to link with; it runs, and says why
  expect(await early.stop()).toBe(0)
  await early.start(afterNext, { regions })
  const says = () => fetch(`${early.url}/readyz`).then(answer => answer.text())
  await until(async () => (await says()).split(`runs version ${afterNext.version} and`).length === 3, { what: 'the rack to name both regions' })
  expect(await says()).toContain('they may be one minor version apart, no more. Upgrade')

  const load = startLoad({ regions: [a, b], rack, rackId: (await controllers(a)).find(({ hostname }) => hostname === 'rack')?.id ?? '', token })
  const absences: Absence[] = []
  await progress(load)
  expect(load.failures).toEqual([])

  /** Stops a member, starts it again from a tree, and waits until it does its part again. */
  async function replace (one: Member, tree: Tree, rackVersion: string): Promise<void> {
    const absence: Absence = { member: one.name, from: performance.now(), to: Infinity }
    absences.push(absence)
    expect(await one.stop()).toBe(0)
    await one.start(tree, one === rack ? { regions } : {})
    for (const region of one === rack ? [a, b] : [one]) await linked(region, rackVersion)
    absence.to = performance.now()
    await progress(load)
    expect(unexplained(load, absences, 'rack')).toEqual([])
  }
  async function told (text: string): Promise<void> {
    await api(a, '/ledger/entries', { id: 'told', note: text })
    await until(async () => (await (await fetch(`${rack.url}/ledger/told`)).json() as { told: string }).told === text, { what: 'the rack to be told' })
  }

  // a goes ahead: what extends the schema is applied beside b, what takes away from it waits, and what comes after that does not wait with it
  await replace(a, next, n.version)
  expect(await versions()).toEqual({ a: next.version, b: n.version, rack: n.version })
  const expanded = await applied()
  expect(expanded.filter(row => row.version === next.version).map(({ label, phase }) => [label, phase])).toEqual([[expect.stringMatching(/^core \d{4}-next$/), 'expand'], ['ledger 0002-text', 'expand'], ['ledger 0004-later', 'expand']])
  expect(await columns('entry')).toEqual(['id', 'note', 'text', 'marks'])
  expect(a.output()).toContain(`ledger 0003-no-note waits for b (version ${n.version})`)
  await told('by a region of the next version')
  await linked(a, afterNext.version, 'early') // by itself, now that there is one it fits
  expect(await isLinked(b, 'early', afterNext.version)).toBe(false)
  expect(await early.stop()).toBe(0)

  // b, still of this version, starts on the schema that is ahead of it
  await replace(b, n, n.version)
  expect(await versions()).toEqual({ a: next.version, b: n.version, rack: n.version })

  // two versions ahead is one too many, whoever is leader
  const c = await make('c', 'region')
  await copyFile(join(a.directory, 'secret.key'), join(c.directory, 'secret.key'))
  await expect(c.start(afterNext)).rejects.toThrow(`This controller does not fit the others: this controller runs version ${afterNext.version} and the region b ${n.version}: they may be one minor version apart, no more. Upgrade the region b to`)
  expect(Object.keys(await versions())).toEqual(['a', 'b', 'rack']) // the one that was refused left no trace
  expect(await applied()).toEqual(expanded)

  // the rack goes ahead of b
  await replace(rack, next, next.version)
  expect(await versions()).toEqual({ a: next.version, b: n.version, rack: next.version })
  await told('by regions of both versions')
  expect(await columns('entry')).toContain('note')

  // the last of this version goes: now, and not before, the old column is taken away
  await replace(b, next, next.version)
  expect(await versions()).toEqual({ a: next.version, b: next.version, rack: next.version })
  await until(async () => !(await columns('entry')).includes('note'), { timeout: 30_000, what: 'the contract to be applied' })
  expect((await applied()).at(-1)).toEqual({ label: 'ledger 0003-no-note', phase: 'contract', version: next.version })
  await progress(load)

  // there is no way back after that
  await load.stop()
  expect(await b.stop()).toBe(0)
  await expect(b.start(n)).rejects.toThrow(`Upgrade this controller to version ${next.version} or newer`)

  expect(unexplained(load, absences, 'rack')).toEqual([])
  expect(new Set(load.failures.map(({ member }) => member))).toEqual(new Set(['a', 'b', 'rack'])) // each was asked while it was away: the load sees what it should
  const stored = new Map((await database.query<{ id: string, text: string }>('select id, text from ledger.entry')).map(({ id, text }) => [id, text]))
  expect([...load.kept].filter(([id, note]) => stored.get(id) !== note)).toEqual([])
  const ticks = () => database.query<{ n: string, times: number }>('select n, times from ledger.tick')
  await until(async () => { const there = new Set((await ticks()).map(row => Number(row.n))); return load.ticks.every(tick => there.has(tick)) }, { what: 'every fact to arrive' })
  expect((await ticks()).filter(({ times }) => times !== 1)).toEqual([])
  expect(await database.query('select from core.fact_rejected')).toEqual([])
}, 300_000)

/** Until every kind of request has been answered ten times more. */
async function progress (load: Load): Promise<void> {
  const kinds: readonly Kind[] = ['write', 'read', 'echo', 'fabric', 'tick', 'keep']
  const before = new Map(kinds.map(kind => [kind, load.count(kind)]))
  await until(() => kinds.every(kind => load.count(kind) >= (before.get(kind) ?? 0) + 10), { timeout: 30_000, interval: 50, what: 'every kind of request to be answered ten times' })
}
