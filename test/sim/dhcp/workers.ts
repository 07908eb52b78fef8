/** Many schedules on several processes, and what came of them together. */
import { fork } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import type { Outcome, Summary } from '../run.ts'
import { mutants } from './mutants.ts'
import type { Mutant } from './mutants.ts'

const program = fileURLToPath(new URL('./worker.ts', import.meta.url))
const share = 1_000 // schedules one process runs at a time, so that slow ones hold nobody up

/** Runs one worker; every summary it sends is handed on. Resolves with what it wrote to stderr when it failed. */
function work (args: readonly string[], heard: (summary: Summary) => void): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = fork(program, [...args], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], execArgv: ['--max-semi-space-size=32'] })
    let wrong = ''
    child.stderr?.on('data', (text: Buffer) => { wrong += text.toString() })
    child.on('message', message => { heard(message as Summary) })
    child.on('close', code => { resolve(code === 0 ? undefined : wrong.slice(-2_000) || `ended with ${code}`) })
  })
}

export interface Report extends Summary { readonly broken: string | undefined }

/** @param jobs processes at once. Stops after a few failures. */
export async function runAll (first: number, count: number, jobs: number, progress: (done: number, failures: number) => void): Promise<Report> {
  const begun = performance.now()
  const failures: Outcome[] = []
  const facts: Record<string, number> = {}
  let next = first
  let done = 0
  let hash = 0
  let broken: string | undefined
  await Promise.all(Array.from({ length: jobs }, async () => {
    while (next < first + count && failures.length < 5 && broken === undefined) {
      const from = next
      const many = Math.min(share, first + count - from)
      next += many
      broken ??= await work(['--first', String(from), '--count', String(many)], summary => {
        done += summary.schedules
        failures.push(...summary.failures)
        for (const [name, n] of Object.entries(summary.facts)) facts[name] = (facts[name] ?? 0) + n
        hash = (hash + Number.parseInt(summary.hash, 16)) % 0x1fffffffffff
        progress(done, failures.length)
      })
    }
  }))
  return { schedules: done, seconds: (performance.now() - begun) / 1000, failures: failures.sort((a, b) => a.seed - b.seed), facts, hash: hash.toString(16), broken }
}

export interface Catch { readonly mutant: Mutant, readonly schedules: number, readonly caught: boolean, readonly violation: string | undefined, readonly seed: number | undefined, readonly broken: string | undefined }

/** Runs every mutant (or those named) until it is caught, at most `most` schedules each. */
export async function runMutants (most: number, jobs: number, first: number, told: (result: Catch) => void, only?: string): Promise<Catch[]> {
  const left = mutants.filter(({ name }) => only === undefined || name.includes(only))
  const results: Catch[] = []
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      let schedules = 0
      let failure: Outcome | undefined
      const broken = await work(['--first', String(first), '--count', String(most), '--mutant', mutant.name], summary => {
        failure ??= summary.failures[0]
        schedules += failure === undefined ? summary.schedules : failure.seed - first + 1 - schedules
      })
      const result: Catch = { mutant, schedules, caught: failure !== undefined, violation: failure?.violation, seed: failure?.seed, broken }
      results.push(result)
      told(result)
    }
  }))
  return mutants.flatMap(({ name }) => results.filter(({ mutant }) => mutant.name === name))
}
