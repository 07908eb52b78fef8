/** Whether this region belongs to the database it is configured with: asked before it migrates or says that it is there. */
import type { Query } from '../database/database.ts'
import { hasTable } from '../database/regions.ts'
import { BedplateError, hasCode } from '../errors.ts'
import type { Secrets } from '../secrets.ts'
import { keptAuthority, removedAt } from '../state/registry.ts'
import { authorityContext } from './enrolment.ts'

/** Why a removed region does not go on. */
export const removedSentence = (when?: Date): string =>
  `it was removed from the installation${when === undefined ? '' : ` on ${when.toISOString()}`}. "bedplate leave --force" on this host puts its old identity aside; with a new token "bedplate join" brings it back`

/** @throws BedplateError START_FAILED when this region was removed, or its key does not open the installation's secrets */
export async function admitRegion ({ db, secrets, controller, keyFile }: { readonly db: Query, readonly secrets: Secrets, readonly controller: string, readonly keyFile: string }): Promise<void> {
  const when = await hasTable(db, 'controller_removed') ? await removedAt(db, controller) : undefined // the database may be empty, or a version behind
  if (when !== undefined) throw new BedplateError('START_FAILED', { what: 'This region', reason: removedSentence(when) })
  const authority = await hasTable(db, 'authority') ? await keptAuthority(db) : undefined
  if (authority === undefined) return // the first region of a new installation
  try { secrets.open(authority.sealed_key, authorityContext) } catch (cause) {
    if (!hasCode(cause, 'SECRET_UNREADABLE')) throw cause
    throw new BedplateError('START_FAILED', { what: 'This region', reason: `${keyFile} is not the key of the installation this database belongs to: its secrets cannot be opened. Move that file away and let "bedplate join" on this host bring the right one (or copy it from another region); or set database to the right one` }, cause)
  }
}
