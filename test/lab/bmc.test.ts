/** The emulated BMC speaks enough Redfish, and refuses what a real one refuses. */
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createBmc } from './bmc.ts'
import { qemuArguments, type BootDevice, type MachineSpec, type VirtualMachine } from './vm.ts'

const spec: MachineSpec = { name: 'lab1', firmware: 'uefi', mac: '52:54:00:be:d0:01', tap: 'tap0', directory: '/nowhere', memory: 1024, diskGiB: 4 }
const account = { user: 'admin', password: 'secret' }
const basic = `Basic ${Buffer.from('admin:secret').toString('base64')}`

/** Stands where QEMU would: this suite is about the protocol; vm.system.test.ts is about QEMU. */
function recorder (): VirtualMachine & { readonly calls: string[] } {
  const calls: string[] = []
  let state: 'on' | 'off' = 'off'
  let once: BootDevice | null = null
  const start = () => { calls.push(`start ${once ?? 'usual'}`); once = null; state = 'on' }
  return {
    spec, calls, state: () => state, bootOnce: device => { once = device },
    on: async () => { start() }, off: async () => { calls.push('off'); state = 'off' }, shutdown: () => { calls.push('shutdown') }, reset: async () => { calls.push('reset'); start() }
  }
}

describe('the emulated BMC', () => {
  let server: Server
  let machine: ReturnType<typeof recorder>
  let url = ''
  beforeEach(async () => {
    machine = recorder()
    server = await createBmc(machine, account, '127.0.0.1', 0)
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(() => { server.closeAllConnections(); server.close() })
  const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = { authorization: basic }) => fetch(`${url}${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) })
  const reset = (type: string) => ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType: type })

  it('shows its root to anybody and its systems to nobody without a login', async () => {
    expect((await ask('GET', '/redfish/v1/', undefined, {})).status).toBe(200)
    expect((await ask('GET', '/redfish/v1/Systems', undefined, {})).status).toBe(401)
    expect((await ask('GET', '/redfish/v1/Systems', undefined, { authorization: 'Basic bm9wZTpub3Bl' })).status).toBe(401)
  })
  it('gives a session for the right password, and forgets it when asked', async () => {
    expect((await ask('POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'wrong' }, {})).status).toBe(401)
    const made = await ask('POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'secret' }, {})
    expect(made.status).toBe(201)
    const token = { 'x-auth-token': made.headers.get('x-auth-token') ?? '' }
    expect((await ask('GET', '/redfish/v1/Systems/1', undefined, token)).status).toBe(200)
    expect((await ask('DELETE', made.headers.get('location') ?? '', undefined, token)).status).toBe(204)
    expect((await ask('GET', '/redfish/v1/Systems/1', undefined, token)).status).toBe(401)
  })
  it('has only so many sessions', async () => {
    const made = []
    for (let index = 0; index < 17; index++) made.push((await ask('POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'secret' }, {})).status)
    expect(made.slice(0, 16).every(status => status === 201)).toBe(true)
    expect(made[16]).toBe(503)
  })
  it('boots once from the network, then as usual', async () => {
    const set = await ask('PATCH', '/redfish/v1/Systems/1', { Boot: { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'Pxe' } })
    expect(set.status).toBe(200)
    await reset('On')
    await reset('ForceOff')
    await reset('On')
    expect(machine.calls).toEqual(['start network', 'off', 'start usual'])
  })
  it('leaves a machine alone that is on already', async () => {
    await reset('On')
    await reset('On')
    expect(machine.calls).toEqual(['start usual'])
    expect(((await (await ask('GET', '/redfish/v1/Systems/1')).json()) as { PowerState: string }).PowerState).toBe('On')
  })
  it('keeps the override until the machine starts, and applies it to a restart', async () => {
    await reset('On')
    await ask('PATCH', '/redfish/v1/Systems/1', { Boot: { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'Hdd' } })
    await reset('ForceRestart')
    expect(machine.calls).toEqual(['start usual', 'reset', 'start disk'])
  })
  it('refuses a stale ETag, an unknown target, an unknown reset, a broken body and an unknown path', async () => {
    expect((await ask('PATCH', '/redfish/v1/Systems/1', { Boot: {} }, { authorization: basic, 'if-match': '"old"' })).status).toBe(412)
    expect((await ask('PATCH', '/redfish/v1/Systems/1', { Boot: { BootSourceOverrideTarget: 'Floppy' } })).status).toBe(400)
    expect((await reset('Explode')).status).toBe(400)
    expect((await ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', '{"ResetType":')).status).toBe(400)
    expect((await ask('GET', '/redfish/v1/Systems/2')).status).toBe(404)
    expect(machine.calls).toEqual([])
  })
})

describe('QEMU\'s arguments', () => {
  const files = { disk: '/d', serial: '/s', qmp: '/q' }
  it.each([['network', 1, 2], ['disk', 2, 1]] as const)('tries the %s first when told so', (first, net, disk) => {
    const text = qemuArguments(spec, first, files).join(' ')
    expect(text).toContain(`mac=52:54:00:be:d0:01,bootindex=${net}`)
    expect(text).toContain(`drive=disk0,bootindex=${disk}`)
  })
  it('uses the firmware\'s own network stack on UEFI and the card\'s ROM on BIOS', () => {
    expect(qemuArguments(spec, 'network', files).join(' ')).toContain(',romfile=')
    expect(qemuArguments({ ...spec, firmware: 'bios' }, 'network', files).join(' ')).not.toContain('romfile')
  })
  it('ends instead of resetting, so that the next start takes the usual order', () => {
    expect(qemuArguments(spec, 'network', files)).toContain('-no-reboot')
  })
})
