/** Giving addresses out and taking them back. One allocation per subnet at a time, under the subnet's row lock, so no address is given twice. */
import { BedplateError } from '../../core/errors.ts'
import type { Tx } from '../../core/plugin.ts'
import { compare, contains, formatIp, hostsOf, next, normaliseIp, normaliseMac, parseCidr, parseIp } from './address.ts'
import type { Address, NetworkService, Subnet } from './manifest.ts'
import { checkAddress } from './plan.ts'
import { addressOf, cursorOf, deleteAddresses, findSubnet, firstFree, insertAddress, listAddresses, lockSubnet, moveCursor, renameAddress, takenBetween } from './store.ts'

/** See NetworkService.allocate. The lock lasts until the caller's transaction ends. */
export const allocate: NetworkService['allocate'] = async (tx, wish) => {
  if (!await lockSubnet(tx, wish.subnetId)) throw new BedplateError('NOT_FOUND', { what: 'subnet', id: wish.subnetId })
  const subnet = (await findSubnet(tx, wish.subnetId))!
  const mac = wish.mac === undefined ? null : normaliseMac(wish.mac)
  const wanted = { subnetId: subnet.id, kind: wish.kind, mac, owner: wish.owner ?? null, hostname: wish.hostname ?? null }
  const named = wish.address === undefined ? undefined : checkAddress(wish.address, subnet)

  const had = named === undefined ? (mac ?? wanted.owner) === null ? undefined : await addressOf(tx, wanted) : (await listAddresses(tx, { addresses: [named] }))[0]
  if (had !== undefined) {
    if (had.kind !== wanted.kind || had.mac !== mac || had.owner !== wanted.owner || (mac ?? wanted.owner) === null) throw taken(had.address, `it is given to ${had.hostname ?? had.owner ?? had.mac ?? 'nobody in particular'} (${had.kind})`)
    if (wish.hostname === undefined || wish.hostname === had.hostname) return had
    await renameAddress(tx, had.address, wish.hostname)
    await tx.changed('network.address', had.address)
    return { ...had, hostname: wish.hostname }
  }

  const address = named ?? await search(tx, subnet)
  const [user] = named === undefined ? [] : await takenBetween(tx, subnet.id, named, named, true)
  const given: Address = { address, ...wanted }
  if (user !== undefined || !await insertAddress(tx, given)) throw taken(address, user?.by ?? 'it was given away meanwhile')
  await tx.changed('network.address', address)
  return given
}

const taken = (address: string, by: string) => new BedplateError('CONFLICT', { reason: `Address ${address} is in use: ${by}.` })

/** The next free address after the last one given, from the start again when none is left there. ADDRESS_EXHAUSTED. */
async function search (tx: Tx, subnet: Subnet): Promise<string> {
  const cidr = parseCidr(subnet.cidr)
  const { first, last } = hostsOf(cidr)
  const avoid = [...subnet.gateway === null ? [] : [subnet.gateway], ...subnet.dnsServers.filter(server => contains(cidr, parseIp(server)))]
  const cursor = await cursorOf(tx, subnet.id)
  const start = cursor === null ? first : next(parseIp(cursor)) ?? first
  const found = (compare(start, last) <= 0 ? await firstFree(tx, subnet.id, formatIp(start), formatIp(last), avoid) : undefined)
    ?? await firstFree(tx, subnet.id, formatIp(first), formatIp(last), avoid)
  if (found === undefined) throw new BedplateError('ADDRESS_EXHAUSTED', { where: `subnet ${subnet.name === subnet.cidr ? subnet.cidr : `${subnet.name} (${subnet.cidr})`}, outside its ranges` })
  await moveCursor(tx, subnet.id, found)
  return found
}

/** See NetworkService.release. */
export const release: NetworkService['release'] = async (tx, filter) => {
  const gone = await deleteAddresses(tx, 'address' in filter ? { address: normaliseIp(filter.address) } : filter)
  for (const address of gone) await tx.changed('network.address', address)
  return gone.length
}
