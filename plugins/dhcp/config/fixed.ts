/** Addresses that belong to a client id: set aside in the network's plan, where every conflict is found, and known here by the id. */
import { BedplateError } from '../../../core/errors.ts'
import type { Query, Tx } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { longestId } from './isc.ts'
import { referee } from '../store.ts'
import { listFixed, removeFixed, saveFixed } from '../store/settings.ts'
import type { Fixed } from '../store/settings.ts'

/** Whom these addresses belong to in the network's plan. */
export const fixedOwner = 'dhcp/client-id'

/** Reads a client id: hex with or without colons, or a text in double quotes; 2 to 140 bytes (RFC 2132 section 9.14 has more, nobody sends them). Throws INVALID_REQUEST. */
export function clientIdOf (text: string): string {
  const quoted = /^"([^"]*)"$/.exec(text)?.[1]
  const hex = quoted !== undefined ? Buffer.from(quoted, 'utf8').toString('hex') : /^[0-9a-f]{2}(:?[0-9a-f]{2})*$/i.test(text) ? text.replaceAll(':', '').toLowerCase() : ''
  if (hex.length < 4 || hex.length > longestId * 2) throw new BedplateError('INVALID_REQUEST', { reason: `${JSON.stringify(text.slice(0, 80))} is not a client id: 2 to ${longestId} bytes in hex, with or without colons, or a text in double quotes.` })
  return hex
}

/** Those in force, by address: an address that was taken back in the network's plan is fixed no more. */
export async function fixedAddresses (q: Query, network: NetworkService, filter: { readonly addresses?: readonly string[], readonly after?: string } = {}): Promise<Fixed[]> {
  const found = await listFixed(q, filter)
  if (found.length === 0) return []
  const kept = new Map((await network.addresses(q, { owner: fixedOwner })).map(one => [one.address, one]))
  return found.flatMap(one => {
    const plan = kept.get(one.address)
    return plan === undefined ? [] : [{ ...one, subnetId: plan.subnetId, hostname: plan.hostname }]
  })
}

/**
 * Fixes an address for a client id, which has at most one in each subnet. It lies in a subnet, outside every range or in a reserved one.
 * Throws NETWORK_INVALID or CONFLICT, naming what is in the way.
 */
export async function fix (tx: Tx, network: NetworkService, { address, clientId, hostname }: Omit<Fixed, 'subnetId'>): Promise<Fixed> {
  const subnet = await network.subnetOf(tx, address)
  if (subnet === undefined) throw new BedplateError('NETWORK_INVALID', { reason: `No subnet holds ${address}. Add one first.` })
  for (const other of await listFixed(tx, { subnetIds: [subnet.id], clientId })) {
    if (other.address === address) continue
    if ((await network.addresses(tx, { addresses: [other.address], owner: fixedOwner })).length > 0) throw new BedplateError('CONFLICT', { reason: `Client id ${clientId} has ${other.address} in subnet ${subnet.cidr} already. Take that back first.` })
    await removeFixed(tx, other.address)
  }
  if ((await network.addresses(tx, { addresses: [address], owner: fixedOwner })).length > 0) await network.release(tx, { address })
  await network.allocate(tx, { subnetId: subnet.id, kind: 'reserved', owner: fixedOwner, address, ...hostname === null ? {} : { hostname } })
  const fixed = { address, subnetId: subnet.id, clientId, hostname }
  await saveFixed(tx, fixed)
  return fixed
}

/** Takes a fixed address back; the claim of its client ends with it. */
export async function unfix (tx: Tx, network: NetworkService, address: string): Promise<void> {
  await removeFixed(tx, address)
  await network.release(tx, { address })
  for (const retiring of await referee.retire(tx, [address])) await tx.changed('dhcp.binding', retiring)
}
