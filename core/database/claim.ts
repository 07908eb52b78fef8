/** The Idempotency-Key a transaction is made for: known all the way down to the commit, without every route having to hand it on. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { BedplateError } from '../errors.ts'
import type { Query } from './database.ts'

/** `token` tells one taking of a key from the next. `open` until the request is answered. */
export interface Claim { readonly key: string, readonly principal: string, readonly token: string, open: boolean }

const storage = new AsyncLocalStorage<Claim>()

/** Runs `work`; every transaction that it begins belongs to the claim. */
export const under = (claim: Claim, work: () => void): void => { storage.run(claim, work) }

/** Whether `mark` has something to note. */
export const claimed = (): boolean => storage.getStore()?.open === true

/**
 * The last statement of a transaction. One that wrote something notes, in the same commit, that the work under its key is done (status 0: done, no answer kept
 * yet), as a leader's writes carry their term: so when nobody knows whether the commit happened, the next who brings the key can tell.
 * @throws BedplateError CONFLICT when the key was taken over meanwhile: whoever has it does the work
 */
export async function mark (tx: Query): Promise<void> {
  const claim = storage.getStore()
  if (!claim?.open) return
  const [row] = await tx.query<{ wrote: boolean, marked: boolean }>(`
    with wrote as materialized (select pg_current_xact_id_if_assigned() is not null as yes),
         marked as (update core.idempotency set status = 0 from wrote where yes and key = $1 and principal = $2 and coalesce(status, 0) = 0 and body->>'claim' = $3 returning true)
    select yes as wrote, exists (select from marked) as marked from wrote`, [claim.key, claim.principal, claim.token])
  if (row?.wrote && !row.marked) throw new BedplateError('CONFLICT', { reason: `The request with Idempotency-Key ${claim.key} took so long that it was begun anew elsewhere. Ask again.` })
}
