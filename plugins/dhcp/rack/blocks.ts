/** Keeps this rack's blocks filled: asks the region for more free addresses before they run out, one call per subnet at a time. Who comes while there are none waits for that call. */
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { parseIp } from '../v4/ipv4.ts'
import type { RegionClient } from '../manifest.ts'
import type { Memory } from './memory.ts'

export interface BlocksOptions { readonly memory: Memory, readonly grant: RegionClient['grant'], readonly low: number, readonly log: Logger, readonly clock: Clock }
interface Waiting { readonly again: () => void, readonly since: number }

const pause = 1000 // ms after a grant that failed or brought nothing
/** ms after which who waits is forgotten: a client asks again after 4 s, and its own word is newer. */
const patience = 2000
/** Who may wait for one subnet: more than a burst of machines switched on together, and not much for a flood to take. */
const most = 512

export class Blocks {
  private readonly options: BlocksOptions
  private readonly asking = new Map<string, Map<string, Waiting>>() // by subnet: who waits for the call, by client
  private readonly notBefore = new Map<string, number>() // monotonic

  constructor (options: BlocksOptions) { this.options = options }

  /** Asks for addresses of the subnet if few are left. Returns at once. */
  refill (subnet: string): void {
    const { memory, clock, low } = this.options
    if (this.asking.has(subnet) || memory.freeCount(subnet) >= low || clock.monotonic() < (this.notBefore.get(subnet) ?? 0)) return
    this.asking.set(subnet, new Map())
    void this.ask(subnet)
  }

  /** Runs `again` when the first call under way for one of these subnets has ended, whatever it brought; a newer one of the same client takes its place. `false`: there is nothing to wait for. */
  wait (subnets: readonly string[], client: string, again: () => void): boolean {
    const waiting = subnets.map(subnet => this.asking.get(subnet)).find(one => one !== undefined)
    if (waiting === undefined || (waiting.size >= most && !waiting.has(client))) return false
    waiting.set(client, { again, since: this.options.clock.monotonic() })
    return true
  }

  private async ask (subnet: string): Promise<void> {
    const { memory, clock, grant, log } = this.options
    try {
      const { addresses } = await grant({ subnet })
      memory.grant(subnet, addresses.map(parseIp), clock.now())
      if (addresses.length === 0) this.notBefore.set(subnet, clock.monotonic() + pause)
    } catch (error) {
      this.notBefore.set(subnet, clock.monotonic() + pause)
      log.warn({ subnet, reason: reasonOf(error) }, 'no further addresses could be had from a region')
    }
    const waited = this.asking.get(subnet)
    this.asking.delete(subnet)
    const now = clock.monotonic()
    for (const { again, since } of waited?.values() ?? []) if (now - since < patience) again()
  }
}
