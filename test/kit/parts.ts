/** Parts with no database and no sockets: for tests of the kernel's own phases. */
import { createLogger } from '../../core/log.ts'
import type { Logger } from '../../core/log.ts'
import { off, running } from '../../core/health.ts'
import type { Parts, RegionDatabase } from '../../core/parts.ts'
import type { Service } from '../../core/plugin.ts'

export const quiet: Logger = createLogger('silent')

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
  const db: RegionDatabase = {
    query: async () => [],
    tx: async work => work({ query: async () => [], changed: async () => {} }),
    feed: { subscribe: () => () => trace.push('unsubscribe'), position: async () => '0', since: async position => ({ changes: [], position, truncated: false }), service: traced('feed', trace) },
    health: () => running,
    migrate: async sets => note(`migrate ${sets.map(set => set.name).join(' ')}`),
    close: () => note('close database')
  }
  return {
    openDatabase: async () => { trace.push('open database'); return { db, stopServer: () => note('stop server') } },
    createElector: () => ({ ...traced('leader', trace), current: () => undefined }),
    createRegionEnd: () => ({
      services: [traced('region-link', trace)],
      call: async () => ({}),
      racks: () => [],
      loopback: () => ({ controller: 'region', connect: () => { throw new TypeError('no wire here') } }),
      createToken: async () => 'token',
      rackStates: async () => [],
      port: () => undefined
    }),
    createRackEnd: () => ({ services: [traced('rack-link', trace)], call: async () => ({}), report: () => {}, links: () => [], restore: () => note('restore') }),
    ...override
  }
}
