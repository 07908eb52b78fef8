/** ADVERTISE and REPLY: the options of a message to a client (RFC 8415 sections 18.3.9 to 18.3.11). Pure. */
import type { Boot6 } from './boot6.ts'
import { asksFor6 } from './client6.ts'
import { message6, option6 } from './codes6.ts'
import type { Plan6 } from './decision6.ts'
import { first6, ip6Bytes, u32, writeNames, writeOptions6 } from './options6.ts'
import type { Option6 } from './options6.ts'
import { iaOption, otherIas, statusOption } from './packet6.ts'
import type { Packet6 } from './packet6.ts'
import type { Segment6, Subnet6 } from './segment6.ts'

const sentences = { NoAddrsAvail: 'no address is free', NotOnLink: 'this address is not of this link', NoBinding: 'no binding is known here', NoPrefixAvail: 'prefixes are not given here', Success: 'done' } as const

/** Client and server id: what every reply begins with. */
const ids = ({ server }: Segment6, { options }: Packet6): Option6[] => {
  const client = first6(options, option6.clientId)
  return [...client === undefined ? [] : [{ code: option6.clientId, value: client }], { code: option6.serverId, value: Buffer.from(server, 'hex') }]
}

/** What every client of the subnet is told, as far as it asks for it. */
function settings (subnet: Subnet6 | undefined, request: Packet6): Option6[] {
  const found: Option6[] = []
  if (subnet === undefined) return found
  const add = (code: number, value: Buffer) => { if (value.length > 0 && asksFor6(request.options, code)) found.push({ code, value }) }
  add(option6.dnsServers, ip6Bytes(...subnet.dnsServers))
  add(option6.domainSearch, writeNames(subnet.search))
  add(option6.ntpServer, writeOptions6(subnet.ntpServers.map(address => ({ code: 1, value: ip6Bytes(address) })))) // RFC 5908 section 4.1: suboption 1, one address each
  add(option6.sntpServers, ip6Bytes(...subnet.ntpServers))
  return found
}

/** T1 and T2 are half and four fifths of the lease (section 21.4); where nothing was given they leave the client its choice. */
function iaOf (plan: Plan6, seconds: (subnet: Subnet6) => number): Option6 {
  const gone = plan.gone.map(address => ({ address, preferred: 0, valid: 0 }))
  if (plan.give === undefined) return iaOption({ iaid: plan.iaid, t1: 0, t2: 0, addresses: gone }, plan.status && statusOption(plan.status, sentences[plan.status as keyof typeof sentences]))
  const valid = plan.seconds ?? seconds(plan.give.subnet)
  return iaOption({ iaid: plan.iaid, t1: Math.floor(valid / 2), t2: Math.floor(valid * 4 / 5), addresses: [{ address: plan.give.address, preferred: valid, valid }, ...gone] })
}

/** What is not given here is refused by name, so that the client does not go on asking for it. */
const refusals = (request: Packet6): Option6[] => otherIas(request.options).map(({ code, iaid }) => code === option6.iaPd
  ? { code, value: Buffer.concat([u32(iaid), u32(0), u32(0), writeOptions6([statusOption('NoPrefixAvail', sentences.NoPrefixAvail)])]) }
  : { code, value: Buffer.concat([u32(iaid), writeOptions6([statusOption('NoAddrsAvail', sentences.NoAddrsAvail)])]) })

export interface Leases6 { readonly type: 'ADVERTISE' | 'REPLY', readonly plans: readonly Plan6[], readonly subnets: readonly Subnet6[], readonly rapid: boolean }

/**
 * An ADVERTISE, or a REPLY with addresses. The preference makes a client take the first rack's word without waiting for others.
 * @param seconds of a lease in the subnet
 */
export function leaseReply6 (segment: Segment6, request: Packet6, leases: Leases6, seconds: (subnet: Subnet6) => number, boot: Boot6 | undefined): Packet6 {
  const subnet = leases.plans.find(({ give }) => give !== undefined)?.give?.subnet ?? leases.subnets[0]
  const options: Option6[] = [...ids(segment, request), ...leases.plans.map(plan => iaOf(plan, seconds)), ...refusals(request)]
  if (leases.type === 'ADVERTISE') options.push({ code: option6.preference, value: Buffer.of(Math.max(0, 255 - segment.rank)) })
  if (leases.rapid) options.push({ code: option6.rapidCommit, value: Buffer.alloc(0) })
  options.push(...settings(subnet, request), ...boot?.options ?? [])
  return { type: message6[leases.type], xid: request.xid, options }
}

/** The REPLY to an INFORMATION-REQUEST; `refresh` in seconds (section 21.23, 600 at least). */
export function informReply6 (segment: Segment6, request: Packet6, subnet: Subnet6 | undefined, refresh: number, boot: Boot6 | undefined): Packet6 {
  const time: Option6[] = [{ code: option6.refreshTime, value: u32(Math.max(600, refresh)) }]
  return { type: message6.REPLY, xid: request.xid, options: [...ids(segment, request), ...settings(subnet, request), ...time, ...boot?.options ?? []] }
}

/** The REPLY to a CONFIRM. */
export function confirmReply6 (segment: Segment6, request: Packet6, onLink: boolean): Packet6 {
  const status = onLink ? statusOption('Success', 'all addresses are of this link') : statusOption('NotOnLink', sentences.NotOnLink)
  return { type: message6.REPLY, xid: request.xid, options: [...ids(segment, request), status] }
}

/** The REPLY to a RELEASE or DECLINE: done, and which associations nothing was known of. */
export function endReply6 (segment: Segment6, request: Packet6, unbound: readonly number[]): Packet6 {
  const unknown = unbound.map(iaid => iaOption({ iaid, t1: 0, t2: 0, addresses: [] }, statusOption('NoBinding', sentences.NoBinding)))
  return { type: message6.REPLY, xid: request.xid, options: [...ids(segment, request), statusOption('Success', sentences.Success), ...unknown] }
}
