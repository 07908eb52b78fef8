/** The client programs, as Debian ships them and with their own timing, each in a namespace of its own with nothing of the host's. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Namespace } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import { follow, heldAt, type Notice } from './interface.ts'

const run = promisify(execFile)

export const programs = ['udhcpc', 'dhclient', 'dhcpcd', 'networkd'] as const
export type Program = typeof programs[number]

/** A client that is plugged in and may be started. */
export interface Client {
  readonly kind: Program
  readonly mac: string
  readonly notices: readonly Notice[]
  /** When its program was started, ms since the epoch. */
  readonly started: number
  start(): void
  /** What it holds now. */
  addresses(): Set<string>
  /** SIGKILL to all of it: it releases nothing. */
  end(): Promise<unknown>
}

/** Told by udhcpc in $1 and by dhclient in $reason. The kernel itself takes an address away at the end of its lease, so that no client holds one by mistake. */
const script = `#!/bin/sh
address=\${ip:-$new_ip_address}; seconds=\${lease:-$new_dhcp_lease_time}
case "\${1:-$reason}" in
  PREINIT) ip link set eth0 up;;
  bound|renew|BOUND|RENEW|REBIND|REBOOT)
    ip addr replace "$address/24" dev eth0 valid_lft "$seconds" preferred_lft "$seconds"
    ip -o -4 addr show dev eth0 | while read -r _ _ _ other _; do [ "$other" = "$address/24" ] || ip addr del "$other" dev eth0; done;;
  deconfig|EXPIRE|FAIL|RELEASE|STOP) ip addr flush dev eth0;;
  TIMEOUT) exit 1;;
esac
exit 0
`
const network = '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n'

/** What runs, given the folder with the files of a client of that name. `ip netns exec` has given it a mount namespace of its own already. */
function commandOf (kind: Program, folder: string, name: string): string[] {
  const file = (end: string) => join(folder, `${name}.${end}`)
  switch (kind) {
    case 'udhcpc': return ['busybox', 'udhcpc', '-f', '-i', 'eth0', '-s', join(folder, 'script')]
    case 'dhclient': return ['dhclient', '-d', '-sf', join(folder, 'script'), '-lf', file('leases'), '-pf', file('pid'), '-cf', '/dev/null', 'eth0']
    // its own hooks would write the host's resolv.conf
    case 'dhcpcd': return ['sh', '-ec', 'mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib/dhcpcd; exec dhcpcd -4 -B -c /bin/true eth0']
    // with a writable /sys it would wait for udev; its client id comes from the machine's, which no two hosts share
    case 'networkd': return ['sh', '-ec', `mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/network /run/systemd/netif; cp ${file('network')} /run/systemd/network/eth0.network
      for each in links leases lldp; do mkdir /run/systemd/netif/$each; done; chown -R systemd-network /run/systemd/netif
      [ ! -e /etc/machine-id ] || mount --bind ${file('machine')} /etc/machine-id
      mount -o remount,ro,bind /sys; exec /lib/systemd/systemd-networkd`]
  }
}

/** SIGKILL to all that runs in a namespace; resolves when nothing does any more. */
export const clear = (namespace: Namespace): Promise<boolean> => until(async () => {
  const pids = (await run('ip', ['netns', 'pids', namespace.name])).stdout.split('\n').filter(Boolean)
  for (const pid of pids) try { process.kill(Number(pid), 'SIGKILL') } catch { /* ended by itself */ }
  return pids.length === 0
}, { what: `nothing runs in ${namespace.name}` })

/** Writes what clients share into `folder`. */
export const writeScript = (folder: string): Promise<void> => writeFile(join(folder, 'script'), script, { mode: 0o755 })

/** A client of `kind` in a namespace whose eth0 is plugged in. `prefix`: of the segment's addresses. */
export async function createClient (o: { readonly kind: Program, readonly namespace: Namespace, readonly mac: string, readonly folder: string, readonly prefix: string }): Promise<Client> {
  const { kind, namespace, mac, folder, prefix } = o
  await writeFile(join(folder, `${namespace.name}.network`), network, { mode: 0o644 })
  await writeFile(join(folder, `${namespace.name}.machine`), `${mac.replaceAll(':', '').padStart(32, 'b')}\n`, { mode: 0o444 })
  const notices = follow(namespace, prefix)
  let started = 0
  return {
    kind, mac, notices,
    get started () { return started },
    start () {
      started = Date.now()
      namespace.spawn(commandOf(kind, folder, namespace.name), { stdio: 'ignore', detached: true })
    },
    addresses: () => heldAt(notices, Infinity),
    end: () => clear(namespace)
  }
}
