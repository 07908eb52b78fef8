/** From an upload to a booting machine: the halves of images and boot together, real database, disk, TFTP and HTTP; only machines and sessions are faked. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { createSecrets } from '../../../core/secrets.ts'
import type { Change } from '../../../core/plugin.ts'
import { manifest as bootManifest } from '../../../plugins/boot/manifest.ts'
import bootRegion from '../../../plugins/boot/region.ts'
import { chunkBytes, manifest } from '../../../plugins/images/manifest.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { quiet } from '../../kit/parts.ts'
import { until } from '../../kit/wait.ts'
import { fakeInitrd, fakeKernel, fakeRoot, serve, setupRack, setupRegion, sha256 } from '../images/rig.ts'
import { download } from './client.ts'
import { fakeMachine, fakeMachines, fakePlan } from './fakes.ts'
import { folder, freePort, rackHalf } from './rig.ts'

const mac = '52:54:00:00:00:07'
const kernel = fakeKernel(chunkBytes + 5000)
const initrd = fakeInitrd(3000)
const root = fakeRoot(2 * chunkBytes + 11)
const loader = randomBytes(70_000)
const signal = new AbortController().signal
const caller = { controller: 'rack', signal }

let db: TestDatabase
let disk: Awaited<ReturnType<typeof folder>>
let closing: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  db = await testDatabase({ migrations: [manifest, bootManifest] })
  disk = await folder({ 'undionly.kpxe': loader })
})
afterAll(async () => {
  for (const close of closing.reverse()) await close()
  await disk?.remove()
  await db?.drop()
})

test('an image goes in by the API and comes out at the machine, also once the region is gone', async () => {
  const images = setupRegion(db)
  const api = await serve(images)
  closing.push(api.close)
  const machines = fakeMachines()
  machines.all.set('1', fakeMachine({ interfaces: [{ mac, name: null, vlanId: null, boot: true }] }))
  const boot = bootRegion.setup({
    config: { tftpPort: 69, httpsPort: 0, iscsiPort: 0, loaderDirectory: '', console: '' }, hooks: createHooks(), log: quiet, clock: systemClock, metrics: createMetrics(), db, secrets: createSecrets(Buffer.alloc(32)),
    deps: { ...fakePlan(), machines: machines.service, images: images.provides.images, provision: { session: async () => ({ token: 'tok', image: null }) } },
    controller: { id: 'region', hostname: 'region', roles: ['region'], version: '0', dataDirectory: '' }, rack: () => { throw new TypeError('none') }, racks: () => []
  })

  let linked = true
  const cache = setupRack(async params => linked ? images.rpc.chunk(params, caller) : Promise.reject(new TypeError('the region is gone')), disk.path, { cacheDirectory: join(disk.path, 'cache') })
  const tftpPort = await freePort()
  const rack = await rackHalf(cache.files, { loaderDirectory: disk.path, tftpPort })
  closing.push(rack.close, () => cache.service.stop())
  await cache.service.start(signal)
  for (const service of rack.running.services) {
    await service.start(signal)
    closing.push(() => service.stop())
  }

  // The link, as the core keeps it: the whole once, then what the change log touches.
  let position = await db.feed.position()
  cache.running.apply!({ put: await images.wanted!('rack'), remove: [] }, true)
  rack.running.apply!({ put: await boot.wanted!('rack'), remove: [] }, true)
  const follow = async (more: readonly Change[] = []) => {
    const read = await db.feed.since(position)
    position = read.position
    const changes = [...read.changes, ...more]
    const files = await images.touches!(changes)
    const put = await images.wanted!('rack', files)
    cache.running.apply!({ put, remove: files.filter(({ id }) => !put.some(entry => entry.id === id)) }, false)
    const keys = await boot.touches!(changes)
    const entries = await boot.wanted!('rack', keys)
    rack.running.apply!({ put: entries, remove: keys.filter(key => !entries.some(entry => entry.kind === key.kind && entry.id === key.id)) }, false)
  }
  const script = async (of = mac) => (await fetch(`${rack.base}/boot/ipxe/${of}`)).text()

  expect(await script()).toContain('There is no image for amd64.')
  expect(await script('52:54:00:99:99:99')).toContain('no image has been imported')

  for (const bytes of [kernel, initrd, root]) {
    expect((await fetch(`${api.url}/files/${sha256(bytes)}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes.slice() })).status).toBe(201)
  }
  const made = await fetch(`${api.url}/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({
    name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: 'quiet', kernel: sha256(kernel), initrd: sha256(initrd), root: sha256(root) }) })
  expect(made.status).toBe(201)
  const { id } = await made.json() as { id: string }
  await follow()

  const told = await script()
  expect(told).toContain('Bedplate: otter: commission')
  expect(await script('52:54:00:99:99:99')).toContain(`bedplate.url=${rack.base}/provision/enlist `)
  const urls = [...told.matchAll(/http:\S+\/boot\/files\/\S+/g)].map(([url]) => url)
  expect(urls).toHaveLength(3)
  const fetched = await Promise.all(urls.map(async url => Buffer.from(await (await fetch(url)).arrayBuffer())))
  expect(fetched.map(bytes => sha256(bytes)).sort()).toEqual([kernel, initrd, root].map(sha256).sort())
  expect((await download(tftpPort, 'undionly.kpxe', { blksize: 1432, tsize: 0 })).equals(loader)).toBe(true)

  // What the racks have to tell.
  await until(() => cache.reported.length === 3)
  await db.tx(tx => images.facts!(tx, 'rack-1', cache.reported.map(body => ({ kind: 'held' as const, at: new Date().toISOString(), body }))))
  expect(await (await fetch(`${api.url}/${id}`)).json()).toMatchObject({ racks: ['rack-1'] })
  await until(() => rack.reports.some(({ by }) => by === 'tftp'))
  expect(rack.reports.filter(({ machine }) => machine === '1').map(({ what }) => what)).toEqual([`/ipxe/${mac}`, `/ipxe/${mac}`])

  // A newer image says itself what iPXE is told; the other loaders are told what is made here.
  const own = await fetch(`${api.url}/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({
    name: 'own', os: 'debian', release: '12', architecture: 'amd64', title: 'Own', user: 'debian', kernelOptions: 'quiet', kernel: sha256(kernel), initrd: sha256(initrd), root: sha256(root),
    templates: { ipxe: '#!ipxe\nkernel {{base}}{{kernel}} {{options}} mine={{mac}}\ninitrd {{base}}{{initrd}}\nboot\n' } }) })
  expect(own.status).toBe(201)
  await follow()
  const mine = (of: string, last: string) => new RegExp(`^#!ipxe\nkernel ${rack.base}/boot/files/${sha256(kernel)}/vmlinuz initrd=initrd\\.img boot=bedplate .*bedplate\\.url=${rack.base}/provision/${last} .* mine=${of}\ninitrd ${rack.base}/boot/files/${sha256(initrd)}/initrd\\.img\nboot\n$`)
  expect(await script()).toMatch(mine(mac, '\\w+'))
  expect(await script('52:54:00:99:99:99')).toMatch(mine('52:54:00:99:99:99', 'enlist'))
  expect((await download(tftpPort, `pxelinux.cfg/01-${mac.replaceAll(':', '-')}`, {})).toString()).toContain('LABEL bedplate')
  expect((await fetch(`${api.url}/${(await own.json() as { id: string }).id}`, { method: 'DELETE' })).status).toBe(204)
  await follow()
  expect(await script()).toBe(told)

  // No region any more: everything goes on.
  linked = false
  await api.close()
  expect(await script()).toBe(told)
  expect(sha256(Buffer.from(await (await fetch(urls[0]!)).arrayBuffer()))).toBe(sha256(kernel))

  // The machine is removed: it is unknown at once.
  machines.all.delete('1')
  await follow([{ seq: '0', topic: 'machines.machine', id: '1' }])
  expect(await script()).toContain('/provision/enlist ')
})
