/** What the wire run found: computed from what was heard on the segment and seen on interfaces, and shown as a table. Pure. */
import type { Message } from './capture.ts'

/** One client under one fault; `--json` prints these. */
export interface Outcome {
  readonly client: string
  readonly fault: string
  /** Of a client that had its lease before the fault; undefined for firmware, which keeps none. */
  readonly continuity?: { readonly kept: boolean, readonly gapSeconds: number, readonly extensions: number }
  /** Of one that was started right after it: from its start, and from its first DISCOVER, to the ACK; null: none while it was waited for. */
  readonly newLeaseSeconds: number | null
  readonly askingSeconds: number | null
  readonly waitedSeconds: number
}

export interface Lease { readonly address: string, readonly mac: string, readonly from: number, readonly until: number }

/** What the acknowledgements on the wire gave to whom, and every address that was given while somebody else had it. */
export function leasesOf (messages: readonly Message[]): { readonly leases: ReadonlyMap<string, Lease>, readonly doubled: readonly string[] } {
  const leases = new Map<string, Lease>()
  const doubled: string[] = []
  for (const { at, type, mac, address, seconds } of [...messages].sort((a, b) => a.at - b.at)) {
    const holder = leases.get(address)
    if (type === 'ACK' && seconds > 0) {
      if (holder !== undefined && holder.mac !== mac && holder.until > at) doubled.push(`${address} was given to ${mac} while ${holder.mac} had it for ${((holder.until - at) / 1000).toFixed(1)} s more`)
      leases.set(address, { address, mac, from: holder?.mac === mac ? holder.from : at, until: Math.max(at + seconds * 1000, holder?.mac === mac ? holder.until : 0) })
    } else if ((type === 'RELEASE' || type === 'DECLINE') && holder?.mac === mac) leases.delete(address)
  }
  return { leases, doubled }
}

/** Leases that run at `now` and are not among the stored bindings. */
export const missing = (leases: Iterable<Lease>, stored: readonly { readonly address: string, readonly mac: string }[], now: number): Lease[] =>
  [...leases].filter(lease => lease.until > now && !stored.some(({ address, mac }) => address === lease.address && mac === lease.mac))

/** Why outcomes are not good enough. */
export const shortcomings = (outcomes: readonly Outcome[]): string[] => outcomes.flatMap(({ client, fault, continuity, newLeaseSeconds, waitedSeconds }) => [
  ...continuity?.kept === false ? [`${client}, ${fault}: was without its address for ${continuity.gapSeconds} s`] : [],
  ...newLeaseSeconds === null ? [`${client}, ${fault}: no lease in ${waitedSeconds} s`] : []
])

const seconds = (value: number): string => `${value.toFixed(1)} s`
function cell (outcome: Outcome | undefined): string {
  if (outcome === undefined) return ''
  const { continuity, newLeaseSeconds, askingSeconds, waitedSeconds } = outcome
  const fresh = newLeaseSeconds === null ? `none in ${waitedSeconds.toFixed(0)} s` : continuity === undefined && askingSeconds !== null ? `${seconds(askingSeconds)} (${seconds(newLeaseSeconds)})` : seconds(newLeaseSeconds)
  return continuity === undefined ? fresh : `${continuity.kept ? 'kept' : `lost, ${seconds(continuity.gapSeconds)}`} · ${fresh}`
}
const rowsOf = (outcomes: readonly Outcome[], faults: readonly { readonly name: string, readonly title: string }[]): string[][] => {
  const seen = faults.filter(({ name }) => outcomes.some(({ fault }) => fault === name))
  return [['client', ...seen.map(({ title }) => title)], ...[...new Set(outcomes.map(({ client }) => client))].map(client => [client, ...seen.map(({ name }) => cell(outcomes.find(outcome => outcome.client === client && outcome.fault === name)))])]
}

/** A table for the terminal. */
export function table (outcomes: readonly Outcome[], faults: readonly { readonly name: string, readonly title: string }[]): string {
  const rows = rowsOf(outcomes, faults)
  const widths = rows[0]?.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0))) ?? []
  return rows.map(row => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join('  ').trimEnd()).join('\n')
}

/** The same for the document. */
export function markdown (outcomes: readonly Outcome[], faults: readonly { readonly name: string, readonly title: string }[]): string {
  const [head = [], ...rows] = rowsOf(outcomes, faults)
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
