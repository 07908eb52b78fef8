/** What an interface's addresses were over time: the kernel's own notices, as `ip -ts monitor address` prints them, and the gaps in them. */
import { createInterface } from 'node:readline'
import type { Namespace } from '../kit/network.ts'

export interface Notice { readonly at: number, readonly address: string, readonly gone: boolean } // ms since the epoch

/** Reads one line; undefined for what is not about an IPv4 address below `prefix`. */
export function noticeOf (line: string, prefix: string): Notice | undefined {
  const [, time, gone, address] = /^\[([\d\-T:.]+)\] (Deleted )?\d+: \S+ +inet ([\d.]+)\//.exec(line) ?? []
  return time === undefined || address === undefined || !address.startsWith(prefix) ? undefined : { at: Date.parse(`${time}Z`), address, gone: gone !== undefined }
}

/** Follows the interfaces of a namespace from now on; `prefix` is the segment's, so that link-local addresses do not count. */
export function follow (namespace: Namespace, prefix: string): Notice[] {
  const notices: Notice[] = []
  const child = namespace.spawn(['ip', '-ts', '-o', 'monitor', 'address'], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TZ: 'UTC' }, detached: true })
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', line => {
      const notice = noticeOf(line, prefix)
      if (notice !== undefined) notices.push(notice)
    })
  }
  return notices
}

/** The addresses held at a moment. */
export function heldAt (notices: readonly Notice[], moment: number): Set<string> {
  const held = new Set<string>()
  for (const { at, address, gone } of notices) if (at <= moment) { if (gone) held.delete(address); else held.add(address) }
  return held
}

/** The longest time in ms between two moments without an address, and every address held meanwhile. */
export function longestGap (notices: readonly Notice[], from: number, to: number): { readonly gap: number, readonly addresses: readonly string[] } {
  const held = heldAt(notices, from)
  const addresses = new Set(held)
  let gap = 0
  let since: number | undefined = held.size === 0 ? from : undefined
  for (const { at, address, gone } of notices) {
    if (at <= from || at > to) continue
    if (gone) held.delete(address)
    else { held.add(address); addresses.add(address) }
    if (held.size === 0) since ??= at
    else if (since !== undefined) { gap = Math.max(gap, at - since); since = undefined }
  }
  return { gap: since === undefined ? gap : Math.max(gap, to - since), addresses: [...addresses] }
}
