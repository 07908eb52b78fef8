/** PostgreSQL as the referee: every rule about who may have an address is in a statement of store/. */
import type { Tx } from '../../core/plugin.ts'
import type { Referee } from './referee.ts'
import { bind, bindAtOnce, bindingsOf, quarantine, release } from './store/binding.ts'
import { grant, reserve, reservesOf, returned } from './store/blocks.ts'
import { settle } from './store/journal.ts'
import { forgotten, giveUpOnSilent, heard, retire, retirementsOf, standingOf, tells } from './store/retirement.ts'

export { bindingsOf, free, listBindings } from './store/binding.ts'
export type { BindingFilter } from './store/binding.ts'
export { blocksOf, tidy, trimBlocks } from './store/blocks.ts'
export { restReserve } from './store/journal.ts'
export { forgetRacks, goneRacks, isTold, retirementsOf, standingOf, tells } from './store/retirement.ts'

export const referee: Referee = { bind, bindAtOnce, grant, reserve, reservesOf, settle, forgotten, returned, heard, retire, giveUpOnSilent, release, quarantine, tells, bindingsOf, retirementsOf, standingOf }

/** Ends a binding at the operator's word: it retires. False when there was none. */
export async function removeBinding (tx: Tx, address: string): Promise<boolean> {
  if ((await tx.query('select from dhcp.address where address = $1::inet and mac is not null and retiring is null for update', [address])).length === 0) return false
  await retire(tx, [address])
  return true
}
