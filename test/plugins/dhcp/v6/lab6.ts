/** A segment with IPv6 for tests with real clients: racks, clients and relays, each in a namespace of its own with nothing of the host's. */
import type { ChildProcess } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Answer, SyncParams, SyncResult, Wish } from '../../../../plugins/dhcp/manifest.ts'
import type { Packet6 } from '../../../../plugins/dhcp/v6/packet6.ts'
import { forwarded, unwrapReply } from '../../../../plugins/dhcp/v6/relay6.ts'
import type { Datagram6, Relay6 } from '../../../../plugins/dhcp/v6/relay6.ts'
import type { Namespace } from '../../../kit/network.ts'
import { until } from '../../../kit/wait.ts'
import { createSegment } from '../segment.ts'
import type { FakeRegion, RackProcess, TestSegment } from '../segment.ts'

/** Told by dhclient in $reason. */
const script = `#!/bin/sh
case "$reason" in
  BOUND6|REBOOT6|REBIND6|RENEW6) [ -z "$new_ip6_address" ] || ip -6 addr replace "$new_ip6_address/64" dev eth0;;
  EXPIRE6|RELEASE6|STOP6|DEPREF6) [ -z "$old_ip6_address" ] || ip -6 addr del "$old_ip6_address/64" dev eth0 2>/dev/null;;
esac
echo "$reason new=$new_ip6_address old=$old_ip6_address dns=$new_dhcp6_name_servers search=$new_dhcp6_domain_search life=$new_max_life" >> "$LOG"
exit 0
`
const networkd = `[Match]
Name=eth0
[Network]
DHCP=ipv6
IPv6AcceptRA=no
[DHCPv6]
WithoutRA=solicit
`

export interface Client6 {
  readonly namespace: Namespace
  /** One line per event, as dhclient's script was told. */
  events(): Promise<string[]>
  /** Global addresses of eth0. */
  addresses(): Promise<string[]>
  dhclient(...args: string[]): ChildProcess
  dhcpcd(): ChildProcess
  networkd(): ChildProcess
  /** A port 546, or a relay's 547, that sends and hears what the test wants. */
  raw(relay?: Relay6): Promise<Raw6>
}
export interface Raw6 {
  send(packet: Packet6 | Buffer, address?: string): void
  readonly heard: readonly Datagram6[]
  /** Sends, and waits for an answer to it. */
  exchange(packet: Packet6): Promise<Packet6>
}
export interface Lab6 {
  readonly segment: TestSegment
  plug(addresses: readonly string[], mac?: string, bridge?: string): Promise<Namespace>
  rack(address: string, region: FakeRegion, namespace?: Namespace): Promise<RackProcess>
  client(mac?: string, bridge?: string): Promise<Client6>
  destroy(): Promise<void>
}

/** No duplicate address detection: an address is good as soon as it is set. */
const steady = (namespace: Namespace) => namespace.exec(['sh', '-c', 'for each in all default; do echo 0 > /proc/sys/net/ipv6/conf/$each/accept_dad; done'])

export async function createLab6 (): Promise<Lab6> {
  const segment = await createSegment()
  const { network, folder, wire } = segment
  await writeFile(join(folder, 'script6'), script, { mode: 0o755 })
  await writeFile(join(folder, 'network6'), networkd, { mode: 0o644 })
  let ports = 0
  const plug = async (addresses: readonly string[], mac?: string, bridge = 'br0') => {
    const namespace = await network.namespace()
    await steady(namespace)
    await network.cable({ namespace, name: 'eth0', addresses, ...(mac === undefined ? {} : { mac }) }, { namespace: wire, name: `six${++ports}`, bridge })
    return namespace
  }
  return {
    segment,
    plug,
    async rack (address, region, namespace) { return segment.rack('', region, { namespace: namespace ?? await plug([address]) }) },
    async client (mac, bridge) {
      const namespace = await plug([], mac, bridge)
      const file = (end: string) => join(folder, `${namespace.name}.${end}`)
      await writeFile(file('log'), '')
      await writeFile(file('machine'), `${namespace.name.replace(/\D/g, '').padStart(32, 'b')}\n`, { mode: 0o444 })
      const env = { ...process.env, LOG: file('log') }
      const alone = (command: string) => namespace.spawn(['sh', '-ec', command], { stdio: 'ignore' })
      return {
        namespace,
        events: async () => (await readFile(file('log'), 'utf8')).split('\n').filter(Boolean),
        addresses: async () => [...(await namespace.exec(['ip', '-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'])).stdout.matchAll(/inet6 (\S+?)\//g)].map(([, address]) => address as string),
        dhclient: (...args) => namespace.spawn(['dhclient', '-6', '-d', '-D', 'LL', '-sf', join(folder, 'script6'), '-e', `LOG=${file('log')}`, '-lf', file('leases'), '-pf', file('pid'), '-cf', '/dev/null', ...args, 'eth0'], { env, stdio: 'ignore' }),
        // its own hooks would write the host's resolv.conf
        dhcpcd: () => alone(`mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib/dhcpcd; printf 'ipv6only\\nnoipv6rs\\nduid\\nia_na\\noption dhcp6_name_servers\\n' > /run/conf; exec dhcpcd -B -f /run/conf -c /bin/true eth0`),
        // with a writable /sys it would wait for udev; its DUID comes from the machine's id, which no two hosts share
        networkd: () => alone(`mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/network /run/systemd/netif; cp ${join(folder, 'network6')} /run/systemd/network/eth0.network
          for each in links leases lldp; do mkdir /run/systemd/netif/$each; done; chown -R systemd-network /run/systemd/netif
          [ ! -e /etc/machine-id ] || mount --bind ${file('machine')} /etc/machine-id
          mount -o remount,ro,bind /sys; exec /lib/systemd/systemd-networkd`),
        async raw (relay) {
          const child = namespace.node(join(import.meta.dirname, 'port-process.ts'), relay === undefined ? ['546'] : ['547'])
          const heard: Datagram6[] = []
          let ready = false
          child.on('message', (message: 'ready' | { data: string }) => { if (message === 'ready') ready = true; else heard.push(unwrapReply(Buffer.from(message.data, 'hex'))) })
          await until(() => ready, { what: 'the raw client runs', timeout: 15_000 })
          const send = (packet: Packet6 | Buffer, address = 'ff02::1:2%eth0') => {
            const data = Buffer.isBuffer(packet) ? packet : forwarded({ relays: relay === undefined ? [] : [relay], message: packet as Packet6 })
            child.send({ data: data.toString('hex'), address })
          }
          return {
            send,
            heard,
            async exchange (packet) {
              const before = heard.length
              send(packet)
              return (await until(() => heard.slice(before).find(({ message }) => message.xid === packet.xid), { what: `an answer to ${packet.type}` })).message
            }
          }
        }
      }
    },
    destroy: () => segment.destroy()
  }
}

/** A region that keeps bindings in memory, as the real one keeps them in PostgreSQL. */
export function memoryRegion6 (): FakeRegion & { readonly bindings: Map<string, Wish>, readonly reports: { kind: string, address: string, client: string }[], down: boolean } {
  const bindings = new Map<string, Wish>()
  let number = 0
  const region = {
    bindings,
    reports: [] as { kind: string, address: string, client: string }[],
    down: false,
    bind (wishes: readonly Wish[]) {
      if (region.down) throw new Error('no region answers')
      return wishes.map((wish): Answer => {
        const holder = bindings.get(wish.address)
        if (holder !== undefined && holder.client !== wish.client) return { stored: false, expires: null, number: null, reason: 'taken', quiet: false }
        bindings.set(wish.address, wish)
        return { stored: true, expires: new Date(Date.now() + wish.seconds * 1000).toISOString(), number: String(++number), reason: null, quiet: false }
      })
    },
    grant: () => [],
    sync (params: SyncParams): SyncResult {
      if (region.down) throw new Error('no region answers')
      return { standing: '1', autonomySeconds: 3600, through: params.last, refused: [], reserves: [], surplus: [] }
    },
    report (kind: string, { address, client }: { address: string, client: string }) {
      region.reports.push({ kind, address, client })
      bindings.delete(address)
    }
  }
  return region
}
