/** `npm run sim -- dhcp`: schedules by the thousand, one with its story, or the mutants. */
import { availableParallelism } from 'node:os'
import { mutants } from './mutants.ts'
import { dhcp } from './dhcp.ts'
import { runAll, runMutants } from './workers.ts'

export interface DhcpOptions { readonly seed?: number | undefined, readonly first: number, readonly seeds: number, readonly json: boolean, readonly mutants: boolean, readonly only?: string | undefined, readonly jobs?: number | undefined }

const say = (line: string): void => { process.stdout.write(`${line}\n`) }
const tell = (line: string): void => { process.stderr.write(`${line}\n`) }

/** Gives the exit code. */
export async function dhcpCommand (o: DhcpOptions): Promise<number> {
  if (o.mutants) return hunt(o)
  if (o.seed !== undefined) {
    const { violation, lines, hash, facts } = await dhcp(o.seed, { verbose: true })
    if (o.json) say(JSON.stringify({ kind: 'dhcp', seed: o.seed, violation: violation ?? null, hash, facts }))
    else for (const line of lines) say(line)
    return violation === undefined ? 0 : 1
  }
  const jobs = o.jobs ?? Math.max(1, Math.min(4, availableParallelism() - 1))
  let last = 0
  const report = await runAll(o.first, o.seeds, jobs, (done, failures) => {
    if (done - last < Math.max(500, o.seeds / 20)) return
    last = done
    tell(`${done} of ${o.seeds} schedules, ${failures} failed`)
  })
  const { schedules, seconds, failures, facts, hash, broken } = report
  const again = failures[0] === undefined ? undefined : `npm run sim -- dhcp --seed ${failures[0].seed}`
  if (o.json) {
    say(JSON.stringify({ kind: 'dhcp', first: o.first, schedules, seconds: Number(seconds.toFixed(1)), hash, facts, failures: failures.map(({ seed, violation }) => ({ seed, violation })), ...(again === undefined ? {} : { command: again }), ...(broken === undefined ? {} : { broken }) }))
  } else {
    for (const [name, n] of Object.entries(facts)) say(`${name.padEnd(40)} ${n}`)
    for (const { seed, violation } of failures) say(`seed ${seed}: ${violation}`)
    if (again !== undefined) say(`again: ${again}`)
    if (broken !== undefined) say(broken)
    say(`dhcp: ${schedules} schedules in ${seconds.toFixed(1)} s, ${failures.length} failed; hash ${hash}`)
  }
  return failures.length === 0 && broken === undefined ? 0 : 1
}

async function hunt ({ seeds, first, json, only, jobs = 1 }: DhcpOptions): Promise<number> {
  const results = await runMutants(seeds, jobs, first, ({ mutant, caught, schedules, broken }) => { tell(`${mutant.name}: ${broken !== undefined ? 'did not run' : caught ? `caught after ${schedules}` : `not caught in ${schedules}`}`) }, only)
  const missed = results.filter(({ caught }) => !caught)
  if (json) say(JSON.stringify({ kind: 'dhcp mutants', mutants: results.map(({ mutant, schedules, caught, violation, seed, broken }) => ({ name: mutant.name, file: mutant.file, caught, schedules, seed: seed ?? null, violation: violation ?? null, ...(broken === undefined ? {} : { broken }) })), missed: missed.length }))
  else {
    for (const { mutant, schedules, caught, violation, broken } of results) say(`${mutant.name.padEnd(60)} ${caught ? `caught after ${String(schedules).padStart(6)}: ${violation}` : broken ?? `NOT CAUGHT in ${schedules}`}`)
    say(`${results.length - missed.length} of ${results.length} mutants caught`)
  }
  if (only === undefined && mutants.length < 15) tell(`only ${mutants.length} mutants`)
  return missed.length === 0 ? 0 : 1
}
