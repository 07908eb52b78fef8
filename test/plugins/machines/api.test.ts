/** /api/v1/machines and /api/v1/power through the API host's own Fastify, on a real database, with a BMC. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApp } from '../../../core/http/app.ts'
import { authenticate } from '../../../core/http/authenticate.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createHooks } from '../../../core/hooks.ts'
import { drivers } from '../../../plugins/power/drivers.ts'
import { addressOf, startBmc, type Bmc } from '../../kit/bmc.ts'
import { createParts, quiet, type Parts } from './parts.ts'

let parts: Parts
let app: FastifyInstance
let bmc: Bmc
beforeAll(async () => {
  parts = await createParts()
  bmc = await startBmc()
  const hooks = createHooks()
  hooks.authenticate.tap('test', () => ({ id: '1', name: 'ann', scopes: ['admin'] }))
  app = createApp(quiet)
  conventions(app)
  authenticate(app, hooks)
  for (const [name, { routes }] of Object.entries(parts.running)) if (routes !== undefined) await app.withTypeProvider<TypeBoxTypeProvider>().register(routes, { prefix: `/api/v1/${name}` })
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await bmc.close()
  await parts.db.drop()
})

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
async function call (method: Method, path: string, body?: object, headers: Record<string, string> = {}) {
  const response = await app.inject({ method, url: `/api/v1/${path}`, headers, ...(body === undefined ? {} : { payload: body }) })
  return { status: response.statusCode, headers: response.headers, body: response.body === '' ? undefined : response.json() }
}
let count = 0
const mac = (): string => `52:54:00:20:00:${(++count).toString(16).padStart(2, '0')}`
const register = async (body: object = {}) => (await call('POST', 'machines', { macs: [mac()], ...body })).body
const act = async (id: string, ...events: string[]) => { for (const event of events) expect((await call('POST', `machines/${id}/${event}`, event === 'deploy' ? { image: 'debian-12' } : {})).status, event).toBe(200) }
const report = (id: string, event: 'commissioned' | 'installed' | 'deployed' | 'released') => parts.db.tx(tx => parts.machines.act(tx, id, event))

test('a machine is registered by hand, shown by id and by name, and found by any form of its MAC', async () => {
  const address = mac()
  const made = await call('POST', 'machines', { hostname: 'web-1', macs: [address.toUpperCase()], architecture: 'x86_64', power: { address: addressOf(bmc) } })
  expect(made).toMatchObject({ status: 201, headers: { etag: '"1"', location: `/api/v1/machines/${made.body.id}` }, body: { hostname: 'web-1', status: 'New', purpose: 'poweroff', interfaces: [{ mac: address, boot: true }], power: { driver: 'redfish', state: 'unknown' } } })
  for (const name of [made.body.id, 'web-1']) expect((await call('GET', `machines/${name}`)).body).toEqual(made.body)
  const found = await call('GET', `machines?mac=${encodeURIComponent(address.replaceAll(':', ''))}`)
  expect(found.body).toEqual({ items: [made.body] })
})

test('names and MACs are taken once', async () => {
  const address = mac()
  await register({ hostname: 'db-1', macs: [address] })
  expect(await call('POST', 'machines', { hostname: 'db-1', macs: [mac()] })).toMatchObject({ status: 409, body: { code: 'CONFLICT', detail: 'There is already a machine db-1.' } })
  expect(await call('POST', 'machines', { macs: [mac(), address] })).toMatchObject({ status: 409, body: { detail: expect.stringContaining(address) } })
  expect((await call('GET', 'machines?limit=1000')).body.items.filter((one: { interfaces: unknown[] }) => one.interfaces.length === 0)).toEqual([])
})

test('bad input costs a code and a sentence', async () => {
  const { id } = await register()
  const table: [Method, string, object | undefined, number, string][] = [
    ['POST', 'machines', { macs: [] }, 400, 'INVALID_REQUEST'],
    ['POST', 'machines', { macs: ['nonsense'] }, 400, 'INVALID_REQUEST'],
    ['POST', 'machines', { macs: [mac()], hostname: 'Not A Label' }, 400, 'INVALID_REQUEST'],
    ['POST', 'machines', { macs: [mac()], colour: 'red' }, 400, 'INVALID_REQUEST'],
    ['POST', 'machines', { macs: [mac()], power: { driver: 'nonsense' } }, 422, 'POWER_PARAMETERS_INVALID'],
    ['GET', 'machines?limit=0', undefined, 400, 'INVALID_REQUEST'],
    ['GET', 'machines?status=Happy', undefined, 400, 'INVALID_REQUEST'],
    ['GET', 'machines?mac=xyz', undefined, 400, 'INVALID_REQUEST'],
    ['GET', 'machines/nobody', undefined, 404, 'NOT_FOUND'],
    ['POST', 'machines/nobody/commission', {}, 404, 'NOT_FOUND'],
    ['POST', `machines/${id}/deploy`, {}, 400, 'INVALID_REQUEST'],
    ['POST', `machines/${id}/deploy`, { image: 'debian-12', sshKeys: ['not a key'] }, 400, 'INVALID_REQUEST'],
    ['POST', `machines/${id}/deploy`, { image: 'debian-12' }, 409, 'TRANSITION_INVALID'],
    ['POST', `machines/${id}/power/explode`, {}, 404, 'NOT_FOUND'],
    ['PUT', `machines/${id}/power`, { driver: 'redfish', parameters: {} }, 422, 'POWER_PARAMETERS_INVALID'],
    ['GET', `machines/${id}/events?after=x`, undefined, 400, 'INVALID_REQUEST']
  ]
  for (const [method, path, body, status, code] of table) {
    const answer = await call(method, path, body)
    expect(answer, `${method} ${path}`).toMatchObject({ status, body: { code, detail: expect.stringMatching(/\S/) } })
  }
})

test('a rename needs the version it was read in, when one is given', async () => {
  const { id } = await register()
  const first = await call('PATCH', `machines/${id}`, { hostname: 'renamed-1' }, { 'if-match': '"1"' })
  expect(first).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { hostname: 'renamed-1' } })
  expect(await call('PATCH', `machines/${id}`, { hostname: 'renamed-2' }, { 'if-match': '"1"' })).toMatchObject({ status: 412, body: { code: 'PRECONDITION_FAILED', etag: '"2"' } })
  expect((await call('PATCH', 'machines/renamed-1', { hostname: 'renamed-3' })).body).toMatchObject({ id, hostname: 'renamed-3' })
  await register({ hostname: 'taken' })
  expect((await call('PATCH', `machines/${id}`, { hostname: 'taken' })).status).toBe(409)
  expect((await call('GET', `machines/${id}`, undefined, { 'if-none-match': '"3"' })).status).toBe(304)
})


test('tags are a set: sorted, each once, kept whole or one by one, told to whoever follows machines', async () => {
  const { id } = await register()
  const before = await parts.db.feed.position()
  expect((await call('PATCH', `machines/${id}`, { tags: ['gpu', 'b', 'gpu', 'A'] })).body.tags).toEqual(['A', 'b', 'gpu'])
  expect((await call('PUT', `machines/${id}/tags/zone-1`)).body.tags).toEqual(['A', 'b', 'gpu', 'zone-1'])
  expect((await call('DELETE', `machines/${id}/tags/b`)).body.tags).toEqual(['A', 'gpu', 'zone-1'])
  expect((await parts.db.feed.since(before)).changes.filter(({ topic }) => topic === 'machines.machine')).toHaveLength(3)
  expect((await call('GET', 'machines?tag=gpu')).body.items.map((one: { id: string }) => one.id)).toEqual([id])
  expect((await call('GET', 'machines?tag=gp')).body.items).toEqual([])
  expect((await call('GET', `machines/${id}/events`)).body.items.map((one: { message: string }) => one.message)).toEqual(['Registered by ann', 'Tagged A, b, gpu by ann', 'Tagged zone-1 by ann', 'No longer tagged b by ann'])
})

test('a tag that is there, or gone, already changes nothing and tells nobody', async () => {
  const { id } = await register()
  await call('PUT', `machines/${id}/tags/gpu`)
  const [before, { headers }] = [await parts.db.feed.position(), await call('GET', `machines/${id}`)]
  await call('PUT', `machines/${id}/tags/gpu`)
  await call('DELETE', `machines/${id}/tags/none`)
  await call('PATCH', `machines/${id}`, { tags: ['gpu'], bootWay: null })
  expect((await call('GET', `machines/${id}`)).headers.etag).toBe(headers.etag)
  expect((await parts.db.feed.since(before)).changes).toEqual([])
})

test('two operators who tag a machine at once both keep their tag; one who sets them all needs the version, when one is given', async () => {
  const { id } = await register()
  await Promise.all(['a', 'b', 'c', 'd'].map(tag => call('PUT', `machines/${id}/tags/${tag}`)))
  expect((await call('GET', `machines/${id}`)).body.tags).toEqual(['a', 'b', 'c', 'd'])
  expect((await call('PATCH', `machines/${id}`, { tags: [] }, { 'if-match': '"1"' })).status).toBe(412)
})

test('the way a machine boots stands above its image\'s, until it is taken back', async () => {
  const { id } = await register()
  expect((await call('GET', `machines/${id}`)).body.bootWay).toBeNull()
  expect((await call('PATCH', `machines/${id}`, { bootWay: 'iscsi' })).body.bootWay).toBe('iscsi')
  expect((await call('PATCH', `machines/${id}`, { bootWay: null })).body.bootWay).toBeNull()
  expect((await call('GET', `machines/${id}/events`)).body.items.map((one: { message: string }) => one.message).slice(1)).toEqual(['Way to its root set to iscsi by ann', 'Way to its root left to its image by ann'])
})

test.each([[{ tags: ['two words'] }], [{ tags: [''] }], [{ tags: ['-x'] }], [{ tags: ['ü'] }], [{ tags: Array.from({ length: 101 }, (_, n) => `t${n}`) }], [{ bootWay: 'nfs' }], [{}], [{ colour: 'red' }]])('%j is refused, and nothing of it kept', async body => {
  const { id } = await register()
  expect(await call('PATCH', `machines/${id}`, { hostname: `kept-${id}`, ...body, ...(Object.keys(body).length === 0 ? { hostname: undefined } : {}) })).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } })
  expect((await call('GET', `machines/${id}`)).headers.etag).toBe('"1"')
})

test('the whole way, as an operator sees it', async () => {
  const { id } = await register({ hostname: 'way-1', power: { address: addressOf(bmc) } })
  await act(id, 'commission')
  await report(id, 'commissioned')
  await act(id, 'allocate')
  const deploying = await call('POST', `machines/${id}/deploy`, { image: 'debian-12', sshKeys: ['ssh-ed25519 AAAA me'], userData: '#cloud-config\n' })
  expect(deploying.body).toMatchObject({ status: 'Deploying', owner: 'ann', purpose: 'deploy', deadline: expect.stringMatching(/Z$/), deployment: { imageId: 'debian-12', sshKeys: ['ssh-ed25519 AAAA me'], userData: '#cloud-config\n', disk: null } })
  await report(id, 'installed')
  await report(id, 'deployed')
  expect((await call('GET', 'machines?status=Deployed&owner=ann')).body.items).toMatchObject([{ id, purpose: 'local', installed: true }])
  expect(await call('DELETE', `machines/${id}`)).toMatchObject({ status: 409, body: { detail: 'Machine way-1 is Deployed. Release it first, or mark it broken.' } })
  await act(id, 'release')
  await report(id, 'released')
  expect((await call('GET', `machines/${id}`)).body).toMatchObject({ status: 'Ready', owner: null, deployment: null })
  expect((await call('POST', `machines/${id}/mark-broken`, { reason: 'fan 3 is dead' })).body).toMatchObject({ status: 'Broken', reason: 'fan 3 is dead' })
  expect((await call('DELETE', `machines/${id}`)).status).toBe(204)
  expect((await call('GET', `machines/${id}`)).status).toBe(404)
  expect((await call('GET', `power/machines/${id}`)).status).toBe(404)
})

test('a verb needs no body', async () => {
  const { id } = await register()
  expect((await call('POST', `machines/${id}/commission`)).body).toMatchObject({ status: 'Commissioning' })
  expect((await call('POST', `machines/${id}/abort`)).body).toMatchObject({ status: 'New', reason: 'abort by ann, no reason given' })
})

test('pages follow each other without gap or repetition', async () => {
  for (let n = 0; n < 5; n++) await register()
  const all: string[] = (await call('GET', 'machines?limit=1000')).body.items.map((one: { id: string }) => one.id)
  const paged: string[] = []
  for (let after = ''; ;) {
    const { items, next } = (await call('GET', `machines?limit=2${after}`)).body
    paged.push(...items.map((one: { id: string }) => one.id))
    if (next === undefined) break
    after = `&after=${next}`
  }
  expect(paged).toEqual(all)
})

test('events come oldest first and go on after the last one seen', async () => {
  const { id } = await register()
  await act(id, 'commission', 'abort')
  const { items, next } = (await call('GET', `machines/${id}/events?limit=2`)).body
  expect(items.map((one: { message: string }) => one.message)).toEqual(['Registered by ann', 'New → Commissioning (commission by ann)'])
  expect((await call('GET', `machines/${id}/events?after=${next}`)).body).toMatchObject({ items: [{ type: 'status', level: 'warning', data: { from: 'Commissioning', to: 'New', event: 'abort', by: 'ann' } }] })
})

test('power is configured, masked, asked and wished for', async () => {
  const { id } = await register()
  expect((await call('GET', `machines/${id}/power`)).body).toMatchObject({ driver: null, state: 'unknown' })
  const put = await call('PUT', `machines/${id}/power`, { address: addressOf(bmc), parameters: {} })
  expect(put).toMatchObject({ status: 200, body: { driver: 'redfish', parameters: { user: 'root', password: '••••••' } } })
  expect(JSON.stringify(put.body)).not.toContain('calvin')
  bmc.machine.set('on')
  expect((await call('GET', `machines/${id}/power/state`)).body).toEqual({ state: 'on' })
  expect((await call('GET', `machines/${id}`)).body.power).toMatchObject({ driver: 'redfish', state: 'on', error: null })
  expect(await call('POST', `machines/${id}/power/cycle`, { boot: 'network' })).toMatchObject({ status: 202, body: { machine: id, action: 'cycle' } })
  expect((await call('GET', `power/machines/${id}`)).body).toMatchObject({ driver: 'redfish', state: 'on', actions: [{ action: 'cycle', boot: 'network', state: 'queued', attempts: 0, finishedAt: null }] })
  const { items } = (await call('GET', `machines/${id}/events`)).body
  expect(items.map((one: { message: string }) => one.message)).toContain('Power cycle asked for by ann')
})

test('the drivers are listed with schemas a form can be made from', async () => {
  const { items } = (await call('GET', 'power/drivers')).body
  expect(items.map((one: { name: string }) => one.name)).toEqual(drivers.map(({ name }) => name))
  expect(items.find((one: { name: string }) => one.name === 'redfish')).toMatchObject({ experimental: null, capabilities: expect.arrayContaining(['on', 'off', 'shutdown', 'state', 'boot-device']) })
  expect(items.find((one: { name: string }) => one.name === 'redfish').parameters).toMatchObject({ type: 'object', required: ['address'], properties: { password: { type: 'string', writeOnly: true, title: 'Password' } } })
})
