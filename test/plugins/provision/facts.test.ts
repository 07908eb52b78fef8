/** What machines said and what becomes of it: on their way, too late, twice, and by those who have no say. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Machine } from '../../../plugins/machines/manifest.ts'
import { createRig, nextMac, uploadOf, type ProvisionFact, type Rig } from './region.rig.ts'

let rig: Rig
let image: string
let segment: { vlanId: string, subnetId: string }
beforeAll(async () => {
  rig = await createRig()
  segment = await rig.segment('10.7.0.0/16')
  image = await rig.image()
})
afterAll(() => rig?.db.drop())
/** All a fact could change: every machine, session, address and line of history. */
const everything = async () => await rig.db.query(`select (select jsonb_agg(m order by m.id) from machines.machine m) m, (select jsonb_agg(i order by i.mac) from machines.interface i) i,
  (select jsonb_agg(s order by s.machine) from provision.session s) s, (select count(*) from machines.event) e, (select jsonb_agg(a order by a.address) from network.address a) a`)
const commissioning = async (mac = nextMac()): Promise<Machine> => { const { id } = await rig.enlisted(mac); return await rig.act(id, 'commission') }

describe('a machine nobody knows', () => {
  test('becomes New, with what it has and the VLAN it was heard on', async () => {
    const mac = nextMac()
    const second = nextMac()
    await rig.give({ kind: 'enlisted', body: { address: '10.7.3.4', files: uploadOf(mac, { firmware: 'uefi', interfaces: `eno1 ${second} 1000 0\neno2 ${mac} 1000 1\n` }) } })
    const machine = (await rig.machines.byMac(rig.db, mac))!
    expect(machine).toMatchObject({ status: 'New', architecture: 'amd64', firmware: 'uefi', inventory: { memory: 1967, cpu: { count: 8 }, disks: [{ name: 'vda' }] } })
    expect(machine.interfaces).toEqual([{ mac, name: 'eno2', vlanId: segment.vlanId, boot: true }, { mac: second, name: 'eno1', vlanId: null, boot: false }])
  })
  test('heard twice is one machine', async () => {
    const mac = nextMac()
    const fact = { kind: 'enlisted', body: { address: '10.7.3.4', files: uploadOf(mac) } } as const
    await rig.give(fact, fact)
    await rig.give(fact)
    expect((await rig.machines.list(rig.db)).filter(({ interfaces }) => interfaces.some(one => one.mac === mac))).toHaveLength(1)
  })
  test('heard from an address of no subnet is New without a VLAN', async () => {
    for (const address of ['192.0.2.7', 'fe80::1', '2001:db8::1']) expect((await rig.enlisted(nextMac(), address)).interfaces[0]?.vlanId).toBeNull()
  })
  test('that has no interface becomes nothing, and keeps no other fact from being stored', async () => {
    const mac = nextMac()
    const before = (await rig.machines.list(rig.db)).length
    await rig.give({ kind: 'enlisted', body: { address: '10.7.3.4', files: {} } }, { kind: 'enlisted', body: { address: '10.7.3.4', files: uploadOf(mac) } })
    expect(await rig.machines.list(rig.db)).toHaveLength(before + 1)
  })
  test('with hostile texts is stored like any other', async () => {
    const mac = nextMac()
    await rig.give({ kind: 'enlisted', body: { address: '10.7.3.4', files: uploadOf(mac, { 'architecture': 'constructor', 'dmi': 'sys_vendor=a\u0001\nproduct_name=😀\'; drop table machines.machine; --\n', 'lsblk.json': '{"blockdevices":[{"name":"sda","type":"disk","size":5,"model":"\\u0000\\ud800"}]}' }) } })
    expect(await rig.machines.byMac(rig.db, mac)).toMatchObject({ architecture: 'unknown', inventory: { dmi: { sys_vendor: 'a', product_name: '😀\'; drop table machines.machine; --' }, disks: [{ model: '\ufffd' }] } })
  })
  test('with any file at all is taken, or left alone: no fact is poison', async () => {
    const names = ['cmdline', 'architecture', 'firmware', 'lscpu.json', 'meminfo', 'lsblk.json', 'interfaces', 'dmi']
    await fc.assert(fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.string({ unit: 'binary' }).map(text => text.toWellFormed().replaceAll('\0', '')), fc.json()), { noNullPrototype: true }), fc.boolean(), async (files, whole) => {
      await rig.give({ kind: 'enlisted', body: { address: '10.7.3.4', files: whole ? uploadOf('52:54:00:aa:00:01', files) : files } })
    }), { numRuns: 60 })
  })
})

describe('commissioning', () => {
  test('ends with the inventory: Ready, with what was found', async () => {
    const mac = nextMac()
    const { id } = await commissioning(mac)
    await rig.says(id).report('inventory', 'started', 'looking at the hardware')
    await rig.says(id).inventory(uploadOf(mac, { meminfo: 'MemTotal: 4096 kB\n' }))
    expect(await rig.show(id)).toMatchObject({ status: 'Ready', inventory: { memory: 4 }, reason: null, deadline: null })
    expect(await rig.session(id)).toBeUndefined()
    expect((await rig.history(id)).map(({ message }) => message)).toContain('inventory: looking at the hardware')
  })
  test('of a machine made by hand learns its VLAN and firmware', async () => {
    const mac = nextMac()
    const { id } = await rig.db.tx(tx => rig.machines.enlist(tx, { macs: [mac], bootMac: mac, architecture: 'amd64', firmware: 'bios', vlanId: null, inventory: null }))
    await rig.act(id, 'commission')
    await rig.says(id).inventory(uploadOf(mac, { firmware: 'uefi\n', architecture: 'aarch64\n' }))
    expect(await rig.show(id)).toMatchObject({ status: 'Ready', firmware: 'uefi', architecture: 'arm64', interfaces: [{ mac, vlanId: segment.vlanId, boot: true }] })
  })
  test('fails, with a reason, when the inventory has no interface', async () => {
    const { id } = await commissioning()
    await rig.says(id).inventory({ architecture: 'x86_64' })
    expect(await rig.show(id)).toMatchObject({ status: 'Failed commissioning', reason: 'It reported no network interface with a MAC address.' })
  })
  test('fails when the machine says so', async () => {
    const { id } = await commissioning()
    await rig.says(id).report('inventory', 'failed', 'tar: not found')
    expect(await rig.show(id)).toMatchObject({ status: 'Failed commissioning', reason: 'inventory: tar: not found' })
    expect(await rig.history(id)).toContainEqual(expect.objectContaining({ level: 'error', message: 'inventory: tar: not found' }))
  })
  test('the inventory twice in one batch, and again later, counts once', async () => {
    const mac = nextMac()
    const { id } = await commissioning(mac)
    const body = { token: await rig.token(id), machine: id, address: '10.7.0.50', files: uploadOf(mac) }
    await rig.give({ kind: 'inventory', body }, { kind: 'inventory', body: { ...body, files: {} } })
    const before = await everything()
    await rig.give({ kind: 'inventory', body: { ...body, files: {} } })
    expect(await everything()).toEqual(before)
    expect((await rig.show(id)).status).toBe('Ready')
  })
})

describe('a deployment', () => {
  test('goes from its first report to Deployed, with the host keys', async () => {
    const { id } = await rig.deploying(image)
    const says = rig.says(id)
    await says.report('partition', 'started', 'partitioning /dev/vda')
    await says.report('partition', 'ok', 'done')
    expect(await rig.show(id)).toMatchObject({ status: 'Deploying', installed: false })
    await says.report('installed', 'ok', 'Debian is on /dev/vda')
    expect(await rig.show(id)).toMatchObject({ status: 'Deploying', installed: true })
    await says.phoneHome(['ssh-ed25519 AAAA root@otter'])
    expect(await rig.show(id)).toMatchObject({ status: 'Deployed', hostKeys: ['ssh-ed25519 AAAA root@otter'], deadline: null })
  })
  test('only a stage that went well moves the machine on', async () => {
    const { id } = await rig.deploying(image)
    for (const status of ['started', 'progress'] as const) await rig.says(id).report('installed', status)
    expect(await rig.show(id)).toMatchObject({ status: 'Deploying', installed: false })
  })
  test('progress is kept in the history with its amounts, at debug', async () => {
    const { id } = await rig.deploying(image)
    await rig.give({ kind: 'report', body: { token: await rig.token(id), machine: id, address: '10.7.0.50', stage: 'system', status: 'progress', message: 'writing', done: 5, total: 10 } })
    expect((await rig.history(id)).at(-1)).toEqual({ level: 'debug', message: 'system: writing', data: { stage: 'system', status: 'progress', done: 5, total: 10 } })
    expect((await rig.show(id)).status).toBe('Deploying')
  })
  test('fails with what the machine said, and the session is over', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).report('bootloader', 'failed', 'grub-install: no space left')
    expect(await rig.show(id)).toMatchObject({ status: 'Failed deployment', reason: 'bootloader: grub-install: no space left' })
    expect(await rig.session(id)).toBeUndefined()
  })
  test('repeated reports and a second phone-home change no state', async () => {
    const { id } = await rig.deploying(image)
    for (let time = 0; time < 3; time++) await rig.says(id).report('installed', 'ok')
    await rig.says(id).phoneHome(['ssh-rsa AAAA'])
    const before = await rig.show(id)
    await rig.says(id).report('installed', 'ok')
    await rig.says(id).phoneHome(['ssh-rsa BBBB'])
    expect({ ...await rig.show(id), version: 0 }).toEqual({ ...before, version: 0 })
  })
  test('a report with a name counts once, by whichever racks it comes; one with another name is another', async () => {
    const { id } = await rig.deploying(image)
    const body = { token: await rig.token(id), machine: id, address: '10.7.0.50', stage: 'partition', status: 'started' as const, message: 'partitioning', id: 'a1' }
    await rig.give({ kind: 'report', body }, { kind: 'report', body })
    await rig.give({ kind: 'report', body }, { kind: 'report', body: { ...body, id: 'a2' } })
    expect((await rig.history(id)).filter(({ message }) => message === 'partition: partitioning')).toHaveLength(2)
  })
  test('a failure that a dead rack kept, of a try before the one that succeeded, does not put the machine back', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).report('installed', 'ok')
    await rig.says(id).report('root', 'failed', 'The root file system could not be loaded')
    expect(await rig.show(id)).toMatchObject({ status: 'Deploying', installed: true })
    await rig.says(id).phoneHome()
    expect((await rig.show(id)).status).toBe('Deployed')
  })
  test('what names reports goes with the session', async () => {
    const { id } = await rig.deploying(image)
    await rig.give({ kind: 'report', body: { token: await rig.token(id), machine: id, address: '10.7.0.50', stage: 'system', status: 'failed', message: 'no', id: 'b1' } })
    expect(await rig.db.query('select 1 from provision.heard where id = $1', ['b1'])).toEqual([])
  })
  test('a phone-home that comes without the report before it is enough', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).phoneHome()
    expect(await rig.show(id)).toMatchObject({ status: 'Deployed', installed: true })
  })
  test('a failure told once the system runs is history, not a failed deployment', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).phoneHome()
    await rig.says(id).report('late', 'failed', 'too late')
    expect((await rig.show(id)).status).toBe('Deployed')
    expect((await rig.history(id)).map(({ message }) => message)).toContainEqual(expect.stringMatching(/^Heard "failed" too late to matter: /))
  })
  test('a deployed system does not say what the machine is', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).phoneHome()
    const before = await rig.show(id)
    await rig.says(id).inventory(uploadOf(nextMac(), { architecture: 'aarch64', interfaces: 'x 52:54:00:bb:00:01 1 1\n' }))
    expect(await rig.show(id)).toEqual(before)
  })
})

describe('a release', () => {
  test('ends Ready, without owner, address, deployment and session', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).phoneHome(['ssh-rsa AAAA'])
    await rig.act(id, 'release')
    await rig.says(id).report('wipe', 'started', 'wiping /dev/vda')
    await rig.says(id).report('released', 'ok', 'the disks are wiped')
    expect(await rig.show(id)).toMatchObject({ status: 'Ready', owner: null, deployment: null, hostKeys: [] })
    expect(await rig.addresses(id)).toEqual([])
    expect(await rig.session(id)).toBeUndefined()
  })
  test('is not believed of a machine that was asked to install', async () => {
    const { id } = await rig.deploying(image)
    await rig.says(id).report('released', 'ok')
    expect((await rig.show(id)).status).toBe('Deploying')
  })
  test('fails with what the machine said', async () => {
    const { id } = await rig.deploying(image)
    await rig.act(id, 'failed')
    await rig.act(id, 'release')
    await rig.says(id).report('wipe', 'failed', 'I/O error')
    expect(await rig.show(id)).toMatchObject({ status: 'Failed releasing', reason: 'wipe: I/O error' })
  })
})

describe('facts that change nothing at all', () => {
  const kinds = (id: string, token: string): Pick<ProvisionFact, 'kind' | 'body'>[] => {
    const from = { token, machine: id, address: '10.7.0.50' }
    return [
      { kind: 'report', body: { ...from, stage: 'installed', status: 'ok', message: '' } }, { kind: 'report', body: { ...from, stage: 'released', status: 'ok', message: '' } },
      { kind: 'report', body: { ...from, stage: 'system', status: 'failed', message: 'x' } }, { kind: 'inventory', body: { ...from, files: uploadOf(nextMac()) } }, { kind: 'phoneHome', body: { ...from, hostKeys: ['ssh-rsa AAAA'] } }
    ]
  }
  async function unmoved (id: string, token: string): Promise<void> {
    const before = await everything()
    for (const fact of kinds(id, token)) await rig.give(fact)
    await rig.give(...kinds(id, token))
    expect(await everything()).toEqual(before)
  }
  test('those over a token nobody has', async () => { await unmoved((await rig.deploying(image)).id, 'made-up') })
  test('those over another machine\'s token', async () => {
    const other = await rig.deploying(image)
    await unmoved((await rig.deploying(image)).id, await rig.token(other.id))
  })
  test('those over the token of the session before', async () => {
    const { id } = await rig.deploying(image)
    const old = await rig.token(id)
    await rig.act(id, 'abort')
    await unmoved(id, old)
    await rig.act(id, 'release')
    expect(await rig.token(id)).not.toBe(old)
    await unmoved(id, old)
  })
  test('those of a machine that was forgotten, or never was', async () => {
    await unmoved('nobody', 'token')
    const { id } = await rig.deploying(image)
    const token = await rig.token(id)
    await rig.db.tx(async tx => {
      const machine = (await rig.machines.get(tx, id))!
      await rig.machines.hooks.transition.promise(tx, { machine, from: machine.status, to: machine.status, event: 'removed' })
      await tx.query('delete from machines.machine where id = $1', [id])
    })
    await unmoved(id, token)
  })
  test('of two sessions\' facts in one batch each goes to its own machine', async () => {
    const [first, second] = [await rig.deploying(image), await rig.deploying(image)]
    const report = async (id: string, status: 'ok' | 'failed') => ({ kind: 'report', body: { token: await rig.token(id), machine: id, address: '10.7.0.5', stage: 'installed', status, message: 'm' } }) as const
    await rig.give(await report(first.id, 'ok'), await report(second.id, 'failed'))
    expect([await rig.show(first.id), await rig.show(second.id)]).toMatchObject([{ status: 'Deploying', installed: true }, { status: 'Failed deployment' }])
  })
})
