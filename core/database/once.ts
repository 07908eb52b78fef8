/** A transaction of one statement: the text that writes its row of the change log along with its work. */
import { BedplateError } from '../errors.ts'
import type { Once } from './database.ts'
import { perRow } from './transaction.ts'

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** What changed is written as transaction.ts does it: one row of the log, the ids one a line. An id of two lines makes it null, which the table refuses: see `refused`. */
export const withLog = ({ work, topic, changed, rows }: Omit<Once, 'values'>): string => `
  with ${work},
  noted as (
    insert into core.change (topic, id)
    select ${literal(topic)}, case when bool_and(id is not null and strpos(id, e'\\n') = 0) then string_agg(id, e'\\n') end
    from (select id, (row_number() over () - 1) / ${perRow} as part from (${changed}) as changed (id)) as changed group by part)
  ${rows}`

interface Violation { readonly code?: unknown, readonly schema?: unknown, readonly table?: unknown, readonly column?: unknown }

/** The error of such a statement in our own words, where PostgreSQL's would not tell what is wrong. */
export function refused (error: unknown): unknown {
  const { code, schema, table, column } = (error ?? {}) as Violation
  if (code !== '23502' || schema !== 'core' || table !== 'change' || column !== 'id') return error
  return new BedplateError('TRANSACTION_ABORTED', { reason: 'what changed is named on one line, and one of its names is not, or is null' }, error)
}
