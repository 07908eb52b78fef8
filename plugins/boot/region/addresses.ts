/** The boot addresses of VLANs on a region: set aside in the network's plan, given back, and told to the racks that hold them in turn. */
import { bytesOf } from '../../../core/address/address.ts'
import type { Family } from '../../../core/address/address.ts'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { Query, Tx } from '../../../core/plugin.ts'
import type { VlanRacks, VlanRacksService } from '../../dhcp/manifest.ts'
import type { Address, NetworkService, Subnet, Vlan } from '../../network/manifest.ts'
import { bootOwner } from '../manifest.ts'
import type { FloatingEntry } from '../manifest.ts'
import { dropBootVlans, listBootVlans, lockBootVlans, saveBootVlan, unset } from '../store/addresses.ts'
import type { BootVlan, Wish } from '../store/addresses.ts'

export interface Plan { readonly network: NetworkService, readonly served: VlanRacksService }
export const families = [4, 6] as const satisfies readonly Family[]
const few = 2 // racks: with one alone there is nobody to hold it in turn with

/** A VLAN and what of it concerns its boot addresses. */
interface Situation { readonly vlan: Vlan, readonly subnets: readonly Subnet[], readonly served: VlanRacks | undefined, readonly given: readonly Address[] }
const familyOf = ({ address }: { readonly address: string }): Family => address.includes(':') ? 6 : 4
const nameOf = ({ id, name }: Vlan): string => `VLAN ${name} (${id})`

async function situations (q: Query, { network, served }: Plan, only?: string): Promise<Situation[]> {
  const [vlans, subnets, all] = [(await network.vlans(q)).filter(({ id }) => only === undefined || id === only), await network.subnets(q, only === undefined ? {} : { vlanId: only }), await served.vlans(q)]
  const found: Situation[] = []
  for (const vlan of vlans) {
    found.push({ vlan, subnets: subnets.filter(({ vlanId }) => vlanId === vlan.id), served: all.find(({ vlanId }) => vlanId === vlan.id), given: await network.addresses(q, { owner: bootOwner(vlan.id) }) })
  }
  return found
}

/** How many racks of the VLAN have an address of their own in the subnet. */
const racksIn = ({ served, given }: Situation, subnet: Subnet): number =>
  served?.racks.filter(({ attachments }) => attachments.some(one => one.subnetId === subnet.id && !given.some(({ address }) => address === one.address))).length ?? 0

/** The subnet an address is chosen in: the one most racks are in, two at least. */
function bestSubnet (situation: Situation, family: Family): Subnet | undefined {
  const { served, subnets } = situation
  if (served === undefined || !(family === 4 ? served.v4 : served.v6)) return undefined
  const [best] = subnets.filter(subnet => subnet.family === family).map(subnet => ({ subnet, racks: racksIn(situation, subnet) })).sort((one, other) => other.racks - one.racks)
  return best !== undefined && best.racks >= few ? best.subnet : undefined
}

/** Throws NETWORK_INVALID for an address that cannot be the VLAN's. */
function subnetFor ({ vlan, subnets }: Situation, subnet: Subnet | undefined, address: string): Subnet {
  const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }
  if (subnet === undefined || !subnets.some(({ id }) => id === subnet.id)) return refuse(`${address} lies in no subnet of ${nameOf(vlan)}: choose one in ${subnets.map(({ cidr }) => cidr).join(' or ') || 'a subnet, which it has none of yet'}.`)
  return subnet
}

/**
 * Makes the address of one family what the operator wishes; gives why there is none. An address that is there stays, whatever becomes of the racks: machines may know it.
 * An address by name throws what forbids it: NETWORK_INVALID or CONFLICT.
 */
async function settleFamily (tx: Tx, network: NetworkService, situation: Situation, family: Family, wish: Wish): Promise<{ readonly changed: boolean, readonly problem: string | null }> {
  const { vlan, subnets, given } = situation
  const owner = bootOwner(vlan.id)
  const had = given.filter(one => familyOf(one) === family)
  const kept = had.filter(({ address, subnetId }) => wish !== 'none' && subnets.some(({ id }) => id === subnetId) && (wish === 'auto' || wish === address)).slice(0, 1)
  let changed = false
  for (const { address } of had) if (!kept.some(one => one.address === address)) { await network.release(tx, { address }); changed = true }
  if (wish === 'none' || kept.length > 0) return { changed, problem: null }
  if (wish !== 'auto') {
    const subnet = subnetFor(situation, await network.subnetOf(tx, wish), wish)
    await network.allocate(tx, { subnetId: subnet.id, kind: 'reserved', owner, address: wish })
    return { changed: true, problem: null }
  }
  const subnet = bestSubnet(situation, family)
  if (subnet === undefined) return { changed, problem: null }
  try {
    await network.allocate(tx, { subnetId: subnet.id, kind: 'reserved', owner })
    return { changed: true, problem: null }
  } catch (error) {
    if (!(error instanceof BedplateError) || error.code !== 'ADDRESS_EXHAUSTED') throw error
    return { changed, problem: `${nameOf(vlan)} has no boot address, and a machine that boots while its rack dies has to begin again: ${reasonOf(error)} Make room there, set one by hand, or "bedplate vlan boot-address ${vlan.id} none".` }
  }
}

/** Makes the addresses of all VLANs, or of one, what is wished. `strict`: an address by name that cannot be throws, and is not only noted. */
export async function settle (tx: Tx, plan: Plan, { only, strict = false }: { readonly only?: string, readonly strict?: boolean } = {}): Promise<void> {
  await lockBootVlans(tx)
  const all = await situations(tx, plan, only)
  const rows = new Map((await listBootVlans(tx)).map(row => [row.id, row]))
  for (const situation of all) {
    const { id } = situation.vlan
    const row = rows.get(id) ?? unset(id)
    const outcome = { changed: false, problem4: null as string | null, problem6: null as string | null }
    for (const family of families) {
      try {
        const { changed, problem } = await settleFamily(tx, plan.network, situation, family, row[`v${family}`])
        outcome.changed ||= changed
        outcome[`problem${family}`] = problem
      } catch (error) {
        if (strict || !(error instanceof BedplateError)) throw error
        outcome[`problem${family}`] = `The boot address ${row[`v${family}`]} of ${nameOf(situation.vlan)} cannot be set aside: ${reasonOf(error)}`
      }
    }
    const { problem4, problem6 } = outcome
    if (problem4 !== row.problem4 || problem6 !== row.problem6) await saveBootVlan(tx, { ...row, problem4, problem6 })
    if (outcome.changed) await tx.changed('boot.vlan', id)
  }
  if (only !== undefined) return
  for (const id of rows.keys()) if (!all.some(({ vlan }) => vlan.id === id)) await plan.network.release(tx, { owner: bootOwner(id) })
  await dropBootVlans(tx, all.map(({ vlan }) => vlan.id))
}

/** The number of the virtual router: the last byte of its address, so that two installations on a segment, whose addresses differ, seldom share one. RFC 9568 has no 0. */
const vridOf = (address: string): number => bytesOf(address)?.at(-1) || 255

/** What a rack is told: of each VLAN it serves, or of those named, that has a boot address. */
export async function floatingOf (q: Query, { network, served }: Plan, rack: string, vlans?: readonly string[]): Promise<{ readonly id: string, readonly value: FloatingEntry }[]> {
  const entries: { readonly id: string, readonly value: FloatingEntry }[] = []
  for (const { vlanId, racks } of await served.vlans(q)) {
    const rank = racks.findIndex(one => one.rack === rack)
    if (rank < 0 || vlans?.includes(vlanId) === false) continue
    const given = await network.addresses(q, { owner: bootOwner(vlanId) })
    if (given.length === 0) continue
    const own = (one: { readonly address: string }): boolean => !given.some(({ address }) => address === one.address)
    const device = racks[rank]?.attachments.find(own)?.interface
    if (device === undefined) continue
    const subnets = await network.subnets(q, { ids: given.map(({ subnetId }) => subnetId) })
    const peers = racks.flatMap(one => one.rack === rack ? [] : [...new Set(one.attachments.filter(own).map(({ mac }) => mac))].map(mac => ({ rack: one.rack, mac })))
    const addresses = given.map(({ address, subnetId }) => ({ address, prefix: Number(subnets.find(({ id }) => id === subnetId)?.cidr.split('/')[1] ?? (address.includes(':') ? 128 : 32)), vrid: vridOf(address) }))
    entries.push({ id: vlanId, value: { interface: device, rank, peers, addresses } })
  }
  return entries
}

/** A VLAN as operators see it. `holder`: the rack that said last that it has the address. */
export interface ShownFamily { readonly setting: Wish, readonly address: string | null, readonly holder: string | null, readonly problem: string | null }
export interface Shown { readonly id: string, readonly v4: ShownFamily, readonly v6: ShownFamily }

export async function show (q: Query, { network }: Pick<Plan, 'network'>, only?: string): Promise<Shown[]> {
  const vlans = (await network.vlans(q)).filter(({ id }) => only === undefined || id === only)
  const rows = new Map((await listBootVlans(q, only === undefined ? undefined : [only])).map(row => [row.id, row]))
  const shown: Shown[] = []
  for (const { id } of vlans) {
    const row: BootVlan = rows.get(id) ?? unset(id)
    const given = await network.addresses(q, { owner: bootOwner(id) })
    const attachments = given.length === 0 ? [] : await network.attachments(q, { vlanId: id })
    const of = (family: Family): ShownFamily => {
      const address = given.find(one => familyOf(one) === family)?.address ?? null
      return { setting: row[`v${family}`], address, holder: attachments.find(one => one.address === address)?.rack ?? null, problem: row[`problem${family}`] }
    }
    shown.push({ id, v4: of(4), v6: of(6) })
  }
  return shown
}
