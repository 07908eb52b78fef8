/** Peers: tftpd-hpa and dnsmasq, which know no windows, and atftpd, which does. All as Debian ships them, in the foreground, on the server's core. */
import { execFile } from 'node:child_process'
import { access, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores, refuseTaken, start } from '../dhcp/segment.ts'

const run = promisify(execFile)
const mostClients = 400 // more than any case has

async function serving (place: Place, name: string, address: string, command: readonly string[]): Promise<Server> {
  const host = await place.segment.host(name, address)
  await refuseTaken(host, [69])
  const program = start(host, cores.server, command, { log: join(place.folder, `${name}.log`), cwd: place.folder })
  await until(async () => /:69\s/.test((await host.namespace.exec(['ss', '-lunH'])).stdout), { timeout: 15_000, interval: 100, what: `${name} to serve` })
  return { address: host.address, pids: () => treeOf(program.pid), stop: () => program.end() }
}

export const startHpa = (place: Place, folder: string): Promise<Server> =>
  serving(place, 'tftpd-hpa', '10.64.0.60', ['/usr/sbin/in.tftpd', '-L', '-4', '--secure', '-a', '0.0.0.0:69', '-u', 'root', folder])

export const startDnsmasq = (place: Place, folder: string): Promise<Server> =>
  serving(place, 'dnsmasq', '10.64.0.61', ['/usr/sbin/dnsmasq', '-k', '--port=0', '--enable-tftp', `--tftp-root=${folder}`, `--tftp-max=${mostClients}`, '--user=root', '--conf-file=/dev/null', '--pid-file'])

/** Taken out of its package: that cannot be installed beside tftpd-hpa's. */
export async function startAtftpd (place: Place, folder: string): Promise<Server> {
  const directory = join(place.folder, 'atftpd')
  const program = join(directory, 'usr/sbin/atftpd')
  if (!await access(program).then(() => true, () => false)) {
    await mkdir(directory, { recursive: true })
    const download = () => run('apt-get', ['-q', 'download', 'atftpd'], { cwd: directory })
    await download().catch(() => run('apt-get', ['-q', 'update']).then(download)) // its lists may be absent or old
    for (const file of await readdir(directory)) if (file.endsWith('.deb')) await run('dpkg', ['-x', join(directory, file), directory])
  }
  return serving(place, 'atftpd', '10.64.0.62', [program, '--daemon', '--no-fork', '--logfile', '/dev/null', '--user', 'root.root', '--maxthread', String(mostClients), folder])
}
