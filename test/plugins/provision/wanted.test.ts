/** What racks are told of sessions, and which changes make them be told again. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Change, Entry } from '../../../core/plugin.ts'
import { check } from '../../../core/rpc/check.ts'
import { renderCommission, renderEnlist } from '../../../plugins/provision/collect.ts'
import { manifest } from '../../../plugins/provision/manifest.ts'
import { renderRelease } from '../../../plugins/provision/release.ts'
import { createWanted } from '../../../plugins/provision/wanted.ts'
import { createRig, deployment, type Rig } from './region.rig.ts'
import { rackHalf } from './rack.rig.ts'

type ProvisionEntry = Entry<typeof manifest.wanted>
type Key = Parameters<NonNullable<Rig['running']['wanted']>>[1] & {}
let rig: Rig
let image: string
let segment: { vlanId: string, subnetId: string }
beforeAll(async () => {
  rig = await createRig()
  segment = await rig.segment('10.7.0.0/24', { gateway: '10.7.0.1', dnsServers: ['10.7.0.2'] })
  image = await rig.image()
})
afterAll(() => rig?.db.drop())
afterEach(() => rig.db.query('delete from provision.session')) // each test counts its own

const wanted = async (keys?: Key): Promise<readonly ProvisionEntry[]> => {
  const entries = await rig.running.wanted!('rack-1', keys)
  for (const { kind, value } of entries) expect(check(manifest.wanted[kind], value)).toBeUndefined()
  return entries
}
const sessions = async (keys?: Key) => (await wanted(keys)).flatMap(entry => entry.kind === 'session' ? [entry] : [])
const key = (id: string) => ({ kind: 'session' as const, id })
const touched = async (changes: readonly Change[]) => (await rig.running.touches!(changes)).map(({ kind, id }) => { expect(kind).toBe('session'); return id }).sort()
const touchedBy = async (work: () => Promise<unknown>) => await touched(await rig.changes(work))
const change = (topic: string, id: string): Change => ({ seq: '1', topic, id })
const commissioning = async () => await rig.act((await rig.enlisted()).id, 'commission')

describe('what a rack is told', () => {
  test('without any session: the script for machines nobody knows', async () => {
    expect(await wanted()).toEqual([{ kind: 'enlist', id: 'enlist', value: { script: renderEnlist() } }])
  })
  test('a commissioning session has its script and no metadata', async () => {
    const { id } = await commissioning()
    expect(await sessions()).toEqual([{ kind: 'session', id: await rig.token(id), value: { machine: id, purpose: 'commission', script: renderCommission(), metaData: '', userData: '', vendorData: '', networkConfig: '' } }])
  })
  test('a deployment has the installation for its disk and the metadata for its address', async () => {
    const { id, hostname, interfaces } = await rig.deploying(image)
    const [own] = await rig.addresses(id)
    const [entry] = await sessions()
    expect(entry).toMatchObject({ id: await rig.token(id), value: { machine: id, purpose: 'deploy' } })
    expect(entry!.value.script).toContain('/dev/vda')
    expect(entry!.value.metaData).toContain(hostname)
    expect(entry!.value.vendorData).toContain('ssh-ed25519 AAAA me')
    expect(JSON.parse(entry!.value.networkConfig)).toMatchObject({ version: 2, ethernets: { boot: { match: { macaddress: interfaces[0]!.mac }, addresses: [`${own!.address}/24`], nameservers: { addresses: ['10.7.0.2'] } } } })
    expect(entry!.value.networkConfig).toContain('10.7.0.1')
  })
  test('the address of the deployment, not one the interface has otherwise', async () => {
    const machine = await rig.allocated()
    const { mac } = machine.interfaces[0]!
    const sticky = await rig.db.tx(tx => rig.network.allocate(tx, { subnetId: segment.subnetId, kind: 'sticky', mac, owner: machine.id }))
    await rig.act(machine.id, 'deploy', { deployment: deployment(image) })
    const own = (await rig.addresses(machine.id)).find(({ kind }) => kind === 'auto')!
    const [entry] = await sessions()
    expect(entry!.value.networkConfig).toContain(`"${own.address}/24"`)
    expect(entry!.value.networkConfig).not.toContain(`"${sticky.address}/24"`)
  })
  test('the operator\'s user data as it was given', async () => {
    const { id } = await rig.allocated()
    await rig.act(id, 'deploy', { deployment: deployment(image, { userData: '#!/bin/sh\necho "ü" \'$x\'\n' }) })
    expect((await sessions())[0]?.value.userData).toBe('#!/bin/sh\necho "ü" \'$x\'\n')
  })
  test('a release has the script that wipes', async () => {
    const { id } = await rig.deploying(image)
    await rig.act(id, 'deployed')
    await rig.act(id, 'release')
    expect((await sessions())[0]?.value).toMatchObject({ purpose: 'release', script: renderRelease(), metaData: '' })
  })
  test('asked for keys: those alone; what is gone or never was is absent', async () => {
    const [first, second] = [await commissioning(), await commissioning()]
    const [one, two] = [await rig.token(first.id), await rig.token(second.id)]
    expect((await sessions([key(two), key('never')])).map(({ id }) => id)).toEqual([two])
    expect(await wanted([key('never')])).toEqual([])
    expect(await wanted([])).toEqual([])
    expect(await wanted([{ kind: 'enlist', id: 'enlist' }])).toMatchObject([{ kind: 'enlist' }])
    expect((await wanted([{ kind: 'enlist', id: 'enlist' }, key(one)])).map(({ kind }) => kind)).toEqual(['enlist', 'session'])
    await rig.act(first.id, 'abort')
    expect(await wanted([key(one)])).toEqual([])
  })
  test('every rack is told the same: a machine may boot wherever it is plugged in', async () => {
    await commissioning()
    expect(await rig.running.wanted!('rack-2')).toEqual(await rig.running.wanted!('rack-1'))
  })
  test('a deployment whose image is gone stands, and tells so itself', async () => {
    const doomed = await rig.image({ name: 'doomed' })
    const { id } = await rig.deploying(doomed)
    await rig.db.query('delete from images.image where id = $1', [doomed])
    expect(await sessions()).toEqual([{
      kind: 'session', id: await rig.token(id),
      value: { machine: id, purpose: 'deploy', script: `report install failed 'Image ${doomed} is gone.'\necho poweroff > /run/bedplate/next\n`, metaData: '', userData: '', vendorData: '', networkConfig: '' }
    }])
  })
  test('a session whose machine is gone is absent, and keeps no other from being told', async () => {
    const other = await commissioning()
    await rig.db.query('insert into provision.session (machine, token, purpose) values ($1, $2, $3)', ['nobody', 'tok', 'deploy'])
    expect(await wanted([key('tok')])).toEqual([])
    expect((await sessions()).map(({ value }) => value.machine)).toEqual([other.id])
  })
  test('a deployment that can no longer be rendered tells so itself', async () => {
    const { id } = await rig.deploying(image)
    await rig.db.query('update machines.machine set inventory = jsonb_set(inventory, \'{disks}\', \'[]\') where id = $1', [id])
    expect((await sessions())[0]?.value.script).toMatch(/^report install failed 'No disk/)
  })
})

describe('what a change concerns', () => {
  test('the beginning of a session: its token', async () => {
    const { id } = await rig.enlisted()
    const changes = await rig.changes(() => rig.act(id, 'commission'))
    expect(await touched(changes)).toEqual([await rig.token(id)])
    expect(changes.map(({ topic, id: row }) => `${topic} ${row}`)).toContain(`provision.session ${id}`)
  })
  test('its end: the token it had, so that the rack forgets it', async () => {
    const { id } = await commissioning()
    const token = await rig.token(id)
    expect(await touchedBy(() => rig.act(id, 'abort'))).toEqual([token])
    expect(await wanted([key(token)])).toEqual([])
  })
  test('one session replaced by another: both tokens', async () => {
    const { id } = await rig.deploying(image)
    await rig.act(id, 'deployed')
    const old = await rig.token(id)
    const ids = await touchedBy(() => rig.act(id, 'release'))
    expect(new Set(ids)).toEqual(new Set([old, await rig.token(id)]))
    expect((await sessions(ids.map(key))).map(entry => entry.id)).toEqual([await rig.token(id)])
  })
  test('a machine with a session: that one alone; one without: nothing', async () => {
    const [mine, other] = [await commissioning(), await commissioning()]
    const idle = await rig.enlisted()
    expect(await touched([change('machines.machine', mine.id)])).toEqual([await rig.token(mine.id)])
    expect(await touched([change('machines.machine', idle.id), change('machines.machine', 'nobody')])).toEqual([])
    expect(await touched([change('machines.machine', other.id), change('machines.machine', other.id), change('machines.machine', mine.id)])).toEqual([await rig.token(mine.id), await rig.token(other.id)].sort())
  })
  test('history, power and racks: nothing', async () => {
    await commissioning()
    expect(await touched([change('machines.event', '1'), change('power.machine', '1'), change('network.attachment', 'rack-1'), change('images.file', 'x'), change('provision.session', 'x')])).toEqual([])
  })
  test.each(['images.image', 'network.subnet', 'network.address'])('%s: every session, whoever changed', async topic => {
    const { id } = await rig.deploying(image)
    const { id: other } = await commissioning()
    expect(await touched([change(topic, 'whatever')])).toEqual([await rig.token(id), await rig.token(other)].sort())
  })
  test('a changed subnet reaches the metadata', async () => {
    const { id } = await rig.deploying(image)
    const ids = await touchedBy(() => rig.db.tx(async tx => {
      await tx.query('update network.subnet set dns_servers = \'{10.7.0.3}\' where id = $1', [segment.subnetId])
      await tx.changed('network.subnet', segment.subnetId)
    }))
    expect(ids).toEqual([await rig.token(id)])
    expect((await sessions(ids.map(key)))[0]?.value.networkConfig).toContain('10.7.0.3')
  })
})

test('an image that is deleted while it is installed ends no session: the machine is heard to its end, and gets no metadata that would leave it without an account', async () => {
  const doomed = await rig.image({ name: 'doomed' })
  const { id } = await rig.deploying(doomed)
  const token = await rig.token(id)
  const rack = await rackHalf()
  rack.running.apply!({ put: await wanted(), remove: [] }, true)
  const ids = (await touchedBy(() => rig.db.tx(async tx => {
    await tx.query('delete from images.image where id = $1', [doomed])
    await tx.changed('images.image', doomed)
  }))).map(key)
  const put = await wanted(ids)
  rack.running.apply!({ put, remove: ids.filter(one => !put.some(entry => entry.id === one.id)) }, false)
  expect((await rack.post(`/${token}/report`, new URLSearchParams({ stage: 'installed', status: 'ok', message: 'done' }))).status).toBe(204)
  expect((await rack.post(`/${token}/phone-home`, new URLSearchParams({ hostname: 'otter' }))).status).toBe(204)
  for (const name of ['meta-data', 'user-data', 'vendor-data', 'network-config']) expect(await rack.get(`/${token}/${name}`)).toMatchObject({ status: 404, text: expect.stringContaining('no metadata') })
  await rack.close()
  await rig.says(id).report('installed', 'ok')
  await rig.says(id).phoneHome()
  expect((await rig.show(id)).status).toBe('Deployed')
})

test('told change by change, a rack knows after a long way just what it would be told anew', async () => {
  const rack = await rackHalf()
  const memory = createWanted()
  const apply = (change: { put: readonly ProvisionEntry[], remove: Key }, whole: boolean) => { memory.apply(change, whole); rack.running.apply!(change, whole) }
  const whole = await wanted()
  apply({ put: whole, remove: [] }, true)
  const known = new Set<string>()
  const follow = async (work: () => Promise<unknown>) => {
    const ids = (await touchedBy(work)).map(key)
    const put = ids.length === 0 ? [] : await wanted(ids)
    apply({ put, remove: ids.filter(({ id }) => !put.some(entry => entry.id === id)) }, false)
    for (const { id } of ids) known.add(id)
    const now = await sessions()
    for (const token of known) expect(memory.session(token)).toEqual(now.find(({ id }) => id === token)?.value)
    for (const { id } of now) expect(memory.session(id)).toBeDefined()
  }
  let id = ''
  await follow(async () => { id = (await rig.ready()).id })
  await follow(() => rig.act(id, 'allocate'))
  await follow(() => rig.act(id, 'deploy', { deployment: deployment(image) }))
  const first = await rig.token(id)
  expect((await rack.get(`/${first}/meta-data`)).status).toBe(200)
  await follow(() => rig.says(id).report('x', 'failed'))
  expect((await rack.get(`/${first}/meta-data`)).status).toBe(410)
  await follow(() => rig.act(id, 'deploy', { deployment: deployment(image) }))
  await follow(() => rig.says(id).report('installed', 'ok'))
  await follow(() => rig.says(id).phoneHome())
  await follow(() => rig.act(id, 'release'))
  await follow(() => rig.says(id).report('released', 'ok'))
  await follow(() => commissioning())
  expect(known.size).toBeGreaterThanOrEqual(4)
  expect(memory.enlist()).toBe(renderEnlist())
  await rack.close()
})
