/** Keeps this rack's blocks filled: asks the region for more free addresses before they run out, one call per subnet at a time. */
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { parseIp } from '../v4/ipv4.ts'
import type { RegionClient } from '../manifest.ts'
import type { Memory } from './memory.ts'

export interface BlocksOptions { readonly memory: Memory, readonly grant: RegionClient['grant'], readonly low: number, readonly log: Logger, readonly clock: Clock }

const pause = 1000 // ms after a grant that failed or brought nothing

export class Blocks {
  private readonly options: BlocksOptions
  private readonly asking = new Set<string>()
  private readonly notBefore = new Map<string, number>() // monotonic

  constructor (options: BlocksOptions) { this.options = options }

  /** Asks for addresses of the subnet if few are left. Returns at once. */
  refill (subnet: string): void {
    const { memory, clock, low } = this.options
    if (this.asking.has(subnet) || memory.freeCount(subnet) >= low || clock.monotonic() < (this.notBefore.get(subnet) ?? 0)) return
    this.asking.add(subnet)
    void this.ask(subnet)
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
    } finally {
      this.asking.delete(subnet)
    }
  }
}
