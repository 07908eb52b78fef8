/** The real code of a rack and of a region, put together for the world. */
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Database, Tx } from '../../../core/plugin.ts'
import { createHandlers } from '../../../plugins/dhcp/region/handlers.ts'
import type { Handlers, Pool } from '../../../plugins/dhcp/region/handlers.ts'
import type { DhcpFact, RegionClient } from '../../../plugins/dhcp/manifest.ts'
import type { Referee } from '../../../plugins/dhcp/referee.ts'
import { createResponder } from '../../../plugins/dhcp/rack/responder.ts'
import type { ResponderOptions } from '../../../plugins/dhcp/rack/responder.ts'
import type { Installation } from './installation.ts'
import type { RackParts, RackWorld } from './rack.ts'
import type { RegionParts } from './region.ts'

const log = createLogger('silent')
const metrics = createMetrics()
export interface Config { readonly autonomySeconds: number, readonly blockSize: number, readonly reserveSize: number, readonly leaseSeconds: number }

export const makeRack = (config: Config) => (w: RackWorld): RackParts => {
  const region: RegionClient = {
    bind: params => w.call('bind', params, { timeout: 3_000, idempotent: true }),
    grant: params => w.call('grant', params, { timeout: 3_000, idempotent: false }),
    sync: params => w.call('sync', params, { timeout: 5_000, idempotent: true })
  }
  const options: ResponderOptions = {
    config: {
      rackHttpPort: 5248, firmwareLeaseSeconds: 30, quarantineSeconds: 60, blockSize: config.blockSize, reserveSize: config.reserveSize,
      newClientPoolSeconds: 60, newClientsPerSecond: 1_000, newClientsPerPort: 1_000, newClientsPortBurst: 1_000
    },
    log, metrics, clock: w.clock, boot: { now: () => w.host.bootTime(), id: w.host.bootId }, region,
    report: (kind, body) => { w.report(kind, body) },
    journal: () => w.disk.journal(w.process)
  }
  const responder = createResponder(options)
  Object.assign(responder.traffic, { received () {}, sent () {}, dropped (reason: string) { w.note(() => `${w.name} drops: ${reason}`) }, bound () {} }) // counting costs more than what is counted
  return {
    apply (put, remove, whole) { responder.apply({ put, remove } as Parameters<typeof responder.apply>[0], whole) },
    receive (name, data, send) {
      const segment = responder.memory.segments.get(name)
      if (segment !== undefined) responder.receive(segment, data, send)
    },
    start () { responder.start() },
    reconcile () { responder.refill() }
  }
}

/** `claims`: notes who is to have what is set aside. */
export function makeRegion (db: Database, referee: Referee, installation: Installation, config: Config, claims: () => Promise<void>): RegionParts {
  const pools = async (_tx: Tx, subnets: readonly string[]): Promise<readonly Pool[]> => installation.pools(subnets)
  const handlers: Handlers = createHandlers({ db, referee, log, config: { blockSize: config.blockSize, autonomySeconds: config.autonomySeconds, quarantineSeconds: 60 }, pools })
  const never = new AbortController().signal
  return {
    answer (rack, method, params) {
      const caller = { controller: rack, signal: never }
      switch (method) { // what travelled was JSON of the same types
        case 'bind': return handlers.bind(params as Parameters<Handlers['bind']>[0], caller)
        case 'grant': return handlers.grant(params as Parameters<Handlers['grant']>[0], caller)
        default: return handlers.sync(params as Parameters<Handlers['sync']>[0], caller)
      }
    },
    facts: (tx, _rack, batch) => handlers.facts(tx, batch as readonly DhcpFact[]),
    async reconcile () {
      await handlers.sweep()
      if (installation.addresses.size > 0) await claims()
    }
  }
}
