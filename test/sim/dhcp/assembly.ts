/** The real code of a rack and of a region, put together for the world. */
import { createLogger } from '../../../core/log.ts'
import { Blocks } from '../../../plugins/dhcp/blocks.ts'
import { Chain } from '../../../plugins/dhcp/chain.ts'
import { Limits } from '../../../plugins/dhcp/limits.ts'
import { Memory } from '../../../plugins/dhcp/memory.ts'
import { Server } from '../../../plugins/dhcp/server.ts'
import { Wishes } from '../../../plugins/dhcp/wishes.ts'
import type { Installation } from './installation.ts'
import type { RackParts, RackWorld } from './rack.ts'
import type { RegionParts } from './region.ts'
import type { ModelReferee } from './referee.ts'
import type { Database } from '../../../core/plugin.ts'

export const log = createLogger('silent')
const traffic = { received () {}, sent () {}, dropped () {}, bound () {} }

export function makeRack (w: RackWorld): RackParts {
  const memory = new Memory()
  const chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 30, log })
  const wishes = new Wishes({ call: async wishes => (await w.call('bind', { wishes }, { timeout: 3_000, idempotent: true }) as any).answers, monotonic: w.clock.monotonic })
  const blocks = new Blocks({ memory, grant: params => w.call('grant', params, { timeout: 3_000, idempotent: false }) as any, low: 2, log, clock: w.clock })
  const server = new Server({ chain, limits: new Limits(), memory, wishes, blocks, traffic, clock: w.clock, log, report: w.report, quarantineSeconds: 60 })
  const refill = () => { for (const { subnets } of memory.segments.values()) for (const { id, dynamic } of subnets) if (dynamic.length > 0) blocks.refill(id) }
  return {
    apply (put, remove, whole) { memory.apply(put as any, remove as any, whole, w.clock.now()); refill() },
    receive (name, data, send) { const segment = memory.segments.get(name); if (segment !== undefined) server.receive(segment, data, send) },
    start: refill,
    reconcile: refill
  }
}

export function makeRegion (db: Database, referee: ModelReferee, installation: Installation): RegionParts {
  return {
    answer: async (rack, method, params: any) => {
      if (method === 'bind') {
        return db.tx(async tx => {
          const answers = await referee.bind(tx, rack, params.wishes)
          for (const [index, { address }] of params.wishes.entries()) if (answers[index]?.stored) await tx.changed('dhcp.binding', address)
          return { answers: answers.map(answer => answer.stored ? { stored: true, expires: answer.expires.toISOString(), number: answer.number, reason: null, quiet: false } : { stored: false, expires: null, number: null, reason: answer.reason, quiet: false }) }
        })
      }
      return db.tx(async tx => {
        const subnet = installation.subnets.find(({ id }) => id === params.subnet)
        const options = { ranges: subnet?.ranges ?? [], taken: [], racks: 3, most: 4 }
        const { addresses, retiring } = await referee.grant(tx, rack, params.subnet, options)
        if (addresses.length > 0) await tx.changed('dhcp.block', params.subnet)
        for (const address of retiring) await tx.changed('dhcp.binding', address)
        return { addresses }
      })
    },
    async facts (tx, _rack, batch) {
      const released = batch.filter(({ kind }) => kind === 'released').map(({ body }) => body as any)
      for (const address of await referee.release(tx, released)) await tx.changed('dhcp.binding', address)
    },
    async reconcile () {}
  }
}
