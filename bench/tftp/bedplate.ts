/** Ours: a whole daemon, region and rack in one process with every plugin, whose folder of loaders holds the files that are fetched. */
import { treeOf } from '../dhcp/cpu.ts'
import { startDaemon } from '../dhcp/bedplate.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores } from '../dhcp/segment.ts'

export async function startBedplate (place: Place, folder: string): Promise<Server> {
  const [name, address] = ['bedplate', '10.64.0.1']
  await place.database.database(name)
  const daemon = await startDaemon(place, {
    name, address, cpus: cores.server,
    settings: { roles: ['region', 'rack'], log: { level: 'warn' }, http: { socket: `${place.folder}/${name}.sock` }, database: { hosts: [place.database.host], name, user: name }, boot: { loaderDirectories: [folder] } }
  })
  return { ...daemon, pids: () => treeOf(daemon.process.pid) }
}
