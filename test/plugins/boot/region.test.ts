/** boot's region half: what racks are told, when they are told again, and what becomes of what they report. */
import { beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Change, Database, Tx } from '../../../core/plugin.ts'
import { createSecrets } from '../../../core/secrets.ts'
import region from '../../../plugins/boot/region.ts'
import { quiet } from '../../kit/parts.ts'
import { fakeImage, fakeImages, fakeMachine, fakeMachines, fakePlan } from './fakes.ts'

const tx: Tx = { query: async () => [], changed: async () => {} }
const db: Database = { ...tx, once: async () => [], tx: work => work(tx) }
const nic = (mac: string) => ({ mac, name: null, vlanId: null, boot: false })
const change = (topic: string, id: string): Change => ({ seq: '1', topic, id })

let machines: ReturnType<typeof fakeMachines>
let images: ReturnType<typeof fakeImages>
let sessions: Map<string, string>
let running: ReturnType<typeof region.setup>
beforeEach(() => {
  machines = fakeMachines()
  images = fakeImages(fakeImage(), fakeImage({ id: '5', name: 'arm', architecture: 'arm64' }))
  sessions = new Map([['1', 'tok1']])
  running = region.setup({
    config: { tftpPort: 69, httpsPort: 0, iscsiPort: 0, loaderDirectory: '', console: '' }, hooks: createHooks(), log: quiet, clock: systemClock, metrics: createMetrics(), db, secrets: createSecrets(Buffer.alloc(32)),
    deps: { ...fakePlan(), machines: machines.service, images: images.service, provision: { session: async (_q, machine) => { const token = sessions.get(machine); return token === undefined ? undefined : { token, image: machines.all.get(machine)?.deployment?.imageId ?? null } } } },
    controller: { id: 'region', hostname: 'region', roles: ['region'], version: '0', dataDirectory: '' }, rack: () => { throw new TypeError('none') }, racks: () => []
  })
  machines.all.set('1', fakeMachine({ interfaces: [nic('m1'), nic('m2')] }))
})
const all = () => running.wanted!('rack')
const ids = (list: readonly { readonly kind: string, readonly id: string }[]) => list.map(({ kind, id }) => `${kind} ${id}`).sort()

describe('what racks are told', () => {
  test('each MAC of each machine has an entry, and each architecture with an image an unknown one', async () => {
    expect(ids(await all())).toEqual(['machine m1', 'machine m2', 'unknown amd64', 'unknown arm64'])
    expect((await all()).find(({ id }) => id === 'm1')?.value).toMatchObject({ machine: '1', purpose: 'commission', token: 'tok1', files: { kernel: { sha256: '1'.repeat(64) }, options: 'quiet' } })
  })
  test('asked for keys, it gives those alone, and nothing for what is gone', async () => {
    expect(ids(await running.wanted!('rack', [{ kind: 'machine', id: 'm2' }, { kind: 'machine', id: 'nobody' }, { kind: 'unknown', id: 'arm64' }, { kind: 'unknown', id: 'vax' }]))).toEqual(['machine m2', 'unknown arm64'])
  })
  test('a deploying machine gets the image of its deployment, not the newest', async () => {
    images.all.push(fakeImage({ id: '6', kernel: { sha256: 'f'.repeat(64), size: 1 } }))
    machines.purposes.set('1', 'deploy')
    machines.all.set('1', fakeMachine({ deployment: { imageId: '4', sshKeys: [], userData: null, disk: null }, interfaces: [nic('m1')] }))
    expect((await all())[0]?.value).toMatchObject({ purpose: 'deploy', files: { kernel: { sha256: '1'.repeat(64) } } })
    machines.purposes.set('1', 'commission')
    expect((await all())[0]?.value).toMatchObject({ files: { kernel: { sha256: 'f'.repeat(64) } } })
  })
  test('a machine that boots from disk or is switched off is told no token and no files', async () => {
    for (const purpose of ['local', 'poweroff'] as const) {
      machines.purposes.set('1', purpose)
      expect((await all())[0]?.value).toMatchObject({ purpose, token: null, files: null })
    }
  })
  test('a machine to be enlisted boots like one nobody knows', async () => {
    machines.purposes.set('1', 'enlist')
    expect(ids(await all())).toEqual(['unknown amd64', 'unknown arm64'])
  })
  test('no image and no session are told as such', async () => {
    images.all.length = 0
    sessions.clear()
    expect((await all())[0]?.value).toMatchObject({ token: null, files: null, reason: 'There is no image for amd64.' })
  })
  test('a thousand machines cost one look at the image', async () => {
    for (let n = 2; n <= 1000; n++) machines.all.set(String(n), fakeMachine({ id: String(n), interfaces: [nic(`x${n}`)] }))
    expect(await all()).toHaveLength(1003)
    expect(images.lookups).toBe(2)
  })
})

describe('what a change concerns', () => {
  test('a machine or its session: its MACs', async () => {
    expect(ids(await running.touches!([change('machines.machine', '1')]))).toEqual(['machine m1', 'machine m2'])
    expect(ids(await running.touches!([change('provision.session', '1'), change('provision.session', '1')]))).toEqual(['machine m1', 'machine m2'])
    expect(await running.touches!([change('network.subnet', '1')])).toEqual([])
  })
  test('a machine that was removed, or lost a MAC: the MACs it had', async () => {
    await all()
    machines.all.set('1', fakeMachine({ interfaces: [nic('m1'), nic('m3')] }))
    expect(ids(await running.touches!([change('machines.machine', '1')]))).toEqual(['machine m1', 'machine m2', 'machine m3'])
    machines.all.delete('1')
    expect(ids(await running.touches!([change('machines.machine', '1')]))).toEqual(['machine m1', 'machine m3'])
    expect(await running.touches!([change('machines.machine', '1')])).toEqual([])
  })
  test('a whole computed between the change and its touch does not make it forget', async () => {
    await all()
    machines.all.set('1', fakeMachine({ interfaces: [nic('m1')] }))
    await all()
    expect(ids(await running.touches!([change('machines.machine', '1')]))).toEqual(['machine m1', 'machine m2'])
  })
  test('an image: unknown machines, and those that run one; also the last image of an architecture', async () => {
    machines.purposes.set('2', 'local')
    machines.all.set('2', fakeMachine({ id: '2', interfaces: [nic('m9')] }))
    await all()
    images.all.pop()
    expect(ids(await running.touches!([change('images.image', '5')]))).toEqual(['machine m1', 'machine m2', 'unknown amd64', 'unknown arm64'])
    expect(ids(await running.wanted!('rack', [{ kind: 'unknown', id: 'arm64' }]))).toEqual([])
  })
})

describe('what racks report', () => {
  const served = (machine: string | null, failure: string | null = null) => ({ kind: 'served' as const, at: new Date(0).toISOString(), body: { machine, mac: 'm1', address: '10.0.0.5', by: 'http' as const, what: '/ipxe/m1', bytes: 800, milliseconds: 2, failure } })
  test('goes into the machine\'s history; a machine that is gone or unknown is no error', async () => {
    await running.facts!(tx, 'rack-1', [served('1'), served('1', 'the client closed the connection'), served('99'), served(null)])
    expect(machines.records).toMatchObject([
      { id: '1', type: 'boot', level: 'info', data: { rack: 'rack-1', what: '/ipxe/m1', bytes: 800 } },
      { id: '1', type: 'boot', level: 'warning', message: expect.stringContaining('the client closed the connection') }
    ])
  })
})
