/** ProxyDHCP on a real segment: busybox's udhcpd gives the addresses, this rack says what to boot; raw packets, and real firmware under QEMU that boots through it. */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { u16 } from '../../../plugins/dhcp/options/values.ts'
import { qemuArguments } from '../../../sim/machine/qemu.ts'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { packetOf } from './build.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { RackProcess, TestSegment } from './segment.ts'
import { startUdhcpd } from './udhcpd.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox-static', 'qemu-system-x86_64': 'qemu-system-x86' }) })
let segment: TestSegment
let rack: RackProcess
let region: ReturnType<typeof memoryRegion>
const mac = '02:00:00:00:00:01'
beforeEach(async () => {
  segment = await createSegment()
  region = memoryRegion()
  rack = await segment.rack('192.0.2.2/24', region)
  const entry = segmentEntry('192.0.2.2')
  if (entry.kind === 'segment') await rack.apply([{ ...entry, value: { ...entry.value, mode: 'proxy', subnets: entry.value.subnets.map(subnet => ({ ...subnet, dynamic: [] })) } }], true)
  await rack.ask('start')
  await startUdhcpd(segment, await segment.client('02:00:00:00:00:77'), '192.0.2.77')
})
afterEach(async () => { await segment.destroy() })

describe('a VLAN in the mode proxy', () => {
  it('leaves the addresses to the other server, and is healthy about it', async () => {
    const client = await segment.client(mac)
    client.udhcpc('-q')
    const bound = await until(async () => (await client.events()).find(event => event.startsWith('bound ')), { timeout: 30_000 })
    expect(bound).toContain('server=192.0.2.77')
    expect(region.bindings.size).toBe(0)
    expect(await rack.ask('healths')).toMatchObject({ proxy: { state: 'running' }, rogues: { state: 'off' } })
  })

  it('tells firmware on port 67 and on port 4011 what to boot', async () => {
    const client = await segment.client(mac)
    const raw = await client.raw()
    const vendor = 'PXEClient:Arch:00007:UNDI:003000'
    const uefi = packetOf({ type: 'DISCOVER', mac, vendor, options: [[option.architecture, u16(7)]] })
    raw.send(uefi)
    const offer = await until(() => raw.heard.find(reply => reply.yiaddr === 0 && ipText(reply.siaddr) === '192.0.2.2'), { what: 'the proxy\'s offer' })
    expect(offer.options.get(option.vendorClass)?.toString()).toBe('PXEClient')
    await until(() => raw.heard.find(reply => reply.yiaddr !== 0), { what: 'the other server\'s offer' })
    await client.namespace.exec(['ip', 'addr', 'add', '192.0.2.210/24', 'dev', 'eth0'])
    raw.send(packetOf({ type: 'REQUEST', mac, vendor, ciaddr: '192.0.2.210', options: [[option.architecture, u16(7)]] }), '192.0.2.2', 4011)
    const ack = await until(() => raw.heard.find(reply => reply.file === 'ipxe.efi'), { what: 'the proxy\'s answer on port 4011' })
    expect(ack).toMatchObject({ yiaddr: 0, siaddr: parseIp('192.0.2.2') })
  })

  it('turned into a server it closes port 4011 and gives addresses; turned off it falls silent', async () => {
    const ports = async () => (await rack.namespace.exec(['ss', '-uln'])).stdout.match(/:(67|4011)\b/g)?.sort().join(' ') ?? ''
    expect(await ports()).toBe(':4011 :67')
    await rack.apply([segmentEntry('192.0.2.2')])
    await until(async () => await ports() === ':67')
    const raw = await (await segment.client(mac)).raw()
    raw.send(packetOf({ type: 'DISCOVER', mac }))
    await until(() => raw.heard.find(reply => reply.options.get(option.serverId)?.equals(Buffer.of(192, 0, 2, 2))))
    const entry = segmentEntry('192.0.2.2')
    if (entry.kind === 'segment') await rack.apply([{ ...entry, value: { ...entry.value, mode: 'off' } }])
    await until(async () => await ports() === '')
  })
})

describe('real firmware', () => {
  const asked: string[] = []
  const machine = async (firmware: 'bios' | 'uefi', number: number) => {
    asked.length = 0
    const listener = rack.namespace.node(join(import.meta.dirname, 'boot-listener.ts'))
    listener.on('message', (line: string) => { asked.push(line) })
    await until(() => asked.includes('ready'), { timeout: 30_000 })
    await segment.network.tap(segment.wire, 'tap0', 'br0')
    const own = `52:54:00:00:00:0${number}`
    const files = { serial: join(segment.folder, 'serial'), qmp: join(segment.folder, 'qmp'), disk: join(segment.folder, 'disk.qcow2'), ...firmware === 'uefi' ? { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', vars: join(segment.folder, 'vars.fd') } : {} }
    if (files.vars !== undefined) await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', files.vars)
    const args = qemuArguments({ name: 'proxied', firmware, mac: own, tap: 'tap0', directory: segment.folder, memory: 256, diskGiB: 1 }, 'network', files)
    await segment.wire.exec(['qemu-img', 'create', '-q', '-f', 'qcow2', files.disk, '1M'])
    segment.wire.spawn(['qemu-system-x86_64', ...args], { stdio: 'inherit' })
    return own
  }

  it('iPXE in a card\'s ROM: takes its address there and its script here', { timeout: 300_000 }, async () => {
    const own = await machine('bios', 8)
    await until(() => asked.includes(`http /boot/ipxe/${own.replaceAll(':', '-')}`), { timeout: 240_000, interval: 200, what: 'iPXE asks for its script' })
    expect(region.bindings.size).toBe(0)
  })

  it('UEFI (OVMF): takes its address there, asks on port 4011, and fetches the loader', { timeout: 400_000 }, async () => {
    await machine('uefi', 9)
    await until(() => asked.includes('tftp ipxe.efi'), { timeout: 360_000, interval: 200, what: 'the firmware asks for the loader' })
    expect(String(await rack.ask('metrics'))).toMatch(/bedplate_dhcp_packets\{type="ACK",direction="out"\} [1-9]/)
    expect(region.bindings.size).toBe(0)
  })
})
