/** The faults of the availability run: what is broken, what shows that the cluster noticed, how it is put back. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Server } from '../kit/servers.ts'
import type { Cluster, Member } from './cluster.ts'
import type { Front } from './front.ts'
import type { Sample } from './watch.ts'

/** The database pair; the roles change as servers are promoted. */
export interface Pair { primary: Server, standby: Server }
export interface Scene { readonly cluster: Cluster, readonly pair: Pair, readonly front: Front }

/** One fault while it stands. */
export interface Standing {
  /** When it began, ms since the epoch. */
  readonly at: number
  /** Members that cannot be expected to work until it is healed. */
  readonly broken: readonly Member[]
  noticed(seen: Sample): boolean | Promise<boolean>
  /** Puts the members back; what the cluster has to do for itself is not done here. */
  heal(): Promise<void>
  /** It can recover only once it is healed: that is done after this many ms, and recovery is counted from there. */
  readonly healAfter?: number
  /** Before this moment (ms since the epoch) there was nothing left that could answer; known once it is healed. */
  back?(): number
}
export interface Fault { readonly name: string, begin(scene: Scene): Promise<Standing> }

const leader = ({ regions }: Sample): Member | undefined => [...regions].find(([, status]) => status?.leading !== undefined)?.[0]
/** Every living rack has let go of its link to that region. */
const unlinked = (region: Member) => ({ racks }: Sample): boolean => [...racks.values()].every(fares => fares !== undefined && !fares.regions.includes(region.id))
/** Every living region has let go of its link to that rack. */
const unlinkedRack = (rack: Member) => ({ regions }: Sample): boolean => [...regions.values()].every(status => status !== undefined && !status.linkedRacks.includes(rack.id))
const start = async (member: Member): Promise<void> => { member.process.start(); await member.ready() }

async function leading ({ cluster }: Scene): Promise<Member> {
  const { sample } = await import('./watch.ts')
  const found = leader(await sample(cluster, cluster.regions))
  if (found === undefined) throw new Error('no region leads')
  return found
}
async function following (scene: Scene): Promise<Member> {
  const first = await leading(scene)
  const holder = await scene.front.holder()
  const found = scene.cluster.regions.find(region => region !== first && region !== holder) ?? scene.cluster.regions.find(region => region !== first)
  if (found === undefined) throw new Error('there is one region only')
  return found
}

const regionFault = (name: string, pick: (scene: Scene) => Promise<Member>, hurt: (region: Member) => Promise<void>, heal: (region: Member) => Promise<void>): Fault => ({
  name,
  async begin (scene) {
    const region = await pick(scene)
    const at = Date.now()
    await hurt(region)
    return { at, broken: [region], noticed: unlinked(region), heal: () => heal(region) }
  }
})
const rackFault = (name: string, hurt: (rack: Member) => Promise<void>, heal: (rack: Member) => Promise<void>): Fault => ({
  name,
  async begin ({ cluster }) {
    const rack = cluster.racks[1] as Member
    const at = Date.now()
    await hurt(rack)
    return { at, broken: [rack], noticed: unlinkedRack(rack), heal: () => heal(rack) }
  }
})
const pause = async (member: Member): Promise<void> => { member.process.signal('SIGSTOP') }
const resume = async (member: Member): Promise<void> => { member.process.signal('SIGCONT'); await member.ready() }

/** `hurt` breaks the primary; the standby is promoted half a second later, as whoever watches over the servers would. */
const databaseFault = (name: string, hurt: (primary: Server) => Promise<void>, after: (old: Server) => Promise<void> = async () => {}): Fault => ({
  name,
  async begin ({ pair, cluster }) {
    const { primary: old, standby } = pair
    const at = Date.now()
    await hurt(old)
    await delay(500)
    await standby.promote()
    Object.assign(pair, { primary: standby, standby: old })
    const promoted = Date.now()
    return {
      at,
      broken: [],
      noticed: () => cluster.writes.some(({ at, acknowledged }) => acknowledged && at > promoted),
      async heal () {
        await after(old)
        await old.rejoin(standby)
        await standby.caughtUp(old)
        await standby.synchronous(old.name)
      }
    }
  }
})

export const faults: readonly Fault[] = [
  regionFault('a region is killed', following, region => region.process.kill(), start),
  regionFault('a region hangs (SIGSTOP), and goes on', following, pause, resume),
  regionFault('a region is cut off', following, region => region.cut(), async region => { await region.mend(); await region.ready() }),
  regionFault('a region is stopped in order, and started', following, async region => { await region.process.stop() }, start),
  regionFault('the leader is killed', leading, region => region.process.kill(), start),
  regionFault('the leader hangs past its term, and goes on', leading, pause, resume),
  regionFault('the leader is cut off', leading, region => region.cut(), async region => { await region.mend(); await region.ready() }),
  {
    name: 'the leader loses the database only',
    async begin (scene) {
      const region = await leading(scene)
      const hosts = [scene.pair.primary.host, scene.pair.standby.host]
      const at = Date.now()
      for (const host of hosts) await region.block(host)
      return {
        at,
        broken: [region],
        noticed: seen => leader(seen) !== undefined, // another: this one is not asked
        async heal () { for (const host of hosts) await region.unblock(host); await region.ready() }
      }
    }
  },
  {
    name: 'the front door\'s haproxy is killed',
    async begin ({ front }) {
      const holder = await front.holder()
      const at = Date.now()
      await front.killProxy(holder)
      return { at, broken: [], noticed: async () => { const now = await front.holder().catch(() => holder); return now !== holder }, heal: () => front.start(holder) }
    }
  },
  {
    name: 'the host of the front door dies: region, haproxy and keepalived',
    async begin ({ front }) {
      const holder = await front.holder()
      const at = Date.now()
      await Promise.all([front.kill(holder), holder.process.kill()])
      return { at, broken: [holder], noticed: unlinked(holder), async heal () { await front.start(holder); await start(holder) } }
    }
  },
  {
    name: 'the host of the front door is cut off',
    async begin ({ front }) {
      const holder = await front.holder()
      const at = Date.now()
      await holder.cut()
      return { at, broken: [holder], noticed: unlinked(holder), async heal () { await holder.mend(); await holder.ready() } }
    }
  },
  rackFault('a rack is killed', rack => rack.process.kill(), start),
  rackFault('a rack hangs (SIGSTOP), and goes on', pause, resume),
  rackFault('a rack is cut off', rack => rack.cut(), rack => rack.mend()),
  databaseFault('the database\'s primary is killed, its standby promoted', primary => primary.kill9()),
  databaseFault('the database\'s primary hangs (SIGSTOP), its standby promoted, and goes on', primary => primary.pause(), async old => { await old.resume(); await delay(3000) }),
  databaseFault('the database is switched over in order', primary => primary.stop()),
  {
    name: 'the database\'s synchronous standby hangs for five seconds',
    async begin ({ cluster, pair }) {
      const at = Date.now()
      await pair.standby.pause()
      // commits wait for it: that is what synchronous means; reads go on
      return { at, broken: [], noticed: () => !cluster.writes.some(write => write.acknowledged && write.done > Date.now() - 1000), healAfter: 5000, heal: () => pair.standby.resume() }
    }
  },
  {
    name: 'every region and the database are gone for ten seconds, and a rack starts anew meanwhile',
    async begin ({ cluster, pair }) {
      const rack = cluster.racks[0] as Member
      const at = Date.now()
      await Promise.all([...cluster.regions.map(region => region.process.kill()), pair.primary.pause(), pair.standby.pause()])
      const renewed = delay(5000).then(async () => { await rack.process.kill(); await start(rack) }) // ready with what is on its disk
      let back = at
      return {
        at,
        back: () => back,
        broken: cluster.regions,
        noticed: ({ racks }) => [...racks.values()].every(fares => fares?.regions.length === 0),
        healAfter: 10_000,
        async heal () {
          await renewed
          await Promise.all([pair.primary.resume(), pair.standby.resume()])
          for (const [index, region] of cluster.regions.entries()) {
            await start(region)
            if (index === 0) back = Date.now()
          }
        }
      }
    }
  }
]
