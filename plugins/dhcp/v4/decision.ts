/** What to do about one packet: RFC 2131 section 4.3 for an authoritative server among ranked peers. Pure. */
import type { View } from './address.ts'
import { choose, known, mayAlone, open, reserved } from './address.ts'
import { messageName, option } from '../options/codes.ts'
import { serverOverride } from '../options/relay.ts'
import { readIp, readU8 } from '../options/values.ts'
import type { Packet } from './packet.ts'
import type { Subnet } from './segment.ts'
import { isDynamic, subnetHolding, subnetsFor } from './segment.ts'

export type Decision =
  | { readonly kind: 'drop', readonly reason: Drop, readonly subnets?: readonly Subnet[] }
  | { readonly kind: 'offer', readonly subnet: Subnet, readonly address: number, readonly hostname: string | null }
  /** Acknowledge if, and only if, the region stores it; `refused`: what to do when it says no. */
  | { readonly kind: 'bind', readonly subnet: Subnet, readonly address: number, readonly hostname: string | null, readonly refused: 'nak' | 'drop' }
  | { readonly kind: 'nak', readonly reason: string }
  | { readonly kind: 'inform', readonly subnet: Subnet }
  | { readonly kind: 'decline' | 'release', readonly subnet: Subnet, readonly address: number }
export type Drop = 'no-type' | 'not-a-request' | 'hardware' | 'foreign-relay' | 'other-server' | 'not-my-turn' | 'no-address' | 'unknown-client' | 'not-bound' | 'incomplete' | 'unanswered' | 'refused' | 'cut-off' | 'vetoed'

const drop = (reason: Drop): Decision => ({ kind: 'drop', reason })
const etherAddress = /^(?!00:00:00:00:00:00)[0-9a-f]([02468ace]):([0-9a-f]{2}:){4}[0-9a-f]{2}$/ // not zero, not a group

/** `now` in ms since the epoch; `subnets`: where the client may get an address, the likeliest first; `client`: who it is to the referee. */
export function decide (view: View, packet: Packet, now: number, subnets: readonly Subnet[] = subnetsFor(view.segment, packet), client: string = packet.mac): Decision {
  if (packet.op !== 1) return drop('not-a-request')
  if (!etherAddress.test(packet.mac)) return drop('hardware')
  const type = messageName(readU8(packet.options.get(option.messageType)))
  if (type === undefined) return drop('no-type')
  if (subnets.length === 0) return drop('foreign-relay')
  const server = readIp(packet.options.get(option.serverId))
  if (server !== undefined && server !== (serverOverride(packet.giaddr, packet.options) ?? view.segment.address)) return drop('other-server')
  const requested = readIp(packet.options.get(option.requestedAddress)) ?? 0
  switch (type) {
    case 'DISCOVER': return discover(view, packet, client, subnets, requested, now)
    case 'REQUEST': return request(view, packet, client, subnets, { server, requested }, now)
    case 'DECLINE': return end('decline', view, client, requested, subnets)
    case 'RELEASE': return end('release', view, client, packet.ciaddr, subnets)
    case 'INFORM': return inform(packet, subnets)
    default: return drop('not-a-request') // an OFFER, ACK or NAK from another server
  }
}

/**
 * The first rack answers at once; each next one only when the client has gone without an answer for a while, by its own account or by
 * asking again, or when clients before it have had to. More than 4 seconds, not 4: iPXE says 4 in its very first packet.
 */
export const myTurn = (view: View, packet: Packet, client: string): boolean => {
  const { rank } = view.segment
  return rank === 0 || view.leads === true || packet.secs > 4 * rank || view.asked(client) > rank
}

function discover (view: View, packet: Packet, client: string, subnets: readonly Subnet[], requested: number, now: number): Decision {
  if (!myTurn(view, packet, client)) return drop('not-my-turn')
  const choice = choose(view, subnets, client, requested, now)
  return choice === undefined ? { kind: 'drop', reason: 'no-address', subnets } : { kind: 'offer', ...choice }
}

/** The four client states of RFC 2131 section 4.3.2, told apart by server identifier, requested address and ciaddr. */
function request (view: View, packet: Packet, client: string, subnets: readonly Subnet[], { server, requested }: { server: number | undefined, requested: number }, now: number): Decision {
  if (server !== undefined) return requested === 0 ? drop('incomplete') : selecting(view, client, subnets, requested, now, server === view.segment.address)
  if (packet.ciaddr !== 0) return extending(view, client, subnets, packet.ciaddr, now)
  if (requested === 0) return drop('incomplete')
  return rebooting(view, packet, client, subnets, requested, now)
}

/** `named`: the client named this very server, not the relay that stands for all of them (RFC 5107): only then is it for this one to refuse. */
function selecting (view: View, client: string, subnets: readonly Subnet[], address: number, now: number, named: boolean): Decision {
  const subnet = subnetHolding(subnets, address)
  if (subnet === undefined) return named ? { kind: 'nak', reason: 'this address is not of this network' } : drop('other-server')
  const fixed = reserved(view, subnets, client, now)
  const alone = view.alone
  // Without a region only what this rack may give alone; a NAK sends the client back to DISCOVER, which is answered with such an address.
  const covered = alone?.cut !== true || mayAlone(alone, address, client) || (alone.holds(address) && view.offerTo(client) === address)
  const mine = view.offerTo(client) === address || alone?.leaseOf(client) === address || fixed?.address === address || view.bindings(client).some(binding => binding.address === address) || view.free(subnet.id).includes(address)
  if (!mine || !covered || !open(view, address, client, now)) return named ? { kind: 'nak', reason: 'this address was not offered' } : drop('other-server')
  return { kind: 'bind', subnet, address, hostname: fixed?.address === address ? fixed.hostname : null, refused: named ? 'nak' : 'drop' }
}

/** RENEWING (unicast) and REBINDING (broadcast): every rack answers, whatever its rank; the same binding stored twice is one binding. */
function extending (view: View, client: string, subnets: readonly Subnet[], address: number, now: number): Decision {
  const subnet = subnetHolding(subnets, address)
  if (subnet === undefined) return { kind: 'nak', reason: 'this address is not of this network' }
  // Without a region: what it has no right to may be somebody else's to give, another rack's reserve for one.
  if (view.alone?.cut === true && !mayAlone(view.alone, address, client)) return drop('cut-off')
  const host = view.hostAt(address)
  const ours = host?.client === client || view.bindings(client).some(binding => binding.address === address)
  // The binding may have been made by another rack a moment ago: where this one knows nothing, the region tells.
  if (!open(view, address, client, now) || (!ours && !isDynamic(subnet, address))) return { kind: 'nak', reason: 'this address is not yours' }
  return { kind: 'bind', subnet, address, hostname: host?.hostname ?? null, refused: 'nak' }
}

/** INIT-REBOOT: silent about clients it knows nothing of, so that other servers may answer. */
function rebooting (view: View, packet: Packet, client: string, subnets: readonly Subnet[], address: number, now: number): Decision {
  if (!myTurn(view, packet, client)) return drop('not-my-turn')
  const subnet = subnetHolding(subnets, address)
  if (subnet === undefined) return { kind: 'nak', reason: 'this address is not of this network' }
  if (view.alone?.cut === true) return mayAlone(view.alone, address, client) && open(view, address, client, now) ? { kind: 'bind', subnet, address, hostname: view.hostAt(address)?.hostname ?? null, refused: 'nak' } : drop('cut-off')
  const right = reserved(view, subnets, client, now) ?? (view.alone?.leaseOf(client) === address ? { subnet, address, hostname: null } : known(view, subnets, client, now))
  if (right === undefined) return drop('unknown-client')
  if (right.address !== address) return { kind: 'nak', reason: 'this address is not yours' }
  return { kind: 'bind', ...right, refused: 'nak' }
}

/** DECLINE and RELEASE count only from the client that holds the address. */
function end (kind: 'decline' | 'release', view: View, client: string, address: number, subnets: readonly Subnet[]): Decision {
  const subnet = subnetHolding(subnets, address)
  if (subnet === undefined || view.bindingAt(address)?.client !== client) return drop('not-bound')
  return { kind, subnet, address }
}

function inform (packet: Packet, subnets: readonly Subnet[]): Decision {
  const subnet = packet.ciaddr === 0 ? undefined : subnetHolding(subnets, packet.ciaddr)
  return subnet === undefined ? drop('incomplete') : { kind: 'inform', subnet }
}
