/** What boot's region keeps: kernel options (what they may be, the line they make, their API) and who refused iPXE, on a real database, and which racks' entries they touch. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { createApp } from '../../../core/http/app.ts'
import { authenticate } from '../../../core/http/authenticate.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { createSecrets } from '../../../core/secrets.ts'
import { manifest } from '../../../plugins/boot/manifest.ts'
import region from '../../../plugins/boot/region.ts'
import { checkOptions, composeOptions, scopeOf } from '../../../plugins/boot/region/options.ts'
import type { Machine } from '../../../plugins/machines/manifest.ts'
import { bootScript } from '../../../plugins/boot/script/ipxe.ts'
import { testDatabase, type TestDatabase } from '../../kit/database.ts'
import { quiet } from '../../kit/parts.ts'
import { fakeImage, fakeImages, fakeMachine, fakeMachines, fakePlan } from './fakes.ts'

describe('a scope', () => {
  test.each([['global', { kind: 'global' }], ['tag:gpu', { kind: 'tag', name: 'gpu' }], ['machine:4x7', { kind: 'machine', name: '4x7' }]])('%s', (text, scope) => expect(scopeOf(text)).toEqual(scope))
  test.each(['', 'Global', 'tag:', 'tag:a b', 'machine', 'mac:1', 'tag:../x', `tag:${'x'.repeat(64)}`])('%j is none', text => expect(() => scopeOf(text)).toThrow(/is no scope/))
})

describe('a line of options', () => {
  test('is kept with one space between two words', () => expect(checkOptions('  console=ttyS1,9600   nomodeset ')).toBe('console=ttyS1,9600 nomodeset'))
  test.each([
    ['', /are empty/], ['   ', /are empty/], ['a\nb', /one line/], ['a\tb', /printable ASCII/], ['ü', /printable ASCII/], ['a\0', /printable ASCII/], ['x'.repeat(501), /501 characters; 500/],
    ['quiet boot=local', /set "boot"/], ['bedplate.root=http://elsewhere/', /set "bedplate.root"/], ['BOOTIF=01-2', /set "BOOTIF"/], ['initrd=x', /set "initrd"/],
    ['a ${net0/mac}', /hold "\$\{"/], ['a || b', /hold "\|\|"/], ['a && b', /hold "&&"/], ['a ; reboot', /hold ";"/], ['a #b', /hold "#b"/]
  ])('%j is refused', (text, reason) => expect(() => checkOptions(text)).toThrow(reason))
  test('names that only begin like ours are the operator\'s', () => expect(checkOptions('bootdelay=3 initrd_timeout=1 bedplate=1')).toBe('bootdelay=3 initrd_timeout=1 bedplate=1'))
  test('whatever is accepted stands in the script word for word', () => fc.assert(fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), text => {
    let line: string
    try { line = checkOptions(text) } catch (error) { expect(error).toMatchObject({ code: 'INVALID_REQUEST' }); return }
    const { kernel, initrd, root } = fakeImage()
    expect(bootScript(undefined, { kernel, initrd, root, options: line }, { base: 'http://10.0.0.1:5248', mac: '52:54:00:00:00:07', console: 'console=ttyS0' })).toContain(` ip=dhcp ${line} console=ttyS0`)
  }), { numRuns: 500 }))
})

describe('the line of a machine', () => {
  const kept = new Map([['global', 'g=1'], ['tag:b', 'b=1'], ['tag:a', 'a=1'], ['machine:1', 'm=1'], ['machine:2', 'other']])
  test('is its image\'s, then what is kept for all, for its tags by name, and for itself: the last of a name wins', () => expect(composeOptions('quiet', kept, { id: '1', tags: ['b', 'a', 'none'] })).toBe('quiet g=1 a=1 b=1 m=1'))
  test('of one nobody knows ends with what is kept for all', () => expect(composeOptions('quiet', kept)).toBe('quiet g=1'))
  test('is empty where nothing was said', () => expect(composeOptions('', new Map(), { id: '1', tags: [] })).toBe(''))
})

describe('in a region', () => {
  let db: TestDatabase
  let app: FastifyInstance
  let running: ReturnType<typeof region.setup>
  const machines = fakeMachines()
  const nic = (mac: string) => ({ mac, name: null, vlanId: null, boot: false })
  beforeAll(async () => {
    db = await testDatabase({ migrations: [manifest] })
    const hooks = createHooks()
    hooks.authenticate.tap('test', () => ({ id: '1', name: 'ann', scopes: ['admin'] }))
    machines.all.set('1', fakeMachine({ id: '1', tags: ['gpu'], bootWay: 'initrd', interfaces: [nic('m1')] }))
    machines.all.set('2', fakeMachine({ id: '2', interfaces: [nic('m2')] }))
    machines.all.set('3', fakeMachine({ id: '3', tags: ['gpu'], interfaces: [nic('m3')] }))
    machines.purposes.set('3', 'local')
    running = region.setup({
      config: { tftpPort: 69, httpsPort: 0, iscsiPort: 0, console: '' }, hooks, log: quiet, clock: systemClock, metrics: createMetrics(), db, secrets: createSecrets(Buffer.alloc(32)),
      deps: { ...fakePlan(), machines: machines.service, images: fakeImages(fakeImage({ way: 'iscsi' })).service, provision: { session: async () => ({ token: 'tok', image: null }) } },
      controller: { id: 'region', hostname: 'region', roles: ['region'], version: '0', dataDirectory: '' }, rack: () => { throw new TypeError('none') }, racks: () => []
    })
    app = createApp(quiet)
    conventions(app)
    authenticate(app, hooks)
    await app.withTypeProvider<TypeBoxTypeProvider>().register(running.routes!, { prefix: '/api/v1/boot' })
    await app.ready()
  })
  afterAll(async () => { await app.close(); await db.drop() })

  async function call (method: 'GET' | 'PUT' | 'DELETE', path: string, body?: object, headers: Record<string, string> = {}) {
    const response = await app.inject({ method, url: `/api/v1/boot/options${path}`, headers, ...(body === undefined ? {} : { payload: body }) })
    return { status: response.statusCode, etag: response.headers.etag, body: response.body === '' ? undefined : response.json() }
  }
  /** The keys of entries that what `work` changes is about, sorted. */
  async function touched (work: () => Promise<unknown>): Promise<string[]> {
    const before = await db.feed.position()
    await work()
    return [...new Set((await running.touches!((await db.feed.since(before)).changes)).map(({ kind, id }) => `${kind} ${id}`))].sort()
  }
  const wanted = async () => Object.fromEntries((await running.wanted!('rack')).map(({ kind, id, value }) => [`${kind} ${id}`, value as { options?: string, way?: string, files?: { options: string, way: string } | null }]))

  test('options are set, shown, listed, and taken back', async () => {
    expect(await call('GET', '/global')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND', detail: 'There is no line of kernel options for global.' } })
    for (const [scope, options] of [['global', 'g=1'], ['tag:gpu', ' iommu=pt  pci=noaer '], ['machine:1', 'nomodeset']] as const) expect(await call('PUT', `/${scope}`, { options })).toMatchObject({ status: 200, body: { scope, options: checkOptions(options) } })
    expect((await call('GET', '?limit=2')).body).toEqual({ items: [{ scope: 'global', options: 'g=1' }, { scope: 'machine:1', options: 'nomodeset' }], next: 'machine:1' })
    expect((await call('GET', '?limit=2&after=machine:1')).body).toEqual({ items: [{ scope: 'tag:gpu', options: 'iommu=pt pci=noaer' }] })
    expect((await call('GET', '/tag:gpu')).body).toEqual({ scope: 'tag:gpu', options: 'iommu=pt pci=noaer' })
    expect(machines.records).toMatchObject([{ id: '1', type: 'boot', message: 'Kernel options set to "nomodeset" by ann' }])
  })

  test('they are part of what racks are told, with the way to the root: the machine\'s own, else its image\'s', async () => {
    expect(await wanted()).toMatchObject({
      'machine m1': { files: { options: 'quiet g=1 iommu=pt pci=noaer nomodeset', way: 'initrd' } },
      'machine m2': { files: { options: 'quiet g=1', way: 'iscsi' } },
      'machine m3': { files: null },
      'unknown amd64': { options: 'quiet g=1', way: 'iscsi' }
    })
    expect((await running.wanted!('rack', [{ kind: 'machine', id: 'm1' }]))[0]?.value).toMatchObject({ files: { options: 'quiet g=1 iommu=pt pci=noaer nomodeset' } })
    expect((await running.wanted!('rack', [{ kind: 'unknown', id: 'amd64' }]))[0]?.value).toMatchObject({ options: 'quiet g=1' })
  })

  test('a change touches the machines it is about, of those that boot an image, and no others', async () => {
    expect(await touched(() => call('PUT', '/global', { options: 'g=2' }))).toEqual(['machine m1', 'machine m2', 'unknown amd64'])
    expect(await touched(() => call('PUT', '/tag:gpu', { options: 'iommu=on' }))).toEqual(['machine m1'])
    expect(await touched(() => call('PUT', '/machine:2', { options: 'x=2' }))).toEqual(['machine m2'])
    expect(await touched(() => call('PUT', '/machine:2', { options: 'x=2' }))).toEqual([])
    expect(await touched(() => call('DELETE', '/machine:2'))).toEqual(['machine m2'])
  })

  test('who has read them before another changed them is told so', async () => {
    const { etag } = await call('GET', '/global')
    await call('PUT', '/global', { options: 'g=3' })
    expect(await call('PUT', '/global', { options: 'g=4' }, { 'if-match': etag as string })).toMatchObject({ status: 412, body: { code: 'PRECONDITION_FAILED' } })
    expect((await call('DELETE', '/global', undefined, { 'if-match': etag as string })).status).toBe(412)
    expect((await call('GET', '/global', undefined, { 'if-none-match': (await call('GET', '/global')).etag as string })).status).toBe(304)
  })

  test.each([['/nowhere', { options: 'a' }, 400], ['/machine:99', { options: 'a' }, 404], ['/global', { options: 'a\nb' }, 400], ['/global', { options: '' }, 400], ['/global', {}, 400], ['/global', { options: 'a', colour: 1 }, 400]])('PUT %s %j is %i', async (path, body, status) => {
    const before = (await call('GET', '')).body
    expect((await call('PUT', path, body)).status).toBe(status)
    expect((await call('GET', '')).body).toEqual(before)
  })

  test('a machine whose firmware has refused iPXE gets GRUB from then on, at each of its cards, and its racks hear of it; so does one that was found to have Secure Boot on', async () => {
    machines.all.set('4', fakeMachine({ id: '4', interfaces: [nic('52:54:00:00:00:41'), nic('52:54:00:00:00:42')] }))
    const refused = { kind: 'refused' as const, at: new Date(0).toISOString(), body: { machine: '4', mac: '52:54:00:00:00:41' } }
    machines.records.length = 0
    expect(await touched(() => db.tx(tx => running.facts!(tx, 'rack-1', [refused, refused])))).toEqual(['machine 52:54:00:00:00:41', 'machine 52:54:00:00:00:42', 'refused 52:54:00:00:00:41'])
    expect(machines.records).toHaveLength(1)
    const told = await wanted()
    expect([told['machine 52:54:00:00:00:41'], told['machine 52:54:00:00:00:42'], told['machine m1']].map(value => (value as { loader?: string }).loader)).toEqual(['grub', 'grub', undefined])
    const inventory = { architecture: 'amd64', firmware: 'uefi' as const, cpu: { count: 1, model: '' }, memory: 1, disks: [], interfaces: [], dmi: {} }
    for (const [secureBoot, loader] of [[true, 'grub'], [false, undefined]] as const) {
      machines.all.set('5', fakeMachine({ id: '5', inventory: { ...inventory, secureBoot }, interfaces: [nic('m5')] }))
      expect(((await wanted())['machine m5'] as { loader?: string }).loader).toBe(loader)
    }
  })

  const refusedBy = (mac: string) => db.tx(tx => running.facts!(tx, 'rack-1', [{ kind: 'refused', at: new Date(0).toISOString(), body: { machine: null, mac } }]))
  const happened = (machine: Machine, event: 'removed' | 'commissioned') => db.tx(tx => machines.service.hooks.transition.promise(tx, { machine, from: 'Commissioning', to: 'Ready', event }))

  test('of a machine that nobody knows, too, every rack hears that it has refused iPXE', async () => {
    const key = { kind: 'refused' as const, id: '52:54:00:00:00:99' }
    expect(await touched(() => refusedBy(key.id))).toEqual([`refused ${key.id}`])
    expect(await touched(() => refusedBy(key.id))).toEqual([])
    expect(await wanted()).toHaveProperty([`refused ${key.id}`], {})
    expect(await running.wanted!('rack', [key, { kind: 'refused', id: '52:54:00:00:00:98' }])).toEqual([{ ...key, value: {} }])
  })

  test('it is forgotten when commissioning says that Secure Boot is off, and when the machine is removed; not when it is on, or nothing is said', async () => {
    const macs = ['52:54:00:00:00:61', '52:54:00:00:00:62']
    const machine = (secureBoot?: boolean) => fakeMachine({ id: '6', interfaces: macs.map(nic), inventory: { architecture: 'amd64', firmware: 'uefi', cpu: { count: 1, model: '' }, memory: 1, disks: [], interfaces: [], dmi: {}, ...secureBoot === undefined ? {} : { secureBoot } } })
    const known = async () => Object.keys(await wanted()).filter(key => key.startsWith('refused 52:54:00:00:00:6')).length
    for (const [event, secureBoot] of [['commissioned', false], ['removed', undefined]] as const) {
      machines.all.set('6', machine(secureBoot))
      for (const mac of macs) await refusedBy(mac)
      for (const other of [true, undefined]) expect(await touched(() => happened(machine(other), 'commissioned'))).toEqual([])
      expect(await known()).toBe(2)
      expect(await touched(() => happened(machine(secureBoot), event))).toEqual([...macs.map(mac => `machine ${mac}`), ...macs.map(mac => `refused ${mac}`)])
      expect(await known()).toBe(0)
      expect((await wanted())[`machine ${macs[0]}`]).not.toHaveProperty('loader')
    }
    machines.all.delete('6')
  })

  test('of five thousand that have refused the oldest is forgotten for one more', async () => {
    await db.query("insert into boot.refused (mac, at) select 'x' || n, now() - interval '1 day' + n * interval '1 second' from generate_series(1, 5000 - (select count(*)::int from boot.refused)) n")
    expect(await touched(() => refusedBy('52:54:00:00:00:71'))).toEqual(['refused 52:54:00:00:00:71', 'refused x1'])
    expect(Object.keys(await wanted()).filter(key => key.startsWith('refused '))).toHaveLength(5000)
  })

  test('what was kept for a machine goes with it', async () => {
    await call('PUT', '/machine:2', { options: 'x=3' })
    await db.tx(tx => machines.service.hooks.transition.promise(tx, { machine: fakeMachine({ id: '2' }), from: 'New', to: 'New', event: 'removed' }))
    expect((await call('GET', '/machine:2')).status).toBe(404)
  })
})
