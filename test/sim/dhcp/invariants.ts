/** What must hold after every step, and once all is well again. */
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { restSeconds } from '../../../plugins/dhcp/referee.ts'
import type { World } from '../world.ts'
import type { Ability } from './ability.ts'
import type { Client } from './client.ts'

/** What the database, and the journals on the racks' disks, say. Times are the world's. */
export interface Known {
  bound (address: string): { readonly client: string, readonly until: number } | undefined
  journalled (address: string, client: string): boolean
}

/** ms the database's end of a lease may be before the client's: it keeps an address for so long after the end, whatever happens. */
export const slack = restSeconds * 1000
/** ms within which a client that keeps asking is served by a rack that is able to. */
export const patience = 75_000

export class Invariants {
  private readonly world: World
  private readonly clients: readonly Client[]
  private readonly known: Known
  private readonly ability: Ability
  private dirty = true
  private readonly could = new Map<Client, { rack: string, from: number }>()
  private nextLook = 0

  constructor (world: World, clients: readonly Client[], known: Known, ability: Ability) {
    this.world = world
    this.clients = clients
    this.known = known
    this.ability = ability
    world.watch(() => { this.check() })
  }

  /** The database, a journal or a belief has changed. */
  readonly touched = (): void => { this.dirty = true }

  /** 1: a client believes to have an address from now on. */
  believed (client: Client): void {
    this.dirty = true
    const { belief } = client
    if (belief === undefined) return
    for (const other of this.clients) {
      if (other === client || other.believes?.address !== belief.address) continue
      this.world.violated(`1: ${ipText(belief.address)} is used by ${client.name} and by ${other.name}, which has it for another ${(((other.believes.until) - this.world.now) / 1000).toFixed(1)} s`)
    }
  }

  private check (): void {
    if (this.dirty) {
      this.dirty = false
      for (const client of this.clients) this.lost(client)
    }
    if (this.world.now >= this.nextLook) { // looked at every second: what it measures is longer
      this.nextLook = this.world.now + 1_000
      this.ability.look()
      for (const client of this.clients) this.unserved(client)
    }
  }

  /** 2: every lease a client believes in is known for at least as long. */
  private lost (client: Client): void {
    const lease = client.believes
    if (lease === undefined) return
    const address = ipText(lease.address)
    const bound = this.known.bound(address)
    if (bound?.client === client.mac && bound.until >= lease.until - slack) return
    if (this.known.journalled(address, client.mac)) return
    const says = bound === undefined ? 'knows of no binding' : bound.client !== client.mac ? 'says that it is somebody else\'s' : `says that it ends ${((lease.until - bound.until) / 1000).toFixed(1)} s earlier`
    this.world.violated(`2: ${client.name} has ${address} for another ${((lease.until - this.world.now) / 1000).toFixed(1)} s; the database ${says}, and no journal holds it`)
  }

  /** 3: a client that keeps asking while some rack is able to serve it is served. */
  private unserved (client: Client): void {
    const able = client.asking === undefined ? undefined : this.ability.of(client)
    if (able === undefined || client.asking === undefined) { this.could.delete(client); return }
    const before = this.could.get(client)
    const from = before?.rack === able.rack ? before.from : this.world.now
    this.could.set(client, { rack: able.rack, from })
    const since = Math.max(client.asking, from, able.since)
    if (this.world.now - since > patience) this.world.violated(`3: ${client.name} has asked in vain for ${((this.world.now - since) / 1000).toFixed(0)} s, though ${able.rack} ${able.how}`)
  }

  /** 4: the database agrees with every client. Called when everything has been well for long. */
  agreed (): string | undefined {
    for (const client of this.clients) {
      const lease = client.believes
      if (lease === undefined) continue
      const bound = this.known.bound(ipText(lease.address))
      if (bound?.client !== client.mac || bound.until < lease.until - slack) return `4: ${client.name} has ${ipText(lease.address)}; the database ${bound === undefined ? 'knows of no binding' : `has ${bound.client} there`}`
    }
    return undefined
  }
}
