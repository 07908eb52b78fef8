/** Whether some rack could serve a client: hears it, runs, and has an address to give, online or alone. Judged strictly: what is doubtful counts as unable. */
import type { World } from '../world.ts'
import type { Air } from './air.ts'
import type { Client } from './client.ts'
import type { SimDatabase } from './database.ts'
import type { Installation } from './installation.ts'
import type { Links } from './links.ts'
import { ModelPools } from './pools.ts'
import type { Rack } from './rack.ts'
import type { Table } from './table.ts'

type Mode = 'online' | 'alone' | undefined
export interface AbilityOptions {
  readonly world: World, readonly air: Air, readonly db: SimDatabase, readonly links: Links, readonly table: Table
  readonly installation: Installation, readonly racks: readonly Rack[], readonly clients: readonly Client[]
}
const settling = 8_000 // ms after a change before a rack counts as being in its new mode

export class Ability {
  private readonly o: AbilityOptions
  private readonly modes = new Map<Rack, { mode: Mode, since: number }>()
  private readonly pools: ModelPools

  constructor (o: AbilityOptions) {
    this.o = o
    this.pools = new ModelPools(o.table, () => [])
  }

  /** Notes how every rack is. To be called every second. */
  look (): void {
    const { world, racks } = this.o
    for (const rack of racks) {
      const mode = this.modeOf(rack)
      const before = this.modes.get(rack)
      if (before === undefined || before.mode !== mode || before.since < rack.since) this.modes.set(rack, { mode, since: world.now })
    }
  }

  private modeOf (rack: Rack): Mode {
    const { air, db, links } = this.o
    if (!rack.well || air.loss > 0 || this.o.world.now < air.calmSince) return undefined
    const of = links.of(rack.name)
    const reaching = of.filter(link => link.up && link.cuts === 0 && link.region.process.alive && !link.region.process.paused && db.reached(link.region.name))
    if (reaching.length === 0) return of.some(({ up, slow, loss }) => up && (slow > 0 || loss > 0)) ? undefined : 'alone'
    return of.every(link => !link.up || (links.sound(link) && db.reached(link.region.name))) && db.slow === 0 && rack.subscription.held === 0 ? 'online' : undefined
  }

  /** The first rack that could serve the client, and since when it is as it is. */
  of (client: Client): { readonly rack: string, readonly since: number, readonly how: string } | undefined {
    const { world, air, table, installation, racks, clients } = this.o
    const subnet = installation.subnets.find(({ vlanId }) => vlanId === client.segment)
    const [pool] = subnet === undefined ? [] : installation.pools([subnet.id])
    if (subnet === undefined || pool === undefined) return undefined
    const rivals = clients.filter(other => other !== client && other.segment === client.segment && other.state !== 'off' && other.believes === undefined).length
    for (const rack of racks) {
      const known = this.modes.get(rack)
      if (known?.mode === undefined || world.now - known.since < settling) continue
      if (!pool.racks.includes(rack.name) || !air.hears(rack.name, client.segment) || !rack.subscription.kept.has(`segment ${client.segment}`)) continue
      const since = Math.max(rack.since, known.since)
      if (known.mode === 'online') {
        const own = [...table.rows.values()].filter(row => row.rack === rack.name && row.subnet === subnet.id).length
        const free = own + this.pools.free({ now: this.o.db.now() }, pool).length
        if (free > rivals + 1) return { rack: rack.name, since, how: `is linked and ${free} addresses are free` }
      } else {
        const { reserve, leases } = rack.disk.state
        const free = reserve.filter(one => !one.returning && one.subnet === subnet.id && !rack.subscription.kept.has(`host ${one.address}`) /* set aside since */ && !leases.some(({ address }) => address === one.address)).length
        const knows = [...rack.subscription.kept.values()].some(({ kind, value }) => kind === 'binding' && (value as { readonly client?: unknown }).client === client.mac)
        if (free > rivals && !knows) return { rack: rack.name, since, how: `is cut off and ${free} addresses of its reserve are free` }
      }
    }
    return undefined
  }
}

