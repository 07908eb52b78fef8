/** What to do about one DHCPv6 message: RFC 8415 section 18.3 for one server that several racks are. Pure. */
import type { Choice6, View6, Who6 } from './address6.ts'
import { choose6, fixed6, holderOf, isOwn, open6 } from './address6.ts'
import { duidOf, elapsedOf, macOf6 } from './client6.ts'
import { message6Name, option6 } from './codes6.ts'
import type { Status6 } from './codes6.ts'
import type { Ip6 } from './ipv6.ts'
import { first6, has6 } from './options6.ts'
import { iasOf } from './packet6.ts'
import type { Ia, Packet6 } from './packet6.ts'
import type { Datagram6 } from './relay6.ts'
import type { Subnet6 } from './segment6.ts'
import { isDynamic6, subnetHolding6, subnetsFor6 } from './segment6.ts'

/** What one identity association gets. `gone`: addresses in it that the client must not use any more. `who` and `hints` serve a second choice. `seconds`: what was promised, where it is not the subnet's. */
export type Plan6 =
  | { readonly give: Choice6, readonly seconds?: number, readonly who: Who6, readonly iaid: number, readonly hints: readonly Ip6[], readonly gone: readonly Ip6[], readonly extends: boolean }
  | { readonly give?: undefined, readonly iaid: number, readonly status: Status6 | undefined, readonly gone: readonly Ip6[] }
export type Decision6 =
  | { readonly kind: 'drop', readonly reason: Drop6 }
  /** ADVERTISE promises nothing. A REPLY goes out if, and only if, the region has stored or refused every binding in it. */
  | { readonly kind: 'lease', readonly type: 'ADVERTISE' | 'REPLY', readonly plans: readonly Plan6[], readonly subnets: readonly Subnet6[], readonly rapid: boolean }
  | { readonly kind: 'confirm', readonly onLink: boolean, readonly subnets: readonly Subnet6[] }
  | { readonly kind: 'end', readonly ended: 'released' | 'declined', readonly bindings: readonly { readonly client: string, readonly address: Ip6, readonly subnet: Subnet6 }[], readonly unbound: readonly number[] }
  | { readonly kind: 'inform', readonly subnets: readonly Subnet6[] }
export type Drop6 = 'not-a-request' | 'no-client' | 'other-server' | 'server-id' | 'foreign-relay' | 'not-my-turn' | 'incomplete'

const drop = (reason: Drop6): Decision6 => ({ kind: 'drop', reason })

/**
 * @param source where the datagram came from, without a zone
 * @param now ms since the epoch
 */
export function decide6 (view: View6, datagram: Datagram6, source: Ip6, now: number): Decision6 {
  const { message, relays } = datagram
  const type = message6Name(message.type)
  const subnets = subnetsFor6(view.segment, relays)
  if (subnets.length === 0) return drop('foreign-relay')
  const server = first6(message.options, option6.serverId)?.toString('hex')
  if (server !== undefined && server !== view.segment.server) return drop('other-server')
  if (type === 'INFORMATION-REQUEST') return inform(view, message, subnets)
  const duid = duidOf(message.options)
  if (duid === undefined) return drop('no-client')
  const asks = { view, message, subnets, duid, mac: macOf6(datagram, source), now }
  switch (type) {
    case 'SOLICIT': return server === undefined ? solicit(asks) : drop('server-id')
    case 'REQUEST': return server !== undefined ? request(asks) : drop('server-id')
    case 'CONFIRM': return server === undefined ? confirm(asks) : drop('server-id')
    case 'RENEW': return server !== undefined ? extend(asks) : drop('server-id')
    case 'REBIND': return server === undefined ? extend(asks) : drop('server-id')
    case 'RELEASE': return server !== undefined ? end(asks, 'released') : drop('server-id')
    case 'DECLINE': return server !== undefined ? end(asks, 'declined') : drop('server-id')
    default: return drop('not-a-request')
  }
}

interface Asks { readonly view: View6, readonly message: Packet6, readonly subnets: readonly Subnet6[], readonly duid: string, readonly mac: string | undefined, readonly now: number }
const whoOf = ({ duid, mac }: Asks, iaid: number): Who6 => ({ duid, holder: holderOf(duid, iaid), mac })

/** The first rack answers at once; each next one when the client has waited another second by its own account, or has asked again. */
export const myTurn6 = (view: View6, message: Packet6, duid: string): boolean => {
  const { rank } = view.segment
  return rank === 0 || elapsedOf(message.options) >= 100 * rank || view.asked(duid) > rank
}

/** A fresh choice for every IA_NA, none twice. */
function fresh (asks: Asks): Plan6[] {
  const avoid = new Set<Ip6>()
  return iasOf(asks.message.options).map(ia => freshFor(asks, ia, avoid))
}

function freshFor (asks: Asks, { iaid, addresses }: Ia, avoid: Set<Ip6>, gone: readonly Ip6[] = []): Plan6 {
  const { view, subnets, now } = asks
  const who = whoOf(asks, iaid)
  const hints = addresses.map(({ address }) => address)
  const choice = view.segment.mode === 'stateful' ? choose6(view, subnets, who, hints, now, avoid) : undefined
  if (choice === undefined) return { iaid, status: gone.length > 0 ? undefined : 'NoAddrsAvail', gone }
  avoid.add(choice.address)
  return { give: choice, who, iaid, hints, gone, extends: false }
}

/** Sections 18.3.1 and 18.3.9; with rapid commit the exchange ends here. */
function solicit (asks: Asks): Decision6 {
  if (!myTurn6(asks.view, asks.message, asks.duid)) return drop('not-my-turn')
  const plans = fresh(asks)
  const rapid = has6(asks.message.options, option6.rapidCommit) && plans.some(({ give }) => give !== undefined)
  return { kind: 'lease', type: rapid ? 'REPLY' : 'ADVERTISE', plans, subnets: asks.subnets, rapid }
}

/** Section 18.3.2. An address of another link makes the client ask anew. */
function request (asks: Asks): Decision6 {
  if (!myTurn6(asks.view, asks.message, asks.duid)) return drop('not-my-turn')
  const avoid = new Set<Ip6>()
  const plans = iasOf(asks.message.options).map((ia): Plan6 =>
    ia.addresses.some(({ address }) => subnetHolding6(asks.subnets, address) === undefined) ? { iaid: ia.iaid, status: 'NotOnLink', gone: [] } : freshFor(asks, ia, avoid))
  return { kind: 'lease', type: 'REPLY', plans, subnets: asks.subnets, rapid: false }
}

/** Section 18.3.3: silent where the client names no address. */
function confirm ({ view, message, subnets, duid }: Asks): Decision6 {
  const addresses = iasOf(message.options).flatMap(({ addresses }) => addresses)
  if (addresses.length === 0) return drop('incomplete')
  if (!myTurn6(view, message, duid)) return drop('not-my-turn')
  return { kind: 'confirm', onLink: addresses.every(({ address }) => subnetHolding6(subnets, address) !== undefined), subnets }
}

/** RENEW and REBIND, sections 18.3.4 and 18.3.5: every rack answers, whatever its rank; the same binding stored twice is one binding. */
function extend (asks: Asks): Decision6 {
  const avoid = new Set<Ip6>()
  const plans = iasOf(asks.message.options).map(ia => extended(asks, ia, avoid))
  return { kind: 'lease', type: 'REPLY', plans, subnets: asks.subnets, rapid: false }
}

function extended (asks: Asks, ia: Ia, avoid: Set<Ip6>): Plan6 {
  const { view, subnets, now } = asks
  const { iaid, addresses } = ia
  if (view.segment.mode === 'stateless') return { iaid, status: 'NoBinding', gone: [] }
  const who = whoOf(asks, iaid)
  const fixed = fixed6(view, subnets, who, now)
  const possible = addresses.flatMap(({ address }): Choice6[] => {
    const subnet = avoid.has(address) ? undefined : subnetHolding6(subnets, address)
    if (subnet === undefined) return []
    if (fixed?.address === address) return [fixed]
    const binding = view.bindingAt(address)
    const own = binding !== undefined && isOwn(binding, who)
    const client = own ? binding.client : who.holder
    // The binding may have been made by another rack a moment ago: where this one knows nothing, the region tells.
    return open6(view, address, who, client, now) && (own || isDynamic6(subnet, address)) ? [{ subnet, address, hostname: view.hostAt(address)?.hostname ?? null, client, fresh: !own }] : []
  })
  const choice = possible.find(({ fresh }) => !fresh) ?? possible[0]
  const gone = addresses.flatMap(({ address }) => address === choice?.address ? [] : [address])
  if (choice === undefined) return freshFor(asks, { ...ia, addresses: [] }, avoid, gone)
  avoid.add(choice.address)
  return { give: choice, who, iaid, hints: [], gone, extends: true }
}

/** RELEASE and DECLINE, sections 18.3.7 and 18.3.8: they count only from the client that holds the address. */
function end (asks: Asks, ended: 'released' | 'declined'): Decision6 {
  const { view, message, subnets } = asks
  const unbound: number[] = []
  const bindings = iasOf(message.options).flatMap(({ iaid, addresses }) => {
    const who = whoOf(asks, iaid)
    const own = addresses.flatMap(({ address }) => {
      const [binding, subnet] = [view.bindingAt(address), subnetHolding6(subnets, address)]
      return binding !== undefined && subnet !== undefined && isOwn(binding, who) ? [{ client: binding.client, address, subnet }] : []
    })
    if (own.length === 0) unbound.push(iaid)
    return own
  })
  return { kind: 'end', ended, bindings, unbound }
}

/** Section 18.3.6. One that speaks of addresses is not valid (section 16.12). */
function inform (view: View6, message: Packet6, subnets: readonly Subnet6[]): Decision6 {
  if (has6(message.options, option6.iaNa) || has6(message.options, option6.iaTa) || has6(message.options, option6.iaPd)) return drop('incomplete')
  return myTurn6(view, message, duidOf(message.options) ?? '') ? { kind: 'inform', subnets } : drop('not-my-turn')
}

/** Another address for an IA whose first choice the region has refused. What the client believed to have is gone then. */
export function second6 (view: View6, subnets: readonly Subnet6[], plan: Plan6, now: number, avoid: ReadonlySet<Ip6>): Plan6 {
  if (plan.give === undefined) return plan
  const gone = plan.extends ? [...plan.gone, plan.give.address] : plan.gone
  const choice = choose6(view, subnets, plan.who, plan.hints, now, avoid)
  return choice === undefined
    ? { iaid: plan.iaid, status: gone.length > 0 ? undefined : 'NoAddrsAvail', gone }
    : { ...plan, give: choice, gone, extends: false }
}
