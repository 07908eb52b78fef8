/** Runs the cases of an area: ours and the peer in turn, round by round; a case that breaks costs its own row. */
import { reasonOf } from '../core/errors.ts'
import type { Area, Case, Prepared } from './area.ts'
import { brokenRow, rowOf } from './figures.ts'
import type { Plan, Row, Run } from './figures.ts'

export interface RoundOptions { readonly rounds: number, readonly only: readonly string[], readonly say: (line: string) => void, readonly signal: AbortSignal }

const told = ({ value, details = {}, fault }: Run, unit: string): string => `${Number(value.toPrecision(4))} ${unit}${Object.entries(details).map(([name, value]) => `, ${name} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`).join('')}${fault === undefined ? '' : ` — ${fault}`}`

/** A B A B … : what drifts on the machine meets both. */
async function measure (name: string, { ours, peer }: Prepared, plan: Plan, { rounds, say, signal }: RoundOptions): Promise<Row> {
  const [mine, theirs]: [Run[], Run[]] = [[], []]
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    if (typeof peer !== 'number') {
      const run = await peer(round)
      theirs.push(run)
      say(`${name} ${round + 1}/${rounds} ${plan.peerName}: ${told(run, plan.unit)}`)
    }
    const run = await ours(round)
    mine.push(run)
    say(`${name} ${round + 1}/${rounds} ours: ${told(run, plan.unit)}`)
  }
  return rowOf(plan, mine, typeof peer === 'number' ? peer : theirs)
}

async function row<Place> (area: Area<Place>, one: Case<Place>, place: Place, options: RoundOptions): Promise<Row> {
  const { name, peerName, unit, better, required, conditions } = one
  const plan: Plan = { area: area.name, case: name, peerName, unit, better, required, conditions }
  try {
    const prepared = await one.prepare(place)
    try { return await measure(name, prepared, plan, options) } finally { await prepared.end() }
  } catch (error) {
    options.say(`${name}: ${reasonOf(error)}`)
    return brokenRow(plan, reasonOf(error))
  }
}

/** An area whose place is nobody else's business. */
export const opened = <Place>(area: Area<Place>) => ({ ...area, run: (options: RoundOptions): Promise<Row[]> => runArea(area, options) })

/** The rows of an area. */
export async function runArea<Place> (area: Area<Place>, options: RoundOptions): Promise<Row[]> {
  const rows: Row[] = []
  const place = await area.open(options.say)
  try {
    for (const one of area.cases) {
      if (options.signal.aborted) break
      if (options.only.length === 0 || options.only.includes(one.name)) rows.push(await row(area, one, place, options))
    }
  } finally {
    await area.close(place)
  }
  return rows
}
