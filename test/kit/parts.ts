/** Parts with no database and no sockets: for tests of the kernel's own phases. */
import { createLogger } from '../../core/log.ts'
import type { Logger } from '../../core/log.ts'
import { off, running } from '../../core/health.ts'
import { BedplateError } from '../../core/errors.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import type { Parts } from '../../core/parts.ts'
import type { Reported, Service } from '../../core/plugin.ts'

export const quiet: Logger = createLogger('silent')
/** What became of a fact where there is a region at once. */
export const reported: Reported = { stored: async () => true }

/** A service that only remembers what happened to it, in `trace`. */
export function traced (name: string, trace: string[] = []): Service {
  let on = false
  return {
    name,
    async start () { if (!on) trace.push(`start ${name}`); on = true },
    async stop () { if (on) trace.push(`stop ${name}`); on = false },
    health: () => on ? running : off('Not started.')
  }
}

/** Parts that do nothing but note the order they are used in. */
export function fakeParts (trace: string[] = [], override: Partial<Parts> = {}): Parts {
  const note = async (what: string) => { trace.push(what) }
  const db: DatabaseHandle = {
    query: async () => [],
    once: async () => [],
    tx: async work => work({ query: async () => [], changed: async () => {} }),
    feed: { subscribe: () => () => trace.push('unsubscribe'), position: async () => '0', since: async position => ({ changes: [], position, truncated: false }), service: traced('feed', trace) },
    health: () => running,
    migrate: async sets => { trace.push(`migrate ${sets.map(set => set.name).join(' ')}`); return { applied: [], waiting: [], failed: [] } },
    listen: () => () => {},
    hurry: () => {},
    session: async () => { throw new BedplateError('UNAVAILABLE', { reason: 'there is no database here' }) },
    close: () => note('close database')
  }
  return {
    openDatabase: async () => { trace.push('open database'); return { db, stopServer: () => note('stop server') } },
    createElector: () => ({ ...traced('leader', trace), current: () => undefined }),
    createFloatingAddress: ({ addresses }) => ({ ...traced('floating-address', trace), addresses: addresses.map(({ text }) => text), held: () => false }),
    createRegionEnd: () => ({
      services: [traced('region-link', trace)],
      call: async () => ({}),
      racks: () => [],
      links: () => [],
      missed: () => [],
      loopback: () => ({ controller: 'region', connect: () => { throw new BedplateError('LINK_DOWN', { controller: 'region' }) } }),
      createToken: async () => 'token',
      rackStates: async () => [],
      controllers: async () => [],
      port: () => undefined,
      authority: { certificate: async () => '', server: async () => '' },
      remove: async () => {},
      refresh: () => {}
    }),
    createRackEnd: () => ({ services: [traced('rack-link', trace)], call: async () => ({}), report: () => reported, links: () => [], restore: () => note('restore') }),
    ...override
  }
}
