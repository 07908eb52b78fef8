/** Three regions and two racks as processes, on one database: what hangs, dies or is cut off is noticed within 5 s and its work done by the others. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { LinkState } from '../../core/rpc/ends.ts'
import { server, testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { putEntry, schema } from './installation.ts'
import { Cabling, Member, type Place, type RackMember, type RegionMember } from './members.ts'

const noticed = 5000 // ms: the bound of docs/adr/0008
const slack = 1500 // ms for the machine the tests run on, and for asking; a hedged call is still told from one that waited for its link to be given up
const secret = randomBytes(32).toString('hex')
let db: TestDatabase
let cabling: Cabling
let folder: string
const places: Place[] = []
const regions: RegionMember[] = []
const racks: RackMember[] = []

interface Answer { readonly region?: string, readonly code?: string, readonly message?: string, readonly ms: number }
const call = (rack: RackMember, method: string, text: string, timeout = 10_000) => rack.ask<Answer>('call', { method, text, timeout })
const links = (rack: RackMember) => rack.ask<LinkState[]>('links')
const nth = <T>(list: readonly T[], index: number): T => { const one = list[index]; if (one === undefined) throw new TypeError(`there is no ${index}`); return one }

async function region (index: number): Promise<RegionMember> {
  const place = places[index] ??= await cabling.place(11 + index)
  const id = `region-${index + 1}`
  return await new Member(place.namespace, { role: 'region', id, address: place.address, directory: join(folder, id), secret, database: { host: '10.78.0.1', port: 5432, name: db.options.database, user: db.options.user } } as const).start()
}
/** Waits until every rack is linked with every region of these, and they with it; gives the ms it took. */
async function linked (all: readonly RegionMember[] = regions, timeout = noticed): Promise<number> {
  const began = performance.now()
  await until(async () => (await Promise.all(racks.map(links))).every(of => all.every(({ role: { id } }) => of.some(link => link.controller === id && link.up && link.reason === undefined))), { timeout, what: 'all links up and well' })
  for (const one of all) await until(async () => (await one.ask<string[]>('racks')).length === racks.length, { timeout })
  return performance.now() - began
}
/** Waits until no rack has a well link to that region; gives the ms it took. */
async function missed (one: RegionMember, how: (link: LinkState) => boolean = link => !link.up): Promise<number> {
  const began = performance.now()
  await until(async () => (await Promise.all(racks.map(links))).every(of => of.some(link => link.controller === one.role.id && how(link))), { timeout: noticed + slack, what: 'the racks to notice' })
  return performance.now() - began
}
/** Calls that stay unanswered, from the first rack: each region has one of each method. By region, then method. */
async function hold (name: string): Promise<Record<string, { echo: Promise<Answer>, once: Promise<Answer> }>> {
  await Promise.all(regions.map(one => one.ask('hold')))
  const answers = new Map<string, Promise<Answer>>(['once', 'echo'].flatMap(method => ['1', '2', '3'].map(number => [`hold ${method} ${name} ${number}`, method] as const)).map(([text, method]) => [text, call(nth(racks, 0), method, text)]))
  await until(() => [...answers.keys()].every(text => regions.some(one => one.news.includes(text))), { what: 'the calls to arrive' })
  return Object.fromEntries(regions.map(({ role: { id }, news }) => {
    const mine = (method: string) => { const text = news.find(one => one.startsWith(`hold ${method} ${name}`)); return answers.get(text ?? '') ?? Promise.reject(new TypeError(`${id} was asked no ${method}`)) }
    return [id, { echo: mine('echo'), once: mine('once') }]
  }))
}
/** From now on these answer what they are asked, what they were asked before too. */
const release = (of: readonly RegionMember[]) => Promise.all(of.map(one => one.ask('release')))
/** The wanted state still comes, over whatever link. */
async function reaches (id: string): Promise<void> {
  for (const rack of racks) {
    await putEntry(db, rack.role.id, id, { n: 1 })
    await until(async () => (await rack.ask<[string, unknown][]>('state')).some(([key]) => key === id), { timeout: noticed, what: `the entry ${id} to reach ${rack.role.id}` })
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bedplate-regions-'))
  db = await testDatabase()
  await db.query(schema)
  cabling = await Cabling.lay()
  await new Member(cabling.hub, { role: 'way', address: '10.78.0.1', port: 5432, socket: join(server().host, `.s.PGSQL.${server().port}`) }).start()
  regions.push(await region(0), await region(1))
  for (const number of [1, 2]) {
    const place = await cabling.place(20 + number)
    const id = `rack-${number}`
    racks.push(await new Member(place.namespace, { role: 'rack', id, directory: join(folder, id), regions: [nth(places, 0).address], token: await nth(regions, 0).ask<string>('token') } as const).start())
  }
  await linked(regions, 20_000)
  for (const rack of racks) await rack.ask('report', 20)
})
// What one test did to the cluster is no matter of the next.
afterEach(async () => {
  for (const one of regions) one.signal('SIGCONT')
  for (const place of places) for (const which of ['links', 'database'] as const) await cabling.cable(place, which, 'up')
})
afterAll(async () => {
  await cabling.destroy()
  await db.drop()
  await rm(folder, { recursive: true, force: true })
})

test('a region that is added is linked by every rack as it comes', async () => {
  regions.push(await region(2))
  expect(await linked()).toBeLessThan(2000 + slack)
})

test('a region that hangs: its calls are answered by others or plainly not, and it comes back', async () => {
  const victim = nth(regions, 1)
  const others = regions.filter(one => one !== victim)
  const { [victim.role.id]: lost, ...rest } = await hold('hang')
  victim.signal('SIGSTOP')
  const began = performance.now()
  const away = missed(victim)
  await release(others)
  const quick = call(nth(racks, 1), 'echo', 'quick')
  expect((await lost?.echo)?.region).toMatch(/^region-[13]$/)
  expect(performance.now() - began).toBeLessThan(1500 + slack)
  expect((await quick).ms).toBeLessThan(1500 + slack)
  expect(await away).toBeLessThan(noticed + slack)
  expect(await lost?.once).toMatchObject({ code: 'CALL_UNKNOWN', message: expect.stringContaining('The link to region-2 broke while probe.once was under way there; it may or may not have been done') as string })
  expect(performance.now() - began).toBeLessThan(noticed + slack)
  for (const [id, { once }] of Object.entries(rest)) expect(await once).toMatchObject({ region: id })
  expect((await call(nth(racks, 0), 'once', 'after')).ms).toBeLessThan(1000 + slack)
  await reaches('hang')
  victim.signal('SIGCONT')
  expect(await linked()).toBeLessThan(noticed + slack)
})

test('a region that is killed: its calls are answered by others at once, and it comes back', async () => {
  const victim = nth(regions, 2)
  const { [victim.role.id]: lost } = await hold('kill')
  await release(regions.filter(one => one !== victim))
  const began = performance.now()
  await victim.kill()
  expect((await lost?.echo)?.region).toMatch(/^region-[12]$/)
  expect(await lost?.once).toMatchObject({ code: 'CALL_UNKNOWN' })
  await missed(victim)
  expect(performance.now() - began).toBeLessThan(1000 + slack)
  await reaches('kill')
  await victim.start()
  expect(await linked()).toBeLessThan(noticed + slack)
})

test('a region whose cable to the racks is cut: both ends notice, and they find each other again', async () => {
  const [victim, place] = [nth(regions, 0), nth(places, 0)]
  await cabling.cable(place, 'links', 'down')
  const there = until(async () => (await victim.ask<string[]>('racks')).length === 0, { timeout: noticed + slack, what: 'the region to notice' })
  const answer = await call(nth(racks, 0), 'echo', 'cut')
  expect(answer.region).not.toBe(victim.role.id)
  expect(answer.ms).toBeLessThan(1500 + slack)
  expect(await missed(victim)).toBeLessThan(noticed + slack)
  await there
  await reaches('cable')
  await cabling.cable(place, 'links', 'up')
  expect(await linked()).toBeLessThan(noticed + slack)
})

test('a region cut off from its database alone: it is seen and left alone until it is well', async () => {
  const [victim, place] = [nth(regions, 1), nth(places, 1)]
  await cabling.cable(place, 'database', 'down')
  expect(await missed(victim, link => link.up && link.reason?.startsWith('this region cannot reach its database') === true)).toBeLessThan(noticed + slack)
  for (const rack of racks) for (let n = 0; n < 4; n++) expect((await call(rack, 'once', `alone ${n}`)).region).not.toBe(victim.role.id)
  await reaches('database')
  await cabling.cable(place, 'database', 'up')
  await linked(regions, 20_000)
})

test('through all of it every fact was stored once and in order', async () => {
  for (const rack of racks) {
    const count = await rack.ask<number>('reported')
    const stored = async () => (await db.query<{ n: number }>('select n from probe.fact where rack = $1 order by id', [rack.role.id])).map(row => row.n)
    await until(async () => (await stored()).length >= count, { what: `the facts of ${rack.role.id}` })
    expect(await stored()).toEqual(Array.from({ length: count }, (_, index) => index + 1))
  }
})
