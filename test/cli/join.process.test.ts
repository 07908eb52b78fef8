/** An installation that grows and shrinks by join and leave: real daemons as children, real TLS between them, one PostgreSQL of nobody's. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { parseToken, tokenText } from '../../core/rpc/token.ts'
import { openRackStore } from '../../core/state/store.ts'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { addressOf, startBmc } from '../kit/bmc.ts'
import type { Bmc } from '../kit/bmc.ts'
import { freePort, Hosts } from './hosts.kit.ts'
import type { Done, Host } from './hosts.kit.ts'

interface Known { readonly id: string, readonly hostname: string, readonly roles: string[], readonly linked: boolean, readonly api: string[], readonly httpPort: number | null, readonly rpcPort: number | null, readonly addresses: string[], readonly startedAt: string | null }

const hosts = new Hosts()
let db: TestDatabase
let bmc: Bmc
let a: Host
let b: Host
let rack: Host
let token: string // of the API

/** Asks a region's API. */
async function ask<T = Record<string, unknown>> (host: Host, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${host.url}/api/v1${path}`, { method, headers: { authorization: `Bearer ${token}`, ...body === undefined ? {} : { 'content-type': 'application/json' } }, ...body === undefined ? {} : { body: JSON.stringify(body) } })
  const text = await answer.text()
  if (!answer.ok) throw new TypeError(`${path}: ${answer.status} ${text}`)
  return (text === '' ? {} : JSON.parse(text)) as T
}
const enrolment = async (host: Host, roles: string[]): Promise<string> => (await ask<{ token: string }>(host, 'POST', '/controllers/tokens', { roles })).token
const controllers = async (host: Host): Promise<Known[]> => (await ask<{ items: Known[] }>(host, 'GET', '/controllers')).items
const ready = (host: Host) => until(async () => (await fetch(`${host.url}/readyz`)).status === 200, { timeout: 30_000, what: `${host.name} to be ready` })
const on = (host: Host, ...args: readonly string[]): Promise<Done> => host.command(...args, '--url', host.url, '--token', token)
const linkedTo = (host: Host, id: string) => until(async () => (await controllers(host)).some(one => one.id === id && one.linked), { timeout: 20_000, what: `a link to ${host.name}` })
const databaseHost = () => ['--database-host', server().host]

beforeAll(async () => {
  db = await testDatabase({ bare: true })
  bmc = await startBmc()
  a = await hosts.first('region-a', { hosts: [server().host], name: db.options.database, user: db.options.user })
  token = (await readFile(join(a.data, 'admin.token'), 'utf8')).trim()
  await ready(a)
}, 120_000)
afterAll(async () => {
  await hosts.end()
  await bmc.close()
  await db.drop()
}, 60_000)

const folderOf = async (host: Host): Promise<string[]> => await readdir(host.data).catch(() => [])

test('an embedded database takes in a second region where it is told to listen, and its host may not leave', async () => {
  const port = await freePort()
  const one = await hosts.host('holder')
  const where = { host: '127.0.0.1', port: 0 }
  await writeFile(one.config, stringify({ roles: ['region'], hostname: 'holder', dataDirectory: one.data, http: where, rpc: { host: '127.0.0.1', port: one.rpcPort, advertise: ['127.0.0.1'] }, embedded: { listen: `127.0.0.1:${port}` } }))
  await one.run()
  await ready(one)
  const before = token
  token = (await readFile(join(one.data, 'admin.token'), 'utf8')).trim()
  try {
    const two = await hosts.host('guest')
    const enrolling = await enrolment(one, ['region'])
    expect((await two.joining(one.region, enrolling).ended).err).toContain(`embedded.listen of holder names 127.0.0.1:${port}, which on another host`)
    await two.join(one.region, enrolling, '--database-host', `127.0.0.1:${port}`)
    await ready(two)
    expect(parse(await readFile(two.config, 'utf8'))).toMatchObject({ database: { hosts: [`127.0.0.1:${port}`], password: await readFile(join(one.data, 'database.password'), 'utf8') } })
    expect((await controllers(two)).map(row => row.hostname)).toEqual(['holder', 'guest'])
    expect(await one.command('leave', '--config', one.config, '--force')).toMatchObject({ code: 1, err: expect.stringContaining('holder holds the embedded database, so the others cannot go on without it') })
    expect((await two.command('leave', '--config', two.config)).code).toBe(0)
    expect((await one.end('SIGTERM')).code).toBe(0)
  } finally { token = before }
}, 120_000)

test('a region pointed at a database by hand, without its key, is refused with a sentence and leaves no trace', async () => {
  const host = await hosts.host('stranger')
  const where = { host: '127.0.0.1', port: 0 }
  await writeFile(host.config, stringify({ roles: ['region'], hostname: 'stranger', dataDirectory: host.data, http: where, rpc: where, database: { hosts: [server().host], name: db.options.database, user: db.options.user } }))
  const { code, err } = await host.command('run', '--config', host.config)
  expect([code, err.split('\n').filter(line => line.startsWith('bedplate: '))]).toEqual([1, [expect.stringMatching(/^bedplate: This region failed to start: \S+secret\.key is not the key of the installation this database belongs to: .*"bedplate join"/)]])
  expect(err).not.toMatch(/^\s+at /m)
  expect((await controllers(a)).map(row => row.hostname)).toEqual(['region-a'])
})

describe('what cannot join is told why, and the token stays good', () => {
  const refused = async (host: Host, at: string, enrolmentToken: string, ...more: readonly string[]): Promise<string> => {
    const { code, err } = await host.joining(at, enrolmentToken, ...more).ended
    expect([code, err.trim().split('\n').length, /^\s+at /m.test(err)], err).toEqual([1, 1, false])
    expect(await folderOf(host)).not.toContain('secret.key')
    expect(await host.command('leave', '--data-directory', host.data)).toMatchObject({ code: 1, err: expect.stringContaining('There is no identity in') })
    return err
  }
  let host: Host
  let good: string
  beforeAll(async () => { host = await hosts.host('refused'); good = await enrolment(a, ['region']) })

  test('a database that only the first region reaches', async () => {
    expect(await refused(host, a.region, good)).toMatch(/database\.hosts of region-a names \/\S+, which on another host is another server or none\..*--database-host\. The token is still good/)
  })
  test('a role that the token lacks', async () => {
    expect(await refused(host, a.region, good, '--role', 'rack')).toContain('this token does not allow the role rack')
  })
  test('a token of another installation', async () => {
    const other = tokenText({ ...parseToken(good), authoritySha256: createHash('sha256').update('x').digest('hex') })
    expect(await refused(host, a.region, other)).toContain('its authority has another fingerprint. The secret was not sent')
  })
  test('a region that is not there', async () => {
    expect(await refused(host, '127.0.0.1:1', good)).toMatch(/ECONNREFUSED/)
  })
  test('a file that says something else', async () => {
    const { code, err } = await host.command('join', a.region, '--token', good, '--config', a.config, '--data-directory', host.data)
    expect([code, err]).toEqual([1, `bedplate: ${a.config} is there already and says something else. Move it away, or name another file with --config. [CONFLICT]\n`])
  })
  test('settings that there are not', async () => {
    expect((await host.command('join', a.region, '--token', good, '--set', 'http.prot=1')).err).toContain('no such setting; did you mean --http-port?')
    expect((await host.command('join', a.region, '--token', good, '--set', 'http')).code).toBe(2)
    expect((await host.command('join', a.region)).err).toContain('bedplate controller token')
  })
  test('and then it joins with that token', async () => {
    const { code, out, err } = await host.joining(a.region, good, '--no-start', ...databaseHost()).ended
    expect([code, err]).toEqual([0, `Start it: bedplate run --config ${host.config}\n`])
    expect(out).toContain('has joined as region, refused (')
    const again = await host.joining(a.region, good, '--no-start').ended // cut off before it started, and said again
    expect([again.code, again.err]).toEqual([0, expect.stringContaining('has joined before')])
    const elsewhere = await hosts.host('elsewhere')
    expect((await elsewhere.joining(a.region, good, ...databaseHost()).ended).err).toMatch(/this token was used already, by \S+ on .* Make a new enrolment token/)
    expect((await on(a, 'controller', 'remove', 'refused', '--force')).code).toBe(0)
  })
})

test('a second region joins in one command', async () => {
  b = await hosts.host('region-b')
  await b.join(a.region, await enrolment(a, ['region']), ...databaseHost())
  await ready(b)
  const modes = await Promise.all([b.config, join(b.data, 'secret.key'), join(b.data, 'identity', 'key.pem')].map(async file => (await stat(file)).mode & 0o777))
  expect(modes).toEqual([0o600, 0o600, 0o600])
  expect(await readFile(join(b.data, 'secret.key'), 'utf8')).toBe(await readFile(join(a.data, 'secret.key'), 'utf8'))
  expect(parse(await readFile(b.config, 'utf8'))).toMatchObject({ roles: ['region'], hostname: 'region-b', dataDirectory: b.data, database: { hosts: [server().host], name: db.options.database }, rpc: { advertise: ['127.0.0.1'] } })
  const list = await until(async () => { const all = await controllers(a); return all.length === 2 && all.every(one => one.httpPort !== null) ? all : undefined }, { timeout: 10_000, what: 'both regions to tell their ports' })
  expect(list.map(one => [one.hostname, one.api, one.rpcPort, one.addresses])).toEqual([['region-a', [a.url], a.rpcPort, ['127.0.0.1']], ['region-b', [b.url], b.rpcPort, ['127.0.0.1']]])
  expect(Date.parse(list[1]?.startedAt ?? '')).toBeGreaterThan(Date.parse(list[0]?.startedAt ?? ''))
})

test('a rack joins with what its token allows, and links to both', async () => {
  rack = await hosts.host('rack-1')
  const enrolling = await enrolment(a, ['rack'])
  await rack.join(a.region, enrolling)
  const id = await rack.id()
  await Promise.all([linkedTo(a, id), linkedTo(b, id)])
  expect(parse(await readFile(rack.config, 'utf8'))).toMatchObject({ roles: ['rack'], regions: [a.region] })
  expect(await rack.joining(a.region, enrolling).ended).toMatchObject({ code: 0, out: expect.stringContaining('has joined already') })
  const shown = JSON.parse((await on(b, 'controller', 'show', 'rack-1', '-o', 'json')).out) as Known
  expect(shown).toMatchObject({ id, hostname: 'rack-1', roles: ['rack'], linked: true, api: [], rpcPort: null })
})

test('the first region is killed: the second leads, and opens what the first has sealed', async () => {
  const { id } = await ask<{ id: string }>(a, 'POST', '/machines', { macs: ['52:54:00:31:00:01'], power: { address: addressOf(bmc) } })
  await a.end('SIGKILL')
  await until(async () => (await ask<{ leading?: unknown }>(b, 'GET', '/status')).leading !== undefined, { timeout: 15_000, what: 'the second region to lead' })
  await ask(b, 'POST', `/machines/${id}/commission`, {})
  await until(() => bmc.machine.boots().length > 0, { timeout: 20_000, what: 'the machine to be switched on' })
  expect(bmc.machine.boots()).toEqual(['network'])
})

test('a dead controller is removed, turned away when it comes back, and joins anew', async () => {
  const gone = await a.id()
  const early = await on(b, 'controller', 'remove', 'region-a')
  if (early.code !== 0) {
    expect(early.err).toMatch(/region-a was seen \d+ s ago: it is alive/)
    expect((await on(b, 'controller', 'remove', gone, '--force')).code).toBe(0)
  }
  expect((await controllers(b)).map(one => one.hostname)).toEqual(['region-b', 'rack-1'])
  expect((await on(b, 'controller', 'remove', gone)).err).toContain('There is no controller')
  const { code, err } = await a.command('run', '--config', a.config)
  expect([code, err]).toEqual([1, expect.stringMatching(/This region failed to start: it was removed from the installation on \S+\. "bedplate leave --force" on this host/)])
  expect((await a.command('leave', '--force', '--config', a.config)).code).toBe(0)
  expect((await folderOf(a)).filter(name => ['identity', 'secret.key', 'controller.id'].includes(name))).toEqual([])
  await a.join(b.region, await enrolment(b, ['region']), ...databaseHost())
  await ready(a)
  expect(await a.id()).not.toBe(gone)
}, 120_000)

test('a rack leaves: what waits on its disk arrives once and in order, and it is forgotten', async () => {
  const id = await rack.id()
  expect((await rack.end('SIGTERM')).code).toBe(0)
  const store = openRackStore(rack.data, () => {})
  for (const n of [1, 2, 3]) store.append('nobody', 'said', new Date().toISOString(), JSON.stringify({ n }))
  store.close()
  const { code, out, err } = await rack.command('leave', '--config', rack.config)
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain('This host has left.')
  const rows = await db.query<{ body: { n: number } }>('select body from core.fact_rejected where rack = $1 order by seq', [id])
  expect(rows.map(row => row.body.n)).toEqual([1, 2, 3])
  expect(await db.query('select rack from core.rack_state where rack = $1 union select rack from core.fact_cursor where rack = $1 union select id from core.controller where id = $1', [id])).toEqual([])
  expect((await readdir(rack.folder)).filter(name => name.startsWith('bedplate.yaml'))).toEqual([expect.stringMatching(/^bedplate\.yaml\.left-/)])
  expect(await rack.command('leave', '--config', join(rack.folder, 'none.yaml'), '--data-directory', rack.data)).toMatchObject({ code: 1 })
})

test('a rack that runs is stopped by leave', async () => {
  const other = await hosts.host('rack-2')
  await other.join(b.region, await enrolment(b, ['rack']))
  const id = await other.id()
  await Promise.all([linkedTo(a, id), linkedTo(b, id)])
  expect(await other.command('leave', '--config', other.config)).toMatchObject({ code: 0, err: expect.stringMatching(/^Stopping Bedplate \(process \d+\)\.\n$/) })
  expect(await other.daemon?.ended).toMatchObject({ code: 0 })
  expect((await controllers(b)).map(one => one.hostname)).not.toContain('rack-2')
})

test('a live region is removed with force only: it stops by itself, and does not come back', async () => {
  const c = await hosts.host('region-c')
  await c.join(b.region, await enrolment(b, ['region']), ...databaseHost())
  await ready(c)
  await until(async () => (await controllers(b)).some(one => one.hostname === 'region-c' && one.httpPort !== null), { what: 'it to be in the list' })
  expect((await on(b, 'controller', 'remove', 'region-c')).err).toMatch(/region-c was seen \d s ago: it is alive\. Run "bedplate leave" on it/)
  expect((await on(b, 'controller', 'remove', 'region-c', '--force')).code).toBe(0)
  const { code, err } = await c.daemon?.ended ?? c.missing()
  expect([code, err]).toEqual([0, expect.stringContaining('This region stops: it was removed from the installation.')])
  expect((await c.command('run', '--config', c.config)).code).toBe(1)
  expect((await controllers(b)).map(one => one.hostname)).not.toContain('region-c')
}, 60_000)

test('a region that runs leaves and hands over at once; the last one may not', async () => {
  const id = await b.id()
  const started = performance.now()
  expect(await b.command('leave', '--config', b.config)).toMatchObject({ code: 0, out: expect.stringContaining('This host has left.') })
  await until(async () => (await ask<{ leading?: unknown }>(a, 'GET', '/status')).leading !== undefined, { timeout: 10_000, what: 'the other region to lead' })
  expect(performance.now() - started).toBeLessThan(20_000)
  expect(await b.daemon?.ended).toMatchObject({ code: 0 })
  expect((await controllers(a)).map(one => one.id)).not.toContain(id)
  const last = await a.command('leave', '--config', a.config, '--force')
  expect([last.code, last.err]).toEqual([1, expect.stringContaining('region-a is the only region: without it there is no installation to leave')])
  await ready(a) // and was not stopped
}, 60_000)
