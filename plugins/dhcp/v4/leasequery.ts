/** Who has which address, asked by relays that lost their memory of it (RFC 4388). Pure. */
import type { Binding, View } from './address.ts'
import { clientIdOf } from '../options/client.ts'
import { messageType, option } from '../options/codes.ts'
import { serverOverride } from '../options/relay.ts'
import { ip, u32, u8 } from '../options/values.ts'
import type { Packet } from './packet.ts'
import { subnetHolding } from './segment.ts'

type Answer = 'LEASEUNASSIGNED' | 'LEASEUNKNOWN' | 'LEASEACTIVE'
export interface LeaseQueryReply { readonly type: Answer, readonly reply: Packet }

const noMac = /^(00(:00)*)?$/

/**
 * The answer to a LEASEQUERY by address, client id or MAC (sections 6.2 and 6.4), from what this rack knows; undefined for one that no relay of this segment sent:
 * it is not answered. Of a client id this rack knows those that are made of a MAC and those an address is set aside for.
 */
export function answerLeaseQuery (view: View, query: Packet, now: number): LeaseQueryReply | undefined {
  const { subnets } = view.segment
  if (query.op !== 1 || query.giaddr === 0 || subnetHolding(subnets, query.giaddr) === undefined) return undefined
  const live = (binding: Binding): boolean => binding.expires > now && subnetHolding(subnets, binding.address) !== undefined
  if (query.ciaddr !== 0) {
    if (subnetHolding(subnets, query.ciaddr) === undefined) return replyTo(view, query, 'LEASEUNKNOWN', [], now)
    const binding = view.bindingAt(query.ciaddr)
    return binding !== undefined && live(binding) ? replyTo(view, query, 'LEASEACTIVE', [binding], now) : replyTo(view, query, 'LEASEUNASSIGNED', [], now)
  }
  const bindings = asked(view, query).filter(live).sort((one, other) => other.expires - one.expires)
  return replyTo(view, query, bindings.length === 0 ? 'LEASEUNKNOWN' : 'LEASEACTIVE', bindings, now)
}

/** The bindings of the client a query names: by its id when there is one, else by its MAC. */
function asked (view: View, { mac, options }: Packet): Binding[] {
  const id = clientIdOf(options)
  if (id === null) return noMac.test(mac) ? [] : [...view.bindings(mac)]
  const hosts = view.hosts(`id:${id}`).flatMap(({ address }) => view.bindingAt(address) ?? [])
  const ofMac = id.length === 14 && id.startsWith('01') ? view.bindings((id.slice(2).match(/../g) ?? []).join(':')) : []
  return [...new Set([...hosts, ...ofMac])].filter(binding => binding.clientId === null || binding.clientId === id)
}

function replyTo (view: View, query: Packet, type: Answer, bindings: readonly Binding[], now: number): LeaseQueryReply {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType[type])], [option.serverId, ip(serverOverride(query.giaddr, query.options) ?? view.segment.address)]])
  const [binding] = bindings
  const fields: Partial<Packet> = binding === undefined ? {} : { ciaddr: binding.address, ...binding.client.length === 17 ? { mac: binding.client, htype: 1 } : {} }
  if (binding !== undefined) {
    const seconds = Math.max(1, Math.floor((binding.expires - now) / 1000))
    const list = query.options.get(option.parameterList)
    const wants = (code: number): boolean => list === undefined || list.includes(code)
    if (wants(option.leaseTime)) options.set(option.leaseTime, u32(seconds))
    const whole = subnetHolding(view.segment.subnets, binding.address)?.leaseSeconds ?? seconds
    // What is left of T1 and T2 of a lease of the subnet's length; none when it is past (section 6.4.2).
    const left = (part: number): number => Math.floor(seconds - whole * (1 - part))
    if (wants(option.renewalTime) && left(1 / 2) > 0) options.set(option.renewalTime, u32(left(1 / 2)))
    if (wants(option.rebindingTime) && left(7 / 8) > 0) options.set(option.rebindingTime, u32(left(7 / 8)))
    if (binding.clientId !== null) options.set(option.clientId, Buffer.from(binding.clientId, 'hex'))
    if (bindings.length > 1 && wants(option.associatedIp)) options.set(option.associatedIp, ip(...bindings.map(({ address }) => address)))
  } else {
    const id = query.options.get(option.clientId)
    if (id !== undefined) options.set(option.clientId, id)
  }
  const relay = query.options.get(option.relay)
  if (relay !== undefined) options.set(option.relay, relay)
  return { type, reply: { ...query, op: 2, hops: 0, secs: 0, yiaddr: 0, siaddr: 0, sname: '', file: '', ...fields, options } }
}
