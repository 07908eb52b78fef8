/** What a bench says in the end: medians, ratios, rows, the table and the lines of JSON. Pure. */

export type Better = 'higher' | 'lower'
/** How a run went, as far as it is more than one figure. */
export interface Run { readonly value: number, readonly details?: Readonly<Record<string, string | number>>, /** Why the run does not count. */ readonly fault?: string }
export interface Row {
  readonly area: string, readonly case: string
  /** Medians over the rounds. */
  readonly ours: number, readonly peer: number, readonly peerName: string
  readonly unit: string, readonly better: Better
  /** The median of the ratios round by round; more is better, whatever the unit. */
  readonly ratio: number
  /** The least ratio allowed; null: for information. */
  readonly required: number | null
  /** One per round. */
  readonly ratios: readonly number[]
  /** What each side keeps before it answers, and what was where. */
  readonly conditions: string
  readonly details: { readonly ours: Readonly<Record<string, string | number>>, readonly peer: Readonly<Record<string, string | number>> }
  /** Why the row does not count: a loss, a duplicate address, a server that did not start. */
  readonly faults: readonly string[]
}
export interface Plan { readonly area: string, readonly case: string, readonly peerName: string, readonly unit: string, readonly better: Better, readonly required: number | null, readonly conditions: string }

/** The middle one; of an even number the mean of the two in the middle. NaN of none. */
export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[half] as number : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

/** How many times better ours is. */
export const ratioOf = (better: Better, ours: number, peer: number): number => better === 'higher' ? ours / peer : peer / ours

/** The row of a case from its rounds; where `peer` is one number it is a limit, the same in every round. */
export function rowOf (plan: Plan, ours: readonly Run[], peer: readonly Run[] | number): Row {
  const other = typeof peer === 'number' ? ours.map((): Run => ({ value: peer })) : peer
  const ratios = ours.map((run, round) => ratioOf(plan.better, run.value, other[round]?.value ?? Number.NaN))
  const middle = (runs: readonly Run[]): Run | undefined => {
    const value = median(runs.map(run => run.value))
    return [...runs].sort((a, b) => Math.abs(a.value - value) - Math.abs(b.value - value))[0]
  }
  const faults = [...ours.flatMap(({ fault }, round) => fault === undefined ? [] : [`round ${round + 1}, ours: ${fault}`]), ...other.flatMap(({ fault }, round) => fault === undefined ? [] : [`round ${round + 1}, ${plan.peerName}: ${fault}`])]
  return {
    ...plan, ours: median(ours.map(({ value }) => value)), peer: median(other.map(({ value }) => value)), ratio: median(ratios), ratios, faults,
    details: { ours: middle(ours)?.details ?? {}, peer: middle(other)?.details ?? {} }
  }
}

/** A row that could not be measured. */
export const brokenRow = (plan: Plan, reason: string): Row => ({ ...plan, ours: Number.NaN, peer: Number.NaN, ratio: Number.NaN, ratios: [], faults: [reason], details: { ours: {}, peer: {} } })

/** Whether the row falls short of what is required. A row with faults does, unless nothing is required of it. */
export const missed = ({ required, ratio, faults }: Row): boolean => required !== null && (faults.length > 0 || !(ratio >= required))

const short = (value: number): string => Number.isNaN(value) ? '-' : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
const finite = (value: number): number | null => Number.isFinite(value) ? Number(value.toPrecision(6)) : null

/** One line for programs. */
export const jsonOf = ({ area, case: name, ours, peer, peerName, unit, better, ratio, required, ratios, conditions, details, faults }: Row): string =>
  JSON.stringify({ area, case: name, ours: finite(ours), peer: finite(peer), peerName, unit, better, ratio: finite(ratio), required, ratios: ratios.map(finite), conditions, details, faults })

const cells = (row: Row): string[] => [
  row.case, short(row.ours), short(row.peer), row.peerName, row.unit, short(row.ratio), row.ratios.map(short).join(' '),
  row.required === null ? '' : `≥ ${row.required}`, row.faults.length > 0 ? 'faulty' : row.required === null ? '' : missed(row) ? 'missed' : 'kept'
]
const heads = ['case', 'ours', 'peer', 'which', 'unit', 'ratio', 'by round', 'required', '']
const detailOf = (details: Readonly<Record<string, string | number>>): string => Object.entries(details).map(([name, value]) => `${name} ${typeof value === 'number' ? short(value) : value}`).join(', ')

/** The table for people, in columns. */
export function tableOf (rows: readonly Row[]): string {
  const lines = [heads, ...rows.map(cells)]
  const widths = heads.map((_, column) => Math.max(...lines.map(line => (line[column] ?? '').length)))
  const notes = rows.flatMap(({ case: name, faults, details }) => [
    ...Object.keys(details.ours).length === 0 ? [] : [`${name}, ours: ${detailOf(details.ours)}`],
    ...Object.keys(details.peer).length === 0 ? [] : [`${name}, peer: ${detailOf(details.peer)}`],
    ...faults.map(fault => `${name}: ${fault}`)
  ])
  return [...lines.map(line => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()), ...notes].join('\n')
}

/** The same as Markdown, with what was measured under which conditions. */
export function markdownOf (rows: readonly Row[]): string {
  const line = (columns: readonly string[]) => `| ${columns.join(' | ')} |`
  return [
    line(heads), line(heads.map(() => '---')), ...rows.map(row => line(cells(row))), '',
    ...rows.flatMap(({ case: name, conditions, details, faults }) => [
      `- **${name}**: ${conditions}`,
      ...Object.keys(details.ours).length === 0 ? [] : [`  Ours: ${detailOf(details.ours)}.`],
      ...Object.keys(details.peer).length === 0 ? [] : [`  Peer: ${detailOf(details.peer)}.`],
      ...faults.map(fault => `  *${fault}*`)
    ])
  ].join('\n')
}
