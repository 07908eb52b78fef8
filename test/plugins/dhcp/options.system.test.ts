/** Options and rapid commit as they arrive in real clients: udhcpc, dhclient, dhcpcd and systemd-networkd. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { encodeOption, optionOf } from '../../../plugins/dhcp/options/registry.ts'
import type { OptionValue } from '../../../plugins/dhcp/options/registry.ts'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { TestClient, TestSegment } from './segment.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox', dhclient: 'isc-dhcp-client', dhcpcd: 'dhcpcd-base', networkctl: 'systemd' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

const mac = '02:00:00:00:00:01'
const routes = ['198.51.100.0/24 via 192.0.2.9', '203.0.113.128/25 via 192.0.2.9', '0.0.0.0/0 via 192.0.2.1']
async function serve (options: Readonly<Record<string, OptionValue>>) {
  const region = memoryRegion()
  const rack = await segment.rack('192.0.2.2/24', region)
  const set = Object.entries(options).map(([name, value]) => ({ code: optionOf(name).code, data: encodeOption(name, value).toString('hex') }))
  await rack.apply([segmentEntry('192.0.2.2'), { kind: 'options', id: 'global', value: { options: set } }], true)
  await rack.ask('start')
  return { rack, region }
}
const everything = { 'classless-static-routes': routes, 'domain-search': ['rack.example.org', 'example.org'], 'ntp-servers': '192.0.2.53', 'domain-name': 'example.org' }
const kernelRoutes = async (client: TestClient) => (await client.namespace.exec(['ip', '-4', 'route', 'show'])).stdout

describe('operators\' options arrive', () => {
  it('in udhcpc: routes, search list and time servers, as its script is told', async () => {
    await serve(everything)
    const client = await segment.client(mac)
    const log = join(segment.folder, 'udhcpc.log')
    await writeFile(join(segment.folder, 'told'), `#!/bin/sh\n[ "$1" = bound ] && { echo "routes=$staticroutes"; echo "search=$search"; echo "ntp=$ntpsrv"; echo "domain=$domain"; } > ${log}.part && mv ${log}.part ${log}\nexit 0\n`, { mode: 0o755 })
    client.namespace.spawn(['busybox', 'udhcpc', '-f', '-q', '-i', 'eth0', '-s', join(segment.folder, 'told'), '-t', '10', '-T', '1', '-O', 'staticroutes', '-O', 'search', '-O', 'ntpsrv'], { stdio: 'ignore' })
    const told = await until(() => readFile(log, 'utf8').catch(() => ''), { timeout: 30_000, what: 'udhcpc has its lease' })
    expect(told).toBe('routes=198.51.100.0/24 192.0.2.9 203.0.113.128/25 192.0.2.9 0.0.0.0/0 192.0.2.1\nsearch=rack.example.org example.org\nntp=192.0.2.53\ndomain=example.org\n')
  })

  it('in dhclient', async () => {
    await serve(everything)
    const client = await segment.client(mac)
    const log = join(segment.folder, 'dhclient.log')
    await writeFile(join(segment.folder, 'told'), `#!/bin/sh\n[ "$reason" = PREINIT ] && ip link set eth0 up\n[ "$reason" = BOUND ] && { echo "routes=$new_classless_routes"; echo "search=$new_domain_search"; echo "ntp=$new_ntp_servers"; } > ${log}.part && mv ${log}.part ${log}\nexit 0\n`, { mode: 0o755 })
    await writeFile(join(segment.folder, 'dhclient.conf'), 'option classless-routes code 121 = array of unsigned integer 8;\nalso request classless-routes, domain-search, ntp-servers;\n')
    client.namespace.spawn(['dhclient', '-d', '-1', '-sf', join(segment.folder, 'told'), '-lf', join(segment.folder, 'leases'), '-pf', join(segment.folder, 'pid'), '-cf', join(segment.folder, 'dhclient.conf'), 'eth0'], { stdio: 'ignore' })
    const told = await until(() => readFile(log, 'utf8').catch(() => ''), { timeout: 30_000, what: 'dhclient has its lease' })
    expect(told).toBe('routes=24 198 51 100 192 0 2 9 25 203 0 113 128 192 0 2 9 0 192 0 2 1\nsearch=rack.example.org. example.org.\nntp=192.0.2.53\n')
  })

  it('in systemd-networkd, which puts the routes into the kernel', async () => {
    await serve(everything)
    const client = await segment.client(mac)
    await writeFile(join(segment.folder, 'eth0.network'), '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n')
    const command = `mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/network /run/systemd/netif; cp ${join(segment.folder, 'eth0.network')} /run/systemd/network/
      for each in links leases lldp; do mkdir /run/systemd/netif/$each; done; chown -R systemd-network /run/systemd/netif; mount -o remount,ro,bind /sys; exec /lib/systemd/systemd-networkd`
    client.namespace.spawn(['sh', '-ec', command], { stdio: 'ignore', detached: true })
    const table = await until(async () => { const shown = await kernelRoutes(client); return shown.includes('203.0.113.128') ? shown : undefined }, { timeout: 60_000, what: 'networkd has set the routes' })
    expect(table).toMatch(/198\.51\.100\.0\/24 via 192\.0\.2\.9/)
    expect(table).toMatch(/203\.0\.113\.128\/25 via 192\.0\.2\.9/)
  })
})

describe('rapid commit (RFC 4039)', () => {
  const dhcpcd = async (client: TestClient, ...lines: string[]) => {
    await writeFile(join(segment.folder, 'dhcpcd.conf'), ['noarp', 'noipv4ll', 'option classless_static_routes, domain_search', ...lines, ''].join('\n'))
    client.namespace.spawn(['sh', '-ec', `mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib/dhcpcd; exec dhcpcd -4 -B -f ${join(segment.folder, 'dhcpcd.conf')} -c /bin/true eth0`], { stdio: 'ignore', detached: true })
    return await until(async () => { const shown = await kernelRoutes(client); return shown.includes('203.0.113.128') ? shown : undefined }, { timeout: 60_000, what: 'dhcpcd has set the routes' })
  }
  const sent = async (rack: { ask(type: 'metrics'): Promise<unknown> }, type: string) => Number(new RegExp(`bedplate_dhcp_packets\\{type="${type}",direction="out"\\} (\\d+)`).exec(String(await rack.ask('metrics')))?.[1] ?? 0)

  it('dhcpcd has its lease with two packets, and its routes', async () => {
    const { rack, region } = await serve(everything)
    const table = await dhcpcd(await segment.client(mac), 'option rapid_commit')
    expect(table).toMatch(/198\.51\.100\.0\/24 via 192\.0\.2\.9/)
    expect(await sent(rack, 'OFFER')).toBe(0)
    expect(await sent(rack, 'ACK')).toBe(1)
    expect(region.bindings.get('192.0.2.100')?.client).toBe(mac)
  })
  it('with four where it does not ask', async () => {
    const { rack } = await serve(everything)
    await dhcpcd(await segment.client(mac))
    expect(await sent(rack, 'OFFER')).toBeGreaterThan(0)
  })
})
