/** Whether what a tap of the chain returned can be used. Pure. */
import type { Boot } from './boot-file.ts'
import type { Exchange } from './chain.ts'
import type { Classes } from './classes.ts'
import type { Decision } from './decision.ts'
import { holds } from './ipv4.ts'
import { option } from '../options/codes.ts'
import type { Packet } from './packet.ts'
import type { Subnet } from './segment.ts'

const word = /^[a-z0-9-]{1,32}$/
const record = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const u32 = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff

export const isReason = (value: unknown): value is string => typeof value === 'string' && word.test(value)
export const isClasses = (value: unknown): value is Classes => Array.isArray(value) && value.every(name => typeof name === 'string')
/** Subnets of the segment itself: an address of another one would not be reachable there. */
export const isSubnets = (value: unknown, { segment }: Exchange): value is readonly Subnet[] => Array.isArray(value) && value.every(subnet => segment.subnets.includes(subnet as Subnet))

/** A drop, or an act on an address of one of the exchange's subnets. A decision about something else than the one before (an ACK for a DISCOVER) is none. */
export function isDecision (value: unknown, { subnets }: Exchange, before: unknown): value is Decision {
  if (!record(value) || !record(before)) return false
  if (value === before) return true
  if (value.kind === 'drop') return isReason(value.reason)
  if (value.kind === 'nak') return typeof value.reason === 'string' && (before.kind === 'bind' || before.kind === 'nak')
  if (value.kind !== before.kind) return false
  const subnet = subnets.find(each => each === value.subnet)
  if (subnet === undefined) return false
  if (value.kind === 'inform') return true
  if (!u32(value.address) || !holds(subnet.prefix, value.address as number)) return false
  if (value.kind === 'bind') return (value.refused === 'nak' || value.refused === 'drop') && named(value.hostname)
  return value.kind === 'decline' || value.kind === 'release' || named(value.hostname)
}
const named = (value: unknown): boolean => value === null || typeof value === 'string'

/** Where to boot from, what, and options that can be written; or nothing. */
export const isBoot = (value: unknown): value is Boot => record(value) && u32(value.nextServer) && typeof value.file === 'string' && writable(value.options) && writable(value.asked)

/** Codes 1 to 254 with bytes. */
function writable (value: unknown): boolean {
  if (!(value instanceof Map)) return false
  for (const [code, data] of value) if (!u32(code) || code < 1 || code > 254 || !Buffer.isBuffer(data)) return false
  return true
}

/** Codes 1 to 254 with bytes, the message type and the server identifier as they were. */
export function isOptions (value: unknown, _exchange: Exchange, before: unknown): value is ReadonlyMap<number, Buffer> {
  if (!writable(value) || !(before instanceof Map)) return false
  return same(value as Map<number, Buffer>, before, option.messageType) && same(value as Map<number, Buffer>, before, option.serverId)
}
const same = (one: ReadonlyMap<number, Buffer>, other: ReadonlyMap<number, Buffer>, code: number): boolean => {
  const [a, b] = [one.get(code), other.get(code)]
  return a === b || (a !== undefined && b !== undefined && a.equals(b))
}

/** A message for the same client, about the same address. */
export function isReply (value: unknown, exchange: Exchange, before: unknown): value is Packet {
  if (!record(value) || !record(before) || !isOptions(value.options, exchange, before.options)) return false
  for (const field of ['op', 'htype', 'hops', 'xid', 'yiaddr', 'giaddr', 'mac', 'ciaddr'] as const) if (value[field] !== before[field]) return false
  return u32(value.secs) && u32(value.flags) && (value.flags as number) <= 0xffff && (value.secs as number) <= 0xffff && u32(value.siaddr) && typeof value.sname === 'string' && typeof value.file === 'string'
}
