/** Addresses that are put on interfaces and taken off again: what they are, and the interfaces they may be on. Pure. */
import { isIP } from 'node:net'

export type Family = 4 | 6
/** `prefix` only says in which network it belongs; on the interface it stands alone, as /32 or /128. */
export interface FloatingAddress { readonly text: string, readonly family: Family, readonly bytes: Uint8Array, readonly prefix: number }
export interface Link { readonly index: number, readonly name: string, readonly mac: Uint8Array, readonly ethernet: boolean, readonly up: boolean } // up: and with a carrier
/** An address as the system has it. `lasting`: it has no lifetime. */
export interface Assigned { readonly link: number, readonly family: Family, readonly bytes: Uint8Array, readonly prefix: number, readonly lasting: boolean }
export interface Placement { readonly address: FloatingAddress, readonly link: Link }

/** The bytes of an address in text form; undefined for anything else, also for one with a zone. */
export function bytesOf (text: string): Uint8Array | undefined {
  const family = isIP(text)
  if (family === 4) return Uint8Array.from(text.split('.').map(Number))
  if (family !== 6 || text.includes('%')) return undefined
  const dotted = /[\d.]*\.[\d.]*$/.exec(text)?.[0]
  const [a = 0, b = 0, c = 0, d = 0] = dotted?.split('.').map(Number) ?? []
  const plain = dotted === undefined ? text : `${text.slice(0, -dotted.length)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`
  const [left = [], right] = plain.split('::').map(half => half === '' ? [] : half.split(':').map(group => Number.parseInt(group, 16)))
  const groups = right === undefined ? left : [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
  return Uint8Array.from(groups.flatMap(group => [group >> 8, group & 0xff]))
}

/** True when the first `prefix` bits of both are the same. */
export function sameNetwork (one: Uint8Array, other: Uint8Array, prefix: number): boolean {
  const mask = (index: number): number => 0xff00 >> Math.max(0, Math.min(8, prefix - index * 8)) & 0xff
  return one.length === other.length && one.every((byte, index) => ((byte ^ (other[index] ?? 0)) & mask(index)) === 0)
}

/**
 * Whole seconds an address may be given now, so that the kernel takes it off no later than the moment its holder may be trusted to have it (both monotonic ms); 0: not even
 * one. The kernel may be late by a quarter of a second (its timers are rounded); the margin of that moment covers it.
 */
export const lifetime = (now: number, trustedUntil: number): number => Math.max(0, Math.floor((trustedUntil - now) / 1000))
