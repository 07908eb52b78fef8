/** Which rack serves which VLANs, worked out from the network's plan; and which subnets changed their racks since that was last looked at. */
import type { Clock, Database, Query } from '../../../core/plugin.ts'
import type { Attachment, NetworkService, Subnet, Vlan } from '../../network/manifest.ts'
import type { VlanRacks } from '../manifest.ts'
import { listServed, listVlans, lockServed, replaceServed } from '../store/settings.ts'
import type { ServedSubnet, ServedVlan } from '../store/settings.ts'

/** The racks that serve a VLAN, ranked: those named, or all attached to it; in either case only those that touch it. */
export function ranked ({ racks }: Pick<ServedVlan, 'racks'>, attachments: readonly Attachment[]): string[] {
  const touching = new Set(attachments.map(({ rack }) => rack))
  return racks.length > 0 ? racks.filter(rack => touching.has(rack)) : [...touching].sort()
}

/** A VLAN a rack serves: how, as the how-manieth, with which addresses of its own (by interface and address, none that floats), beside which of other racks, and all subnets there, of both families; then those of VLANs whose relays send to this one. */
export interface Served { readonly rack: string, readonly vlan: Vlan, readonly settings: ServedVlan, readonly rank: number, readonly attachments: readonly Attachment[], readonly peers: readonly Attachment[], readonly subnets: readonly Subnet[] }

/** The same by VLAN, for other plugins. */
export function servedVlans (served: readonly Served[]): VlanRacks[] {
  const vlans = new Map<string, { -readonly [K in keyof VlanRacks]: K extends 'racks' ? { rack: string, attachments: readonly Attachment[] }[] : VlanRacks[K] }>()
  for (const { rack, vlan, settings: { mode, v6 }, attachments } of served) { // in the order of their ranks
    const one = vlans.get(vlan.id) ?? { vlanId: vlan.id, v4: mode !== 'off', v6: v6 !== 'off', racks: [] }
    one.racks.push({ rack, attachments })
    vlans.set(vlan.id, one)
  }
  return [...vlans.values()]
}

const keptFor = 1000 // ms

export class Serving {
  private readonly db: Database
  private readonly network: NetworkService
  private readonly clock: Clock
  private kept: { readonly at: number, readonly turn: number, readonly served: readonly Served[] } | undefined
  private turns = 0

  constructor (db: Database, network: NetworkService, clock: Clock) {
    this.db = db
    this.network = network
    this.clock = clock
  }

  /**
   * What a rack serves. It may be as old as the last change of the plan that went through `moved`, which is what wanted state has to be at least; and never older than a second.
   * `fresh`: as it is now.
   */
  async of (rack: string, fresh: boolean): Promise<readonly Served[]> {
    const now = this.clock.monotonic()
    const { kept } = this
    const served = !fresh && kept !== undefined && now - kept.at < keptFor ? kept.served : await this.look(this.db)
    return served.filter(one => one.rack === rack)
  }

  /** Everything that is served, by whom. */
  async look (q: Query): Promise<readonly Served[]> {
    const [at, turn] = [this.clock.monotonic(), ++this.turns]
    const enabled = (await listVlans(q)).filter(({ enabled }) => enabled)
    const [vlans, subnets, attachments] = enabled.length === 0 ? [[], [], []] : [await this.network.vlans(q), await this.network.subnets(q), await this.network.attachments(q)]
    const served: Served[] = []
    for (const settings of enabled) {
      if (settings.via !== null) continue // its racks are those of that VLAN
      const vlan = vlans.find(({ id }) => id === settings.id)
      if (vlan === undefined) continue
      const family = settings.mode === 'off' ? 6 : 4
      const here = subnets.filter(({ vlanId }) => vlanId === vlan.id)
      const behind = settings.mode === 'server' ? enabled.filter(({ via, mode }) => via === vlan.id && mode === 'server') : []
      const relayed = behind.flatMap(({ id, v6 }) => subnets.filter(subnet => subnet.vlanId === id && (subnet.family === 4 || (v6 !== 'off' && v6 === settings.v6))))
      const own = new Set(here.filter(subnet => subnet.family === family).map(({ id }) => id))
      const touching = attachments.filter(({ vlanId }) => vlanId === vlan.id)
      for (const [rank, rack] of ranked(settings, touching.filter(({ subnetId }) => own.has(subnetId))).entries()) {
        served.push({ rack, vlan, settings, rank, attachments: touching.filter(one => one.rack === rack), peers: touching.filter(one => one.rack !== rack), subnets: [...here, ...relayed] })
      }
    }
    // A look that began before another and ends after it has seen less.
    if (q === this.db && turn > (this.kept?.turn ?? 0)) this.kept = { at, turn, served }
    return served
  }

  /**
   * The subnets that are served by other racks than when anybody last looked: what there is of them concerns a rack as a whole. Written down with one change (`dhcp.serving`)
   * for each, so that a rack that joins later by the change log hears of it as well, from whatever region.
   */
  async moved (): Promise<readonly string[]> {
    const now = pairs(await this.look(this.db))
    const before = new Set((await listServed(this.db)).map(nameOf))
    if (now.length === before.size && now.every(pair => before.has(nameOf(pair)))) return []
    const subnets = await this.db.tx(async tx => {
      await lockServed(tx)
      const changed = await replaceServed(tx, pairs(await this.look(tx)))
      for (const subnet of changed) await tx.changed('dhcp.serving', subnet)
      return changed
    })
    await this.look(this.db)
    return subnets
  }
}

const nameOf = ({ subnet, rack }: ServedSubnet): string => `${subnet} ${rack}`
const pairs = (served: readonly Served[]): ServedSubnet[] => {
  const found = new Map<string, ServedSubnet>()
  for (const { rack, subnets } of served) for (const { id } of subnets) found.set(`${id} ${rack}`, { subnet: id, rack })
  return [...found.values()]
}
