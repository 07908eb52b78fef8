/** Peer: dnsmasq for DHCP and TFTP, and nginx for the rest, on one host. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores, prefix, refuseTaken, start } from '../dhcp/segment.ts'
import type { Stand } from '../httpboot/image.ts'
import { nginxPort, startNginx } from '../httpboot/nginx.ts'

const netmask = '255.240.0.0'

/** Serves the loaders of a folder and what the stand holds; the script is a file of its own. */
export async function startDnsmasq (place: Place, { stand, loaders, loader }: { readonly stand: Stand, readonly loaders: string, readonly loader: string }): Promise<Server & { readonly script: string }> {
  const host = await place.segment.host('dnsmasq', '10.64.0.60')
  await refuseTaken(host, [67, 69])
  const directory = join(place.folder, 'dnsmasq')
  await mkdir(directory, { recursive: true })
  const base = `http://${host.address}:${nginxPort}`
  await writeFile(join(stand.folder, 'boot.ipxe'), `#!ipxe\nkernel ${base}/vmlinuz initrd=initrd.img\ninitrd ${base}/initrd.img\nboot\n`)
  // no-ping: it would wait for an echo of each address; tftp-max: 50 unless it is told.
  const settings = [
    'port=0', 'keep-in-foreground', 'user=root', 'no-hosts', 'no-resolv', 'no-ping', 'dhcp-authoritative', `interface=${host.device}`, 'bind-interfaces', `dhcp-leasefile=${join(directory, 'leases')}`, `pid-file=${join(directory, 'pid')}`,
    `dhcp-range=${prefix.pool.start},${prefix.pool.end},${netmask},1h`, 'dhcp-lease-max=100000', `dhcp-boot=${loader},,${host.address}`, 'enable-tftp', `tftp-root=${loaders}`, 'tftp-max=1000'
  ]
  await writeFile(join(directory, 'dnsmasq.conf'), `${settings.join('\n')}\n`)
  const nginx = await startNginx(place, { host, root: stand.folder, cpus: cores.all })
  const dnsmasq = start(host, cores.all, ['/usr/sbin/dnsmasq', `--conf-file=${join(directory, 'dnsmasq.conf')}`], { log: join(directory, 'out') })
  await until(async () => /:69\s/.test((await host.namespace.exec(['ss', '-lunH'])).stdout), { timeout: 15_000, interval: 100, what: 'dnsmasq to serve' })
  return { address: host.address, script: `${base}/boot.ipxe`, pids: () => [...treeOf(dnsmasq.pid), ...nginx.pids()], stop: async () => { await dnsmasq.end(); await nginx.stop() } }
}
