/** Messages of the kernel's routing socket about links and addresses (rtnetlink(7)), in the byte order of the host. Pure. */
import { endianness } from 'node:os'
import type { Assigned, FloatingAddress, Link } from './address.ts'

const little = endianness() === 'LE'
const types = { error: 2, done: 3, newLink: 16, getLink: 18, newAddress: 20, deleteAddress: 21, getAddress: 22 } as const
const flags = { request: 0x1, acknowledge: 0x4, interrupted: 0x10, replace: 0x100, dump: 0x300, create: 0x400 } as const
/** Not checked for duplicates (we did), and no route to a network of its own. */
const addressFlags = { noDuplicateDetection: 0x02, noPrefixRoute: 0x200 } as const
const attributes = { address: 1, local: 2, name: 3, lifetimes: 6, flags: 8 } as const // IFA_…; IFLA_ADDRESS and IFLA_IFNAME have the same numbers as the first and third
const families = { 4: 2, 6: 10 } as const // AF_INET, AF_INET6
const forever = 0xffff_ffff
const usable = 0x1_0001 // IFF_UP and IFF_LOWER_UP: up, and with a carrier
const ethernetType = 1 // ARPHRD_ETHER

const align = (length: number): number => length + 3 & ~3
function u32 (...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  values.forEach((value, index) => { view.setUint32(index * 4, value, little) })
  return new Uint8Array(view.buffer)
}
function u16 (...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 2))
  values.forEach((value, index) => { view.setUint16(index * 2, value, little) })
  return new Uint8Array(view.buffer)
}
const attribute = (type: number, value: Uint8Array): Uint8Array => Uint8Array.of(...u16(4 + value.length, type), ...value, ...new Uint8Array(align(value.length) - value.length))
const message = (type: number, flag: number, body: Uint8Array): Uint8Array => Uint8Array.of(...u32(16 + body.length), ...u16(type, flag), ...u32(0, 0), ...body)

function addressBody ({ family, bytes }: FloatingAddress, link: number, more: Uint8Array): Uint8Array {
  return Uint8Array.of(families[family], bytes.length * 8, 0, 0, ...u32(link), ...attribute(attributes.local, bytes), ...attribute(attributes.address, bytes), ...more)
}

/**
 * Puts the address on the link or sets its lifetime anew, in whole seconds. It is preferred for no time: what this host sends of its own accord goes out from
 * its own addresses. As /32 or /128 it neither is the primary address of a network nor goes when that one does.
 */
export const putMessage = (address: FloatingAddress, link: number, seconds: number): Uint8Array =>
  message(types.newAddress, flags.request | flags.acknowledge | flags.create | flags.replace, addressBody(address, link, Uint8Array.of(
    ...attribute(attributes.flags, u32(addressFlags.noDuplicateDetection | addressFlags.noPrefixRoute)),
    ...attribute(attributes.lifetimes, u32(0, seconds, 0, 0)))))
export const removeMessage = (address: FloatingAddress, link: number): Uint8Array =>
  message(types.deleteAddress, flags.request | flags.acknowledge, addressBody(address, link, new Uint8Array()))
export const linksMessage = (): Uint8Array => message(types.getLink, flags.request | flags.dump, new Uint8Array(16))
export const addressesMessage = (): Uint8Array => message(types.getAddress, flags.request | flags.dump, new Uint8Array(8))

/** Numbers a question, so that its answer is not taken for another's. */
export function numbered (question: Uint8Array, sequence: number): Uint8Array {
  return Uint8Array.of(...question.subarray(0, 8), ...u32(sequence), ...question.subarray(12))
}

export interface Answer {
  readonly links: readonly Link[]
  readonly addresses: readonly Assigned[]
  /** The errno the kernel answers with, 0 for done; undefined while more is to come. */
  readonly result?: number
  /** Something has changed while the list was made (NLM_F_DUMP_INTR): entries may be missing, or there twice. */
  readonly interrupted?: true
}

/** Reads one datagram of the kernel. What is cut off, unknown, or answers another question than `sequence` is left out. */
export function readAnswer (data: Uint8Array, sequence: number): Answer {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const links: Link[] = []
  const addresses: Assigned[] = []
  let result: number | undefined
  let interrupted = false
  for (let at = 0; at + 16 <= data.length;) {
    const length = view.getUint32(at, little)
    const type = view.getUint16(at + 4, little)
    if (length < 16 || at + length > data.length) break
    const ours = view.getUint32(at + 8, little) === sequence
    if (ours && (view.getUint16(at + 6, little) & flags.interrupted) !== 0) interrupted = true
    if (!ours) { /* late, to a question given up */ } else if (type === types.error && length >= 20) result = Math.abs(view.getInt32(at + 16, little))
    else if (type === types.done) result = length >= 20 ? Math.abs(view.getInt32(at + 16, little)) : 0
    else if (type === types.newLink && length >= 32) links.push(linkOf(view, at + 16, at + length))
    else if (type === types.newAddress && length >= 24) addresses.push(...addressOf(view, at + 16, at + length))
    at += align(length)
  }
  return { links, addresses, ...(result === undefined ? {} : { result }), ...(interrupted ? { interrupted } : {}) }
}

function attributesOf (view: DataView, from: number, to: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>()
  for (let at = from; at + 4 <= to;) {
    const length = view.getUint16(at, little)
    if (length < 4 || at + length > to) break
    found.set(view.getUint16(at + 2, little) & 0x3fff, new Uint8Array(view.buffer, view.byteOffset + at + 4, length - 4).slice())
    at += align(length)
  }
  return found
}

function linkOf (view: DataView, at: number, to: number): Link {
  const found = attributesOf(view, at + 16, to)
  const mac = found.get(attributes.address) ?? new Uint8Array()
  return {
    index: view.getInt32(at + 4, little),
    name: new TextDecoder().decode(found.get(attributes.name)).replace(/\0.*$/s, ''),
    mac,
    ethernet: view.getUint16(at + 2, little) === ethernetType && mac.length === 6,
    up: (view.getUint32(at + 8, little) & usable) === usable
  }
}

function addressOf (view: DataView, at: number, to: number): Assigned[] {
  const family = view.getUint8(at) === families[4] ? 4 : view.getUint8(at) === families[6] ? 6 : undefined
  const found = attributesOf(view, at + 8, to)
  const bytes = found.get(attributes.local) ?? found.get(attributes.address) // on a point-to-point link `address` is the other side's
  if (family === undefined || bytes === undefined || bytes.length !== (family === 4 ? 4 : 16)) return []
  const lifetimes = found.get(attributes.lifetimes)
  const valid = lifetimes === undefined || lifetimes.length < 8 ? forever : new DataView(lifetimes.buffer).getUint32(4, little)
  return [{ link: view.getUint32(at + 4, little), family, bytes, prefix: view.getUint8(at + 1), lasting: valid === forever }]
}
