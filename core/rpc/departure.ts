/** Region side of going: who may leave, who may be removed, and what is forgotten of them. */
import type { Database } from '../database/database.ts'
import { BedplateError } from '../errors.ts'
import { removeController, standing, type StandingRow } from '../state/registry.ts'

const alive = 15 // s since it was seen: linked controllers and regions are seen every 5 s
const gone = 90 // s after which a region counts for nothing

const refuse = (reason: string) => new BedplateError('CONFLICT', { reason })

/** Why the installation cannot do without it; undefined when it can. */
function needed (row: StandingRow, all: readonly StandingRow[]): string | undefined {
  if (!row.roles.includes('region')) return undefined
  if (row.holds_database) return `${row.hostname} holds the embedded database, so the others cannot go on without it. Move the database to PostgreSQL servers of your own first: docs/guides/database-ha.md`
  const others = all.filter(other => other.id !== row.id && other.roles.includes('region'))
  if (others.length === 0) return `${row.hostname} is the only region: without it there is no installation to leave. To end it all, stop it and delete its data directory and database`
  return others.some(other => other.unseen < gone) ? undefined : `${row.hostname} is the only region that runs; the others (${others.map(other => other.hostname).join(', ')}) have not been seen for a while. Start one of them first`
}

export interface Departures {
  /** A controller goes by itself. `check`: only whether it may. True when it is no controller any more. Throws CONFLICT with the reason. */
  leave(controller: string, o: { readonly check: boolean, readonly delivered: boolean }): Promise<boolean>
  /** A dead one is taken off the list; a live one with `force` only. Throws NOT_FOUND, CONFLICT. */
  remove(controller: string, force: boolean): Promise<void>
}

/** `self`: the region that answers. */
export function createDepartures ({ db, self }: { readonly db: Database, readonly self: string }): Departures {
  return {
    leave: (controller, { check, delivered }) => db.tx(async tx => {
      const all = await standing(tx, controller)
      const row = all.find(({ id }) => id === controller)
      if (row === undefined) return true
      const why = needed(row, all)
      if (why !== undefined) throw refuse(why)
      if (check) return false
      if (controller === self) throw refuse(`${row.hostname} still runs; it is told to stop first`)
      await removeController(tx, controller, delivered)
      return true
    }),
    remove: (controller, force) => db.tx(async tx => {
      const all = await standing(tx, controller)
      const row = all.find(({ id }) => id === controller)
      if (row === undefined) throw new BedplateError('NOT_FOUND', { what: 'controller', id: controller })
      if (controller === self) throw refuse(`${row.hostname} is the region that answers. Run "bedplate leave" on it, or ask another region`)
      const why = needed(row, all)
      if (why !== undefined && row.unseen < gone) throw refuse(why)
      if (row.unseen < alive && !force) throw refuse(`${row.hostname} was seen ${Math.max(0, Math.round(row.unseen))} s ago: it is alive. Run "bedplate leave" on it; or remove it with force, and facts it has not delivered yet are lost`)
      await removeController(tx, controller, false)
    })
  }
}
