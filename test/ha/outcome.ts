/** What a fault cost: computed from what the client and the racks saw, and shown as a table. Pure. */
import type { Read, Write } from './client.ts'

/** One object per fault; `--json` prints these. Seconds. */
export interface Outcome {
  readonly fault: string
  readonly detectSeconds: number
  readonly recoverSeconds: number
  readonly readsFailedSeconds: number
  readonly requestsFailed: number
  readonly lostWrites: number
  readonly lostFacts: number
  readonly doubledFacts: number
}

/** How long reads failed, in ms: from the start of each first failure to the start of the next success. Reads are in order of their start. */
export function readsFailed (reads: readonly Pick<Read, 'at' | 'ok'>[], end: number): number {
  let total = 0
  let since: number | undefined
  for (const { at, ok } of [...reads].sort((a, b) => a.at - b.at)) {
    if (!ok) since ??= at
    else if (since !== undefined) { total += at - since; since = undefined }
  }
  return since === undefined ? total : total + end - since
}

/** Attempts the client saw fail: reads, and attempts of writes. */
export const requestsFailed = (reads: readonly Read[], writes: readonly Write[]): number =>
  reads.filter(({ ok }) => !ok).length + writes.reduce((sum, { failures }) => sum + failures.length, 0)

/** What one rack's disk says it was promised, by life. */
export interface Promised { readonly rack: string, readonly life: string, readonly last: number }
export interface Stored { readonly rack: string, readonly life: string, readonly stored: number, readonly different: number, readonly last: number, readonly ordered: boolean }

/** Facts that were reported and are not stored; facts stored more than once or out of order. Numbers of a life count from 1. */
export function compareFacts (promised: readonly Promised[], stored: readonly Stored[]): { readonly lost: number, readonly doubled: number } {
  let lost = 0
  for (const { rack, life, last } of promised) {
    const row = stored.find(one => one.rack === rack && one.life === life)
    // one more than the ledger knows may be stored: the process was killed between report() and its line
    const gaps = row === undefined ? 0 : row.last - row.different
    lost += row === undefined ? last : Math.max(0, last - row.last) + gaps
  }
  const doubled = stored.reduce((sum, { stored: all, different, ordered }) => sum + all - different + (all === different && !ordered ? 1 : 0), 0)
  return { lost, doubled }
}

/** Why an outcome is not good enough; none when it is. */
export function shortcomings (outcome: Outcome, limit = 3): string[] {
  const { fault, readsFailedSeconds, lostWrites, lostFacts, doubledFacts, detectSeconds, recoverSeconds } = outcome
  return [
    ...readsFailedSeconds > limit ? [`${fault}: reads failed for ${readsFailedSeconds} s (at most ${limit})`] : [],
    ...lostWrites > 0 ? [`${fault}: ${lostWrites} acknowledged writes are gone`] : [],
    ...lostFacts > 0 ? [`${fault}: ${lostFacts} facts are gone`] : [],
    ...doubledFacts > 0 ? [`${fault}: ${doubledFacts} facts are stored twice or out of order`] : [],
    ...Number.isFinite(detectSeconds) ? [] : [`${fault}: nobody noticed`],
    ...Number.isFinite(recoverSeconds) ? [] : [`${fault}: it did not recover by itself`]
  ]
}

const columns: readonly (readonly [title: string, of: (outcome: Outcome) => string])[] = [
  ['fault', ({ fault }) => fault],
  ['noticed', ({ detectSeconds }) => seconds(detectSeconds)],
  ['recovered', ({ recoverSeconds }) => seconds(recoverSeconds)],
  ['reads failed', ({ readsFailedSeconds }) => seconds(readsFailedSeconds)],
  ['requests failed', ({ requestsFailed: count }) => String(count)],
  ['writes lost', ({ lostWrites }) => String(lostWrites)],
  ['facts lost', ({ lostFacts }) => String(lostFacts)],
  ['facts doubled', ({ doubledFacts }) => String(doubledFacts)]
]
const seconds = (value: number): string => Number.isFinite(value) ? `${value.toFixed(1)} s` : 'never'

/** A table for the terminal. */
export function table (outcomes: readonly Outcome[]): string {
  const rows = [columns.map(([title]) => title), ...outcomes.map(outcome => columns.map(([, of]) => of(outcome)))]
  const widths = columns.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  return rows.map(row => row.map((cell, index) => index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)).join('  ')).join('\n')
}

/** The same for docs/availability.md. */
export const markdown = (outcomes: readonly Outcome[]): string => [
  `| ${columns.map(([title]) => title).join(' | ')} |`,
  `| --- |${columns.slice(1).map(() => ' ---: |').join('')}`,
  ...outcomes.map(outcome => `| ${columns.map(([, of]) => of(outcome)).join(' | ')} |`)
].join('\n')
