/** What commands print: aligned tables for people, JSON or YAML for programs. */
import type { Writable } from 'node:stream'
import { stringify } from 'yaml'

export type Format = 'table' | 'json' | 'yaml'
export const formats: readonly Format[] = ['table', 'json', 'yaml']
/** A heading and the cell under it; null, undefined and '' are shown as a dash. */
export type Column<T> = readonly [heading: string, cell: (row: T) => unknown]

/** A table below another, under its own heading; left out when it has no rows. */
export interface Part { readonly title: string, readonly rows: readonly (readonly unknown[])[] }

export interface Output {
  /** A list: the columns as a table, or the items as they are. `none` is said, on standard error, when there are none. */
  rows<T>(items: readonly T[], columns: readonly Column<T>[], none: string): void
  /** One thing: its fields as a table, with further tables below for people, or itself. */
  item<T>(item: T, fields: readonly Column<T>[], parts?: readonly Part[]): void
  /** A result for people alone, on standard output; programs get `value`. */
  done(sentence: string, value: unknown): void
  /** A file's text, made by us, as it is; programs get `value`. */
  text(text: string, value: unknown): void
  /** What happens meanwhile, on standard error. */
  note(line: string): void
  /** A line that replaces the one before it on a terminal; elsewhere only the `last` one is written. */
  progress(line: string, last: boolean): void
}

export function createOutput (format: Format, stdout: Writable, stderr: Writable): Output {
  const terminal = 'isTTY' in stderr && stderr.isTTY === true
  const value = (thing: unknown) => { stdout.write(format === 'json' ? `${JSON.stringify(thing, null, 2)}\n` : stringify(thing)) }
  const note = (line: string) => { stderr.write(`${line}\n`) }
  return {
    rows (items, columns, none) {
      if (format !== 'table') return value(items)
      if (items.length === 0) return note(none)
      stdout.write(table([columns.map(([heading]) => heading), ...items.map(item => columns.map(([, cell]) => shown(cell(item))))]))
    },
    item (item, fields, parts = []) {
      if (format !== 'table') return value(item)
      stdout.write(table(fields.map(([heading, cell]) => [`${heading}:`, shown(cell(item))])))
      for (const { title, rows } of parts) if (rows.length > 0) stdout.write(`\n${shown(title)}\n${table(rows.map(row => ['', ...row.map(shown)]))}`)
    },
    done (sentence, thing) {
      if (format === 'table') stdout.write(`${shown(sentence)}\n`)
      else value(thing)
    },
    text (text, thing) {
      if (format === 'table') stdout.write(text)
      else value(thing)
    },
    note: line => note(shown(line)),
    progress (line, last) {
      if (terminal) stderr.write(`\r\u001b[2K${shown(line)}${last ? '\n' : ''}`)
      else if (last) note(shown(line))
    }
  }
}

/** Columns as wide as their widest cell, two spaces apart, nothing behind the last. */
export function table (rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows.map(row => `${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ').trimEnd()}\n`).join('')
}

/** One line of text that does nothing to a terminal: what machines report of themselves is shown here too. */
const shown = (cell: unknown): string => {
  if (cell === null || cell === undefined || cell === '') return '-'
  const text = Array.isArray(cell) ? cell.join(', ') || '-' : typeof cell === 'object' ? JSON.stringify(cell) : String(cell)
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?')
}

/** `1.5 GiB` of a number of bytes. */
export function bytes (count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10))
  return `${power === 0 ? count : (count / 2 ** (10 * power)).toFixed(1)} ${units[power]}`
}

/** `2 h ago`, `in 12 min` of a moment (ISO 8601), to the unit that matters. */
export function ago (moment: string, now = Date.now()): string {
  const ms = Date.parse(moment) - now
  if (Number.isNaN(ms)) return moment
  const seconds = Math.round(Math.abs(ms) / 1000)
  const [count, unit] = seconds < 100 ? [seconds, 's'] : seconds < 6000 ? [Math.round(seconds / 60), 'min'] : seconds < 172_800 ? [Math.round(seconds / 3600), 'h'] : [Math.round(seconds / 86_400), 'days']
  return ms > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`
}

/** `3 min 20 s` of milliseconds. */
export const duration = (ms: number): string => ms < 60_000 ? `${Math.floor(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min ${Math.floor(ms / 1000) % 60} s`
