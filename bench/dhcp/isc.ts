/** Peer: ISC dhcpd, which syncs its lease file before each answer. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from './cpu.ts'
import type { Place, Server } from './place.ts'
import { cores, refuseTaken, start } from './segment.ts'

// Its pool is smaller than the others': it reads and writes all of it at every start.
const configuration = `authoritative;
ping-check off;
ddns-update-style none;
default-lease-time 3600;
max-lease-time 7200;
subnet 10.64.0.0 netmask 255.240.0.0 {
  range 10.65.0.0 10.65.255.255;
  option routers 10.64.0.1;
  option domain-name-servers 10.64.0.1;
  next-server 10.64.0.1;
  filename "grubx64.efi";
}
`

export async function startIsc (place: Place): Promise<Server> {
  const host = await place.segment.host('isc', '10.64.0.33')
  await refuseTaken(host, [67])
  const directory = join(place.folder, 'isc')
  await mkdir(directory, { recursive: true })
  const [file, leases] = [join(directory, 'dhcpd.conf'), join(directory, 'leases')]
  await writeFile(file, configuration)
  await writeFile(leases, '')
  const dhcpd = start(host, cores.server, ['/usr/sbin/dhcpd', '-f', '-4', '-q', '--no-pid', '-user', 'root', '-group', 'root', '-cf', file, '-lf', leases, host.device], { log: join(directory, 'out') })
  await until(async () => /:67\s/.test((await host.namespace.exec(['ss', '-lunH'])).stdout), { timeout: 15_000, interval: 100, what: 'ISC dhcpd to serve' })
  return { address: host.address, pids: () => treeOf(dhcpd.pid), stop: () => dhcpd.end() }
}
