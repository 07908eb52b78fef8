/** Which BMC is a machine's, where nobody has said: the one a scan found that knows the machine's UUID, or stands where the machine says its BMC is. */
import type { Tx } from '../../core/plugin.ts'
import type { PowerService, Sign } from '../power/manifest.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Inventory } from './manifest.ts'
import * as store from './store.ts'

export interface BmcLinks {
  /** After the machine has told what it is, in the same transaction. A machine that is powered by something keeps it. */
  told(tx: Tx, machine: string, inventory: Inventory | null): Promise<void>
  /** After BMCs were found: for the machines that are known already. */
  found(tx: Tx, found: { readonly uuids: readonly string[], readonly addresses: readonly string[] }): Promise<void>
}

/** What an inventory says of its BMC; null for what it does not say. Pure. */
export const signOf = (inventory: Inventory | null): Sign => ({ uuid: inventory?.dmi.product_uuid?.toLowerCase() ?? null, address: inventory?.bmc?.address ?? null })

export function createBmcLinks (power: Pick<PowerService, 'link'>, lifecycle: Lifecycle): BmcLinks {
  async function link (tx: Tx, machine: string, sign: Sign): Promise<void> {
    // Boards whose maker gave all of them one UUID, and machines that copy another's, cannot be told by it.
    const own = sign.uuid !== null && await store.countUuid(tx, sign.uuid) > 1 ? { ...sign, uuid: null } : sign
    const bmc = await power.link(tx, machine, own)
    if (bmc === undefined) return
    await store.bump(tx, machine)
    await lifecycle.record(tx, machine, { type: 'power', level: 'info', message: `Its BMC was found at ${bmc.host}; it is powered by ${bmc.driver} now`, data: { host: bmc.host, driver: bmc.driver } })
    await tx.changed('machines.machine', machine)
  }

  return {
    told: (tx, machine, inventory) => link(tx, machine, signOf(inventory)),
    async found (tx, { uuids, addresses }) {
      for (const { id } of await store.signed(tx, uuids, addresses)) {
        const machine = await store.lock(tx, id)
        if (machine !== undefined) await link(tx, id, signOf(machine.inventory))
      }
    }
  }
}
