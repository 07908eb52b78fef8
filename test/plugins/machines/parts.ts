/** machines and power as the kernel would set them up on a region and a rack, on a real database. */
import { createHooks } from '../../../core/hooks.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { createSecrets } from '../../../core/secrets.ts'
import type { Caller, Clock, Database, Term, RegionRunning } from '../../../core/plugin.ts'
import { manifest as machinesManifest, type MachineService } from '../../../plugins/machines/manifest.ts'
import machinesRegion from '../../../plugins/machines/region.ts'
import { manifest as networkManifest } from '../../../plugins/network/manifest.ts'
import networkRegion from '../../../plugins/network/region.ts'
import { manifest as powerManifest, type PowerService } from '../../../plugins/power/manifest.ts'
import type { RackClient } from '../../../plugins/power/region/racks.ts'
import powerRack from '../../../plugins/power/rack.ts'
import powerRegion from '../../../plugins/power/region.ts'
import { manualClock, type ManualClock } from '../../kit/clock.ts'
import { testDatabase, type TestDatabase } from '../../kit/database.ts'
import { BedplateError } from '../../../core/errors.ts'
import { systemClock } from '../../../core/clock.ts'

export const quiet = createLogger('silent')
export const controller = { id: 'c1', hostname: 'c1', roles: ['region', 'rack'] as const, version: '0', dataDirectory: '/nonexistent' }
export const migrations = [networkManifest, machinesManifest, powerManifest]

/** A term that stands until `lose` is called; then it aborts, and its writes are refused. */
export function testTerm (db: Database): Term & { lose(): void } {
  const controller = new AbortController()
  return {
    number: 1n,
    signal: controller.signal,
    valid: () => !controller.signal.aborted,
    lose: () => { controller.abort() },
    async write (work) {
      if (controller.signal.aborted) throw new BedplateError('TERM_LOST', { term: 1 })
      return await db.tx(work)
    }
  }
}

/** The calls of a rack that runs in this process. */
export function rackHere (clock: Clock = systemClock, config = { pollSeconds: 60, reachSeconds: 60, actionTimeoutSeconds: 120 }): RackClient {
  const running = powerRack.setup({
    config, clock, deps: {}, hooks: createHooks(), log: quiet, metrics: createMetrics(), controller,
    region: { credentials: async () => ({ machines: [] }) }, report: () => ({ stored: async () => true })
  })
  const caller = (options: { readonly signal?: AbortSignal } = {}): Caller => ({ controller: 'c1', signal: options.signal ?? new AbortController().signal })
  return {
    execute: (params, options) => running.rpc.execute(params, caller(options)),
    query: (params, options) => running.rpc.query(params, caller(options)),
    look: (params, options) => running.rpc.look(params, caller(options)),
    insert: (params, options) => running.rpc.insert(params, caller(options)),
    members: (params, options) => running.rpc.members(params, caller(options)),
    scan: (params, options) => running.rpc.scan(params, caller(options))
  }
}

/** A rack that answers these calls and no other. */
export function rackThat (calls: Partial<RackClient>): RackClient {
  const none = async (): Promise<never> => { throw new BedplateError('UNAVAILABLE', { reason: 'this rack of a test does not answer that' }) }
  return { execute: none, query: none, look: none, insert: none, members: none, scan: none, ...calls }
}

export interface Parts {
  readonly db: TestDatabase, readonly clock: ManualClock, readonly machines: MachineService, readonly power: PowerService
  readonly running: { readonly machines: RegionRunning<any, any>, readonly power: RegionRunning<any, any> }
  readonly metrics: ReturnType<typeof createMetrics>, readonly racks: Map<string, RackClient>
}

/** `clock` drives the regions' halves; what the racks do takes real time. */
export async function createParts (options: { readonly clock?: Clock, readonly racks?: Map<string, RackClient>, readonly actionTimeoutSeconds?: number } = {}): Promise<Parts> {
  const clock = manualClock()
  const db = await testDatabase({ migrations })
  const racks = options.racks ?? new Map([['r1', rackHere()]])
  const metrics = createMetrics()
  const shared = { clock: options.clock ?? clock, hooks: createHooks(), log: quiet, metrics, controller, db, secrets: createSecrets(Buffer.alloc(32, 7)), racks: () => [...racks.keys()] }
  const rack = (id: string): RackClient => {
    const client = racks.get(id)
    if (client === undefined) throw new BedplateError('LINK_DOWN', { controller: id })
    return client
  }
  const { network } = networkRegion.setup({ ...shared, deps: {}, rack: () => ({}), config: { scanSeconds: 10, ignoreInterfaces: [] } }).provides
  const power = powerRegion.setup({ ...shared, deps: { network }, rack, config: { pollSeconds: 60, reachSeconds: 60, actionTimeoutSeconds: options.actionTimeoutSeconds ?? 120 } })
  const machines = machinesRegion.setup({ ...shared, deps: { power: power.provides.power }, rack: () => ({}), config: { commissioningMinutes: 20, deployingMinutes: 40, releasingMinutes: 15 } })
  return { db, clock, machines: machines.provides.machines, power: power.provides.power, running: { machines, power }, metrics, racks }
}
