/** Watches the cluster through a fault: when it was noticed, and from when on everything went well again. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster, Member } from './cluster.ts'
import type { Fares } from './traffic/rack.ts'

export interface RegionStatus { readonly ready: boolean, readonly leading?: { readonly term: string }, readonly linkedRacks: readonly string[], readonly notReady: readonly { readonly part: string, readonly reason: string }[] }

/** What was seen of the living members at one moment; undefined: it gave no answer. */
export interface Sample { readonly at: number, readonly regions: ReadonlyMap<Member, RegionStatus | undefined>, readonly racks: ReadonlyMap<Member, Fares | undefined> }

const every = 100 // ms between samples
const steady = 2000 // ms without trouble before it counts as recovered
const slow = 1000 // ms: an answer that takes longer is trouble
const longest = 60_000 // ms until recovery is given up
const unnoticed = 15_000 // ms: what nobody noticed until then goes unnoticed

/** Asks every member in `living`. */
export async function sample (cluster: Cluster, living: readonly Member[]): Promise<Sample> {
  const at = Date.now()
  const ask = async <T>(members: readonly Member[], path: string) => new Map(await Promise.all(members.filter(member => living.includes(member)).map(async member =>
    [member, await cluster.ask<T>(`http://${member.address}:${path}`).then(({ body }) => body, () => undefined)] as const)))
  const [regions, racks] = await Promise.all([ask<RegionStatus>(cluster.regions, '5240/api/v1/status'), ask<Fares>(cluster.racks, '5248/traffic')])
  return { at, regions, racks }
}

/** Why this sample is not good; undefined when it is. */
function trouble ({ at, regions, racks }: Sample): string | undefined {
  if (regions.size > 0 && ![...regions.values()].some(status => status?.leading !== undefined)) return 'no region leads'
  for (const [rack, fares] of racks) {
    if (fares === undefined) return `${rack.name} does not answer`
    if (at - fares.lastAnswered > slow) return `calls of ${rack.name} are not answered (${fares.lastFailure})`
  }
  return undefined
}

export interface Watched { readonly noticed: number, readonly recovered: number, readonly last: string } // ms after `begin`; Infinity: not

/** Samples until the fault was noticed and all was well for two seconds. `living` are those expected to work. `noticed` says that the cluster knows of the fault. */
export async function watch (cluster: Cluster, begin: number, living: () => readonly Member[], noticed: (seen: Sample) => boolean | Promise<boolean>): Promise<Watched> {
  let known = Infinity
  let bad = begin
  let last = ''
  const blame = (at: number, why: string) => { if (at > bad) { bad = at; last = why } }
  for (;;) {
    const seen = await sample(cluster, living())
    const now = Date.now()
    if (known === Infinity && await noticed(seen)) known = now - begin
    const why = trouble(seen)
    if (why !== undefined) blame(now, why)
    for (const fares of seen.racks.values()) if (fares !== undefined && fares.lastFailed > begin) blame(fares.lastFailed, fares.lastFailure)
    const reads = cluster.reads.filter(read => read.at >= begin)
    const failed = reads.findLast(read => !read.ok)
    if (failed !== undefined) blame(reads.find(read => read.ok && read.at > failed.at)?.at ?? now, `read: ${failed.why}`)
    if (!reads.some(read => read.ok && now - read.at < slow + 500) && now - begin > slow) blame(now, 'no read was answered')
    const writes = cluster.writes.filter(write => write.done >= begin)
    for (const write of writes) if (write.failures.length > 0 || write.done - write.at > slow) blame(write.done, `write: ${write.failures.at(-1) ?? 'slow'}`)
    if (!writes.some(write => write.acknowledged && now - write.at < slow + 500) && now - begin > slow) blame(now, 'no write was answered')
    if (now - bad >= steady && now - begin >= steady && (known < Infinity || now - begin > unnoticed)) return { noticed: known, recovered: bad - begin, last }
    if (now - begin > longest) return { noticed: known, recovered: Infinity, last }
    await delay(every)
  }
}

/** Resolves when every member is up, linked to all others, and one region leads. Rejects after a minute, saying what is missing. */
export async function whole (cluster: Cluster, except: readonly Member[] = []): Promise<void> {
  const living = [...cluster.regions, ...cluster.racks].filter(member => !except.includes(member))
  const deadline = Date.now() + 60_000
  for (;;) {
    const seen = await sample(cluster, living)
    const missing = trouble(seen)
      ?? [...seen.regions].flatMap(([region, status]) => status?.ready === true && status.linkedRacks.length === seen.racks.size ? [] : [`${region.name}: ${status === undefined ? 'no answer' : `ready ${status.ready}, ${status.linkedRacks.length} racks ${JSON.stringify(status.notReady)}`}`])[0]
      ?? [...seen.racks].flatMap(([rack, fares]) => fares?.regions.length === seen.regions.size ? [] : [`${rack.name} is linked to ${fares?.regions.length ?? 0} regions`])[0]
    if (missing === undefined) return
    if (Date.now() > deadline) throw new Error(`the cluster is not whole: ${missing}`)
    await delay(every)
  }
}
