/** Takes in what racks tell: states they saw, and BMCs they reach. */
import type { Clock, Fact, Tx } from '../../../core/plugin.ts'
import type { manifest } from '../manifest.ts'
import * as store from '../store/routes.ts'
import type { PowerCore } from './service.ts'

export type PowerFact = Fact<typeof manifest.facts>

/**
 * In the transaction that moves the rack's cursor. Of several facts in the batch the last word on a machine, or on an endpoint, counts. Changes first: their hooks may lock other
 * rows, and the many that only stay as they were are locked last.
 */
export async function takeFacts ({ clock, power }: { readonly clock: Clock, readonly power: Pick<PowerCore, 'saw'> }, tx: Tx, rack: string, batch: readonly PowerFact[]): Promise<void> {
  const now = new Date(clock.now())
  const seen = new Map(batch.flatMap(fact => fact.kind === 'states' ? fact.body.seen : []).filter(({ version, turn }) => number.test(version) && number.test(turn)).map(one => [one.machine, one]))
  const routes = new Map(batch.flatMap(fact => fact.kind === 'routes' ? fact.body.routes : []).map(one => [one.endpoint, one]))
  if (routes.size > 0) {
    await store.putRoutes(tx, rack, [...routes.values()], now)
    await tx.changed('power.route', rack)
  }
  if (seen.size === 0) return
  const all = [...seen.values()]
  for (const { machine, state, error } of await store.news(tx, rack, all)) await power.saw(tx, machine, state, error)
  await store.touch(tx, rack, all, now)
}
const number = /^\d{1,18}$/ // what is none is of another version, and cannot be right
