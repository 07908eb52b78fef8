/** What the survival run found, as a table. Pure. */

/** One deployment: a kill point and a fault, or `none` for an undisturbed one. Times in seconds. */
export interface Outcome {
  readonly point: string
  readonly fault: string
  readonly root: string
  readonly firmware: string
  /** It ended Deployed, could be logged in to, and nobody touched it. */
  readonly kept: boolean
  /** What became of it instead. */
  readonly why?: string
  /** Which rack was taken away. */
  readonly rack?: string
  /** From the order to deploy to the fault. */
  readonly reached?: number
  /** From the fault to the first content the machine got after it; null: none. */
  readonly progress?: number | null
  /** From the order to deploy to Deployed. */
  readonly whole?: number
  /** How often the machine started over, but for the one start of what was installed. */
  readonly restarts: number
  readonly at: string // ISO
}

export const undisturbed = 'none'
interface Named { readonly name: string, readonly title: string }

/** The newest outcome of each cell. */
export const newest = (outcomes: readonly Outcome[]): Outcome[] =>
  [...new Map(outcomes.map(outcome => [`${outcome.point}/${outcome.fault}/${outcome.root}/${outcome.firmware}`, outcome])).values()]

export function cell (outcome: Outcome | undefined): string {
  if (outcome === undefined) return ''
  const { kept, why, progress, whole, restarts } = outcome
  const on = progress === undefined || progress === null ? '' : ` · ${progress.toFixed(1)} s`
  const again = restarts === 0 ? '' : ` · started over ${restarts === 1 ? 'once' : `${restarts} times`}`
  if (!kept) return `**stranded**${on}${again}: ${why ?? 'no reason known'}`
  return `kept${on}${whole === undefined ? '' : ` · ${whole.toFixed(0)} s`}${again}`
}

function rowsOf (all: readonly Outcome[], points: readonly Named[], faults: readonly Named[]): string[][] {
  const outcomes = newest(all)
  return [['', ...faults.map(({ title }) => title)], ...points.map(({ name, title }) =>
    [title, ...faults.map(fault => cell(outcomes.find(outcome => outcome.point === name && outcome.fault === fault.name)))])]
}

/** A table for the terminal. */
export function table (outcomes: readonly Outcome[], points: readonly Named[], faults: readonly Named[]): string {
  const rows = rowsOf(outcomes, points, faults)
  const widths = rows[0]?.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0))) ?? []
  return rows.map(row => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join('  ').trimEnd()).join('\n')
}

/** The same for the document. */
export function markdown (outcomes: readonly Outcome[], points: readonly Named[], faults: readonly Named[]): string {
  const [head = [], ...rows] = rowsOf(outcomes, points, faults)
  const line = (cells: readonly string[]): string => `| ${cells.map(text => text.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
