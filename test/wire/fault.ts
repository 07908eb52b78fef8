/** What is broken under the clients, and how it is put back. */
import type { Member } from '../ha/cluster.ts'
import type { World } from './world.ts'

export interface Fault {
  readonly name: string
  /** For the table's head. */
  readonly title: string
  begin(world: World): Promise<unknown>
  heal(world: World): Promise<unknown>
}

const primary = ({ racks }: World): Member => racks[0] as Member
const start = async (member: Member): Promise<void> => { member.process.start(); await member.ready() }

export const faults: readonly Fault[] = [
  { name: 'none', title: 'nothing broken', begin: async () => {}, heal: async () => {} },
  { name: 'killed', title: 'primary killed', begin: world => primary(world).process.kill(), heal: world => start(primary(world)) },
  { name: 'paused', title: 'primary paused', begin: async world => { primary(world).process.signal('SIGSTOP') }, heal: async world => { primary(world).process.signal('SIGCONT') } },
  { name: 'unplugged', title: 'primary unplugged', begin: world => world.unplug(primary(world)), heal: world => world.plug(primary(world)) },
  { name: 'partitioned', title: 'primary cut off from the regions', begin: world => primary(world).cut(), heal: world => primary(world).mend() },
  { name: 'regions', title: 'all regions gone', begin: ({ cluster }) => Promise.all(cluster.regions.map(region => region.process.kill())), heal: ({ cluster }) => Promise.all(cluster.regions.map(start)) },
  { name: 'database', title: 'database gone', begin: ({ server }) => server.kill9(), heal: ({ server }) => server.start() }
]
