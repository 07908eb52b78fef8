/** Which migrations are still to be applied, and whether a database that is ahead may be worked with. Pure. */
import { BedplateError } from '../errors.ts'
import { minorsAhead, parseVersion } from '../version.ts'

/**
 * `expand`: the version before goes on working with it (a new table, a column with a default); applied at once.
 * `contract`: takes away what the version before still uses; waits until no region runs that version any more.
 */
export type Phase = 'expand' | 'contract'
export interface Migration { readonly set: string, readonly number: number, readonly name: string, readonly checksum: string, readonly phase: Phase, readonly sql: string }
export interface Applied { readonly set: string, readonly number: number, readonly name: string, readonly checksum: string, readonly phase: Phase, readonly version: string }

/** Told by the first line: `-- contract`, and what may follow it. */
export const phaseOf = (sql: string): Phase => /^-- contract(?![\w-])/.test(sql) ? 'contract' : 'expand'

export const labelOf = ({ set, name }: { readonly set: string, readonly name: string }): string => `${set} ${name}`

/**
 * What is still to be applied by a controller of `version`. There may be gaps: a contract that waits, with later expands applied.
 * Sets that only the database knows are no fault: their plugin was removed, or runs on other regions.
 * @throws BedplateError DATABASE_NEWER when the database has migrations that this version cannot work with; MIGRATION_CHANGED when an applied file was edited or renamed
 */
export function pending (migrations: readonly Migration[], applied: readonly Applied[], version: string): Migration[] {
  const faults: string[] = []
  for (const set of new Set(migrations.map(migration => migration.set))) {
    const known = Math.max(...migrations.filter(migration => migration.set === set).map(({ number }) => number))
    for (const row of applied) {
      const fault = row.set === set && row.number > known ? aheadFault(row, version) : undefined
      if (fault !== undefined) faults.push(`${fault} (this one knows ${set} up to ${String(known).padStart(4, '0')})`)
    }
  }
  if (faults.length > 0) throw new BedplateError('DATABASE_NEWER', { version: version === '' ? 'of no version' : version, found: faults.join('; '), needed: neededVersion(migrations, applied, version) })
  return migrations.filter(migration => {
    const row = applied.find(row => row.set === migration.set && row.number === migration.number)
    if (!row) return true
    if (row.checksum !== migration.checksum) throw new BedplateError('MIGRATION_CHANGED', { migration: labelOf(migration), reason: row.name === migration.name ? 'the file was edited' : `${row.name} was applied under that number` })
    return false
  })
}

/** Why a controller of `version` cannot work with a migration it does not know; undefined when it can: one that the next minor version made so that both go on. */
function aheadFault (row: Applied, version: string): string | undefined {
  const by = row.version === '' ? '' : ` by version ${row.version}`
  if (row.phase === 'contract') return `${labelOf(row)}${by} took away what older versions use`
  const ahead = minorsAhead(version, row.version)
  return ahead !== undefined && ahead <= 1 ? undefined : `${labelOf(row)} was added${by}`
}

/** The lowest version that certainly works with this database, for the sentence: that of the newest contract, or one minor below the newest expand. */
function neededVersion (migrations: readonly Migration[], applied: readonly Applied[], version: string): string {
  const ours = (row: Applied) => migrations.some(({ set, number }) => set === row.set && number >= row.number) || !migrations.some(({ set }) => set === row.set)
  const needed = applied.filter(row => !ours(row)).flatMap(row => {
    const by = parseVersion(row.version)
    return by === undefined ? [] : [row.phase === 'contract' || by.minor === 0 ? by : { ...by, minor: by.minor - 1, patch: 0 }]
  }).sort((a, b) => a.major - b.major || a.minor - b.minor || a.patch - b.patch).at(-1)
  return needed === undefined ? `one newer than ${version === '' ? 'this' : version}` : `${needed.major}.${needed.minor}.${needed.patch}`
}
