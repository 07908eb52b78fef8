/** proxmox, as every driver is judged, against a responder made after the published API; its boot order for one start; and what a configuration says. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { proxmox } from '../../../../plugins/power/drivers/proxmox.ts'
import { keepOrder, orderFor, putBack } from '../../../../plugins/power/drivers/proxmox/boot.ts'
import { identityOf, macsOf, stateOf } from '../../../../plugins/power/drivers/proxmox/guest.ts'
import { loginsIn } from '../../../../plugins/power/drivers/proxmox/session.ts'
import { createKept, type Kept } from '../../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../../plugins/power/manifest.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { limits } from '../../../../plugins/power/recent.ts'
import { manualClock } from '../../../kit/clock.ts'
import { powerDriverConformance, quickPace } from '../../../kit/conformance/power-driver.ts'
import { account, guest, startCluster, token, uuid, type Cluster } from './proxmox/cluster.ts'

const deviceOf = (order: string | null | undefined) => /order=net/.test(order ?? '') ? 'network' as const : /order=scsi0;ide2;net0;net1|order=scsi0;ide2;net0$/.test(order ?? '') ? 'disk' as const : null

describe.each([['an API token', { token }, { token: token.replace(/.$/, 'e') }], ['a password', account, { ...account, password: 'wrong' }]])('with %s', (_, access, wrong) => {
  powerDriverConformance(proxmox, async () => {
    const cluster = await startCluster()
    const one = guest({ boot: 'order=ide2;scsi0' }) // its own order begins with neither, so that each start tells where from
    cluster.guests.set(100, one)
    cluster.guests.set(101, guest({ name: 'db', smbios1: '' }))
    const address = `proxmox+${cluster.url}/100`
    return {
      parameters: { address, ...access },
      machine: {
        state: () => one.running ? 'on' : 'off',
        set: state => { one.running = state === 'on' },
        switches: () => one.switches,
        bootedFrom: () => deviceOf(one.booted.at(-1))
      },
      hardware: { identity: { uuid, bmcVersion: '9.0.3', manufacturer: null }, members: 2 },
      faults: {
        wrongCredentials: { address, ...wrong },
        unreachable: { address: 'proxmox+http://127.0.0.1:9/100', ...access },
        busy: times => { cluster.faults.busy = times },
        lie: () => { cluster.faults.lies = true },
        slow: ms => { cluster.faults.slow = ms },
        loseAnswer: () => { cluster.faults.dieAfterSwitch = true }
      },
      close: cluster.close
    }
  })
})

describe('proxmox', () => {
  let cluster: Cluster
  let kept: Kept
  beforeEach(async () => { cluster = await startCluster(); kept = createKept() })
  afterEach(async () => { await kept.close(); await cluster.close() })
  const options = () => ({ signal: new AbortController().signal, clock: systemClock, pace: quickPace, kept })
  const parameters = (more: object = {}) => checked(proxmox, { address: `proxmox+${cluster.url}/100`, token, ...more })
  const power = (action: PowerActionName, boot: 'network' | 'disk' | null = null, more: object = {}) => proxmox.power(parameters(more), action, { ...options(), boot })
  const own = () => cluster.guests.get(100) ?? guest()

  test('connections nobody uses for some minutes are forgotten, and there is a bound to how many are kept', async () => {
    const clock = manualClock()
    const query = (more: object = {}) => proxmox.query(parameters(more), { ...options(), clock })
    const logins = loginsIn(kept, clock)
    const most = limits.most
    limits.most = 2
    try {
      for (const tls of ['verify', 'insecure', 'verify', `sha256:${'ab'.repeat(32)}`]) await query({ tls })
      expect(logins.size).toBe(2)
    } finally { limits.most = most }
    await clock.advance(limits.idle - limits.sweep)
    await query()
    await clock.advance(2 * limits.sweep)
    expect(logins.size).toBe(1)
    await clock.advance(limits.idle)
    expect(logins.size).toBe(0)
    expect(await query()).toBe('off')
  })

  test('its whole conversation: the own order noted, another set, the task waited for, the own order back', async () => {
    expect(await power('on', 'network')).toEqual({ state: 'on' })
    expect(cluster.log).toEqual([
      'GET /cluster/resources?type=vm', 'GET /nodes/one/qemu/100/status/current', 'GET /nodes/one/qemu/100/config', 'GET /nodes/one/qemu/100/config', 'PUT /nodes/one/qemu/100/config description', 'PUT /nodes/one/qemu/100/config boot',
      'POST /nodes/one/qemu/100/status/start', 'GET /nodes/one/tasks/UPID/status', 'GET /nodes/one/tasks/UPID/status', 'GET /nodes/one/qemu/100/status/current', 'GET /nodes/one/qemu/100/config', 'PUT /nodes/one/qemu/100/config boot delete'
    ])
    expect(own().booted).toEqual(['order=net0;net1;scsi0;ide2'])
  })

  test('after a start of its own the machine starts as it did before, and its notes are as they were', async () => {
    own().config.description = 'owner: web team\n'
    await power('on', 'network')
    await power('off')
    expect({ ...own().config, ...own().pending }).toEqual({ ...guest().config, description: expect.stringMatching(/^owner: web team\n+$/) })
    await power('on')
    expect(own().booted).toEqual(['order=net0;net1;scsi0;ide2', 'order=scsi0;ide2;net0'])
  })

  test('whoever dies between the order and the start, or between the start and the way back, leaves nothing that the next one does not put right', async () => {
    cluster.faults.dieAfter = /net0;net1/
    await expect(power('on', 'network')).rejects.toMatchObject({ code: 'POWER_FAILED' })
    expect(own().config.boot).toBe('order=net0;net1;scsi0;ide2')
    await power('on')
    expect(own().booted).toEqual(['order=scsi0;ide2;net0'])

    await power('off')
    cluster.faults.dieAfterSwitch = true
    await expect(power('on', 'network')).rejects.toMatchObject({ code: 'POWER_FAILED' })
    expect(own().config.description).toContain('bedplate')
    await power('on', 'network')
    await power('off')
    await power('on')
    expect(own().booted.slice(1)).toEqual(['order=net0;net1;scsi0;ide2', 'order=scsi0;ide2;net0'])
    expect(own().config.description).toBeUndefined()
  })

  test('an order that was never set, and the older bootdisk, come back as well', async () => {
    delete own().config.boot
    own().config.bootdisk = 'scsi0'
    await power('on', 'network')
    await power('off')
    await power('on')
    expect(own().booted).toEqual(['order=net0;net1;scsi0;ide2', null])
    expect(own().config.bootdisk).toBe('scsi0')
  })

  test('a machine that moved is found on its new node', async () => {
    expect(await proxmox.query(parameters({ node: 'two' }), options())).toBe('off')
    own().node = 'two'
    own().running = true
    expect(await proxmox.query(parameters({ node: 'one' }), options())).toBe('on')
    cluster.guests.clear()
    await expect(proxmox.query(parameters(), options())).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('no virtual machine 100') })
  })

  test('a task that fails is an error in its own words', async () => {
    cluster.faults.exit = 'VM is locked (backup)'
    await expect(power('on')).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('VM is locked (backup)') })
    cluster.faults.exit = 'WARNINGS: 1'
    expect(await power('on')).toEqual({ state: 'on' })
    expect(own().switches).toBe(1)
  })

  test('a ticket is kept, asked for anew when it has run out, and a second factor is told', async () => {
    const look = () => proxmox.query(checked(proxmox, { address: `proxmox+${cluster.url}/one/100`, ...account }), options())
    await look()
    await look()
    expect(cluster.log.filter(line => line.startsWith('POST'))).toEqual(['POST /access/ticket'])
    cluster.tickets.clear()
    expect(await Promise.all([look(), look()])).toEqual(['off', 'off'])
    cluster.tickets.clear()
    cluster.faults.second = true
    await expect(look()).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION', message: expect.stringContaining('API token') })
  })

  test('all machines of the cluster are told with their addresses, and powered by what is told', async () => {
    cluster.guests.set(200, guest({ name: 'db', net0: 'e1000=02:00:00:00:00:AA,bridge=vmbr0', net1: '', smbios1: `base64=1,uuid=${uuid.toUpperCase()}` }))
    const members = await proxmox.members?.(checked(proxmox, { address: `proxmox+${cluster.url}`, token }), options())
    expect(members).toEqual([
      { name: 'web', parameters: { address: `${cluster.url}`, vmid: 100 }, uuid, macs: ['bc:24:11:2e:d0:11', 'bc:24:11:2e:d0:12'] },
      { name: 'db', parameters: { address: `${cluster.url}`, vmid: 200 }, uuid, macs: ['02:00:00:00:00:aa'] }
    ])
    expect(await proxmox.power(checked(proxmox, { ...members?.[1]?.parameters, token }), 'on', { ...options(), boot: null })).toEqual({ state: 'on' })
    expect(cluster.guests.get(200)?.running).toBe(true)
  })

  test('the cluster alone is no machine, nor are there credentials to guess', async () => {
    const alone = checked(proxmox, { address: `proxmox+${cluster.url}`, token })
    await expect(proxmox.query(alone, options())).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
    await expect(proxmox.query(checked(proxmox, { address: `proxmox+${cluster.url}/100` }), options())).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
  })
})

describe('parameters', () => {
  test.each([
    ['proxmox://root%40pam:secret@pve.example/100', { address: 'https://pve.example:8006', vmid: 100, user: 'root@pam', password: 'secret' }],
    ['proxmox://root%40pam!racks:9d3c@pve.example/one/100', { address: 'https://pve.example:8006', node: 'one', vmid: 100, token: 'root@pam!racks=9d3c' }],
    ['https://[fe80::1]:443/100', { address: 'https://[fe80::1]:443', vmid: 100 }],
    ['pve.example', { address: 'https://pve.example:8006' }]
  ])('%s', (address, normal) => {
    expect(checked(proxmox, { address })).toEqual(normal)
    expect(checked(proxmox, checked(proxmox, { address }))).toEqual(normal)
  })
  test.each([[{ address: 'proxmox://h/one/two/100' }], [{ address: 'proxmox://h/99' }], [{ address: 'proxmox://h/100', node: 'a/b' }], [{ address: 'proxmox://h/100', token: 'secret' }], [{ address: 'ipmi://h/100' }]])('%j is refused', given => {
    expect(() => checked(proxmox, given)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' }))
  })
  test('where it is', () => { expect(proxmox.endpoint?.({ address: 'https://[fe80::1]:443' })).toEqual({ by: 'tcp', host: 'fe80::1', port: 443 }) })
})

describe('a configuration', () => {
  test.each([
    ['network', {}, 'order=net0;net1;scsi0;ide2'], ['disk', {}, 'order=scsi0;ide2;net0;net1'], ['disk', { virtio0: 'a:1', boot: 'order=virtio0;net0;scsi0' }, 'order=virtio0;scsi0;ide2;net0;net1'],
    ['disk', { boot: 'cdn', bootdisk: 'sata3', sata3: 'a:1', sata10: 'a:2' }, 'order=sata3;sata10;scsi0;ide2;net0;net1'], ['network', { net10: 'virtio=02:00:00:00:00:01', boot: 'order=net10;scsi0' }, 'order=net10;net0;net1;scsi0;ide2']
  ] as const)('from the %s first: %j gives %s', (boot, more, order) => { expect(orderFor(guest(more).config, boot)).toBe(order) })
  test('a machine without the device is refused', () => {
    expect(() => orderFor({ scsi0: 'a:1' }, 'network')).toThrow('no network interface')
    expect(() => orderFor({ net0: 'virtio=02:00:00:00:00:01', ide2: 'none,media=cdrom' }, 'disk')).toThrow('no disk')
  })
  test('what is noted of an order comes back, whatever the notes say', () => {
    const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined })
    fc.assert(fc.property(maybe(fc.string().filter(text => !text.includes('<!--'))), maybe(fc.constantFrom('order=scsi0;net0', 'cdn', 'legacy=d')), maybe(fc.constant('scsi0')), (description, boot, bootdisk) => {
      const before = Object.fromEntries(Object.entries({ description, boot, bootdisk }).filter(([, value]) => value !== undefined && value.trim() !== ''))
      const during = { ...before, ...keepOrder(before), boot: 'order=net0', bootdisk: undefined }
      const { delete: gone = '', ...back } = putBack(during) ?? {}
      const after = Object.fromEntries(Object.entries({ ...during, ...back }).filter(([name, value]) => value !== undefined && !gone.split(',').includes(name)))
      expect(after).toEqual(before)
      expect(putBack(after)).toBeUndefined()
    }))
  })
  test('somebody who wrote into the note is not believed', () => { expect(putBack({ boot: 'order=net0', description: '\n<!-- bedplate: the boot order before a start of its own: {boot} -->' })).toBeUndefined() })
  test('what it says of the machine is read with its encoding', () => {
    expect(identityOf({ smbios1: `uuid=${uuid.toUpperCase()},manufacturer=${Buffer.from('Äcme, Inc').toString('base64')},product=Qg==,serial=,base64=1` })).toEqual({ uuid, manufacturer: 'Äcme, Inc', model: 'B', serial: null })
    expect(identityOf({ smbios1: 'uuid=no' })).toEqual({ uuid: null, manufacturer: null, model: null, serial: null })
    expect(macsOf({ net1: 'model=virtio,macaddr=02:00:00:00:00:0B', net0: 'virtio=02:00:00:00:00:0A', network: 'x', net2: 'virtio' })).toEqual(['02:00:00:00:00:0a', '02:00:00:00:00:0b'])
    expect([{ status: 'running' }, { status: 'stopped' }, {}, null].map(stateOf)).toEqual(['on', 'off', 'unknown', 'unknown'])
  })
})
