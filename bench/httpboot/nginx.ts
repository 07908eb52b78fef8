/** Peer: nginx with one worker, sendfile, tcp_nopush and an open_file_cache. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores, start } from '../dhcp/segment.ts'
import type { Host } from '../dhcp/segment.ts'

export const nginxPort = 8080
const configuration = (directory: string, address: string, root: string): string => `worker_processes 1; pid ${directory}/pid; error_log ${directory}/errors; daemon off; user root;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; expires 1h; open_file_cache max=100;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${directory}/${name};`).join(' ')}
  server { listen ${address}:${nginxPort}; root ${root}; }
}
`

/** Serves a folder on a host, on these processors. */
export async function startNginx (place: Place, { host, root, cpus = cores.server }: { readonly host: Host, readonly root: string, readonly cpus?: string }): Promise<Server> {
  const directory = join(place.folder, 'nginx')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'nginx.conf'), configuration(directory, host.address, root))
  const nginx = start(host, cpus, ['/usr/sbin/nginx', '-c', join(directory, 'nginx.conf')], { log: join(directory, 'out') })
  await until(async () => new RegExp(`:${nginxPort}\\s`).test((await host.namespace.exec(['ss', '-ltnH'])).stdout), { timeout: 15_000, interval: 100, what: 'nginx to serve' })
  return { address: host.address, pids: () => treeOf(nginx.pid), stop: () => nginx.end() }
}
