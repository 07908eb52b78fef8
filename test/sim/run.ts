/** Many schedules, several worlds at a time (each is alone with its own time, so that none sees another), and what came of them. */
import { performance } from 'node:perf_hooks'

export interface Outcome { readonly seed: number, readonly violation: string | undefined, readonly hash: string, readonly lines: readonly string[], readonly facts: Readonly<Record<string, number>> }
export interface Summary { readonly schedules: number, readonly seconds: number, readonly failures: readonly Outcome[], readonly facts: Readonly<Record<string, number>>, readonly hash: string }

const abreast = 32
const enough = 5 // failures, of which one is read anyway

/** Runs the seeds `first`, `first + 1`, …; stops early after a few failures. */
export async function runMany (schedule: (seed: number) => Promise<Outcome>, first: number, count: number): Promise<Summary> {
  const begun = performance.now()
  const failures: Outcome[] = []
  const facts: Record<string, number> = {}
  let next = 0
  let done = 0
  let hash = 0
  const worker = async (): Promise<void> => {
    while (next < count && failures.length < enough) {
      const outcome = await schedule(first + next++)
      done++
      if (outcome.violation !== undefined) failures.push(outcome)
      for (const [name, n] of Object.entries(outcome.facts)) facts[name] = (facts[name] ?? 0) + n
      hash = (hash + Number.parseInt(outcome.hash, 16) * (outcome.seed | 1)) % 0x1fffffffffff // whatever order they end in
    }
  }
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0 // every abort makes an error, and where it came from costs more than all the rest
  try { await Promise.all(Array.from({ length: abreast }, worker)) } finally { Error.stackTraceLimit = stackTraceLimit }
  return { schedules: done, seconds: (performance.now() - begun) / 1000, failures: failures.sort((a, b) => a.seed - b.seed), facts, hash: hash.toString(16) }
}
