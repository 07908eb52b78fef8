/** What each server says of itself, and which of several that makes the primary. Pure but for the query's text. */
import { escapeIdentifier } from 'pg'
import { nameOf } from './host.ts'
import type { Host } from './host.ts'

/** `timeline` grows by one with each promotion; `system` is the same for all copies of one database; `started` tells two addresses of one server from two servers. */
export interface Standing { readonly system: string, readonly timeline: number, readonly standby: boolean, readonly fenced: boolean, readonly started: string }

// A kept session does not hear of settings made for the database or the role later, so they are read where they are kept. A timeline has 32 bits, written in hex.
export const standingQuery = `
  select s.system_identifier::text as system, pg_is_in_recovery() as standby, pg_postmaster_start_time()::text as started,
    case when pg_is_in_recovery() then greatest(c.timeline_id, r.min_recovery_end_timeline)
         else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint end::float8 as timeline,
    current_setting('default_transaction_read_only') = 'on' or exists (
      select from pg_db_role_setting d, unnest(d.setconfig) as setting
      where d.setdatabase in (0, (select oid from pg_database where datname = current_database())) and d.setrole in (0, current_user::regrole)
        and setting ~* '^default_transaction_read_only=(on|true|yes|1)$') as fenced
  from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r`

export const accepts = ({ standby, fenced }: Standing): boolean => !standby && !fenced

/** An answer, or why there is none. */
export interface Answer { readonly host: Host, readonly standing?: Standing, readonly reason?: string }
/** What is known from before: the database we were on, and the highest timeline of it that anybody has shown (0: none yet), and who showed it. */
export interface Known { readonly system?: string, readonly timeline: number, readonly by?: string }
/** `primary` is absent when `trouble` says why. `fence`: servers that the primary replaced, and that do not know it; none without a primary. */
export interface Verdict { readonly primary?: { readonly host: Host, readonly standing: Standing }, readonly fence: readonly Host[], readonly trouble: string, readonly known: Known }

type Heard = Answer & { readonly standing: Standing }
const heard = (answer: Answer): answer is Heard => answer.standing !== undefined

/**
 * Judges all servers' answers together. Of several that accept writes the highest timeline is the primary; two that cannot be told apart are both refused. One
 * of a timeline lower than any shown before is not used, and fenced only while the one that replaced it answers: else it may be all that is left.
 * `database` is named in what there is to do.
 */
export function judge (answers: readonly Answer[], before: Known, database = 'bedplate'): Verdict {
  const all = answers.filter(heard)
  const systems = new Set(all.map(({ standing }) => standing.system))
  if (before.system === undefined && systems.size > 1) {
    return { fence: [], known: before, trouble: `the servers hold databases that are no copies of each other (${all.map(({ host, standing }) => `${nameOf(host)} has the system identifier ${standing.system}`).join(', ')}); leave only those of one in database.hosts` }
  }
  const system = before.system ?? [...systems][0]
  const ours = all.filter(({ standing }) => standing.system === system)
  const highest = ours.reduce<Known>((top, { host, standing }) => standing.timeline > top.timeline ? { timeline: standing.timeline, by: nameOf(host) } : top, before)
  const known: Known = { ...highest, ...(system === undefined ? {} : { system }) }
  const writable = ours.filter(({ standing }) => accepts(standing))
  const sure = before.system !== undefined || writable.length > 0 ? known : before // what only standbys say is no reason to hold to it
  const newest = writable.filter(({ standing }) => standing.timeline === known.timeline)
  const [first] = newest
  const servers = new Set(newest.map(({ standing }) => standing.started)) // one server may be named twice
  if (first && servers.size === 1) {
    const replaced = writable.filter(({ standing }) => standing.timeline < known.timeline)
    return { primary: { host: first.host, standing: first.standing }, fence: replaced.map(({ host }) => host), trouble: '', known: sure }
  }
  if (first) return { fence: [], known: sure, trouble: `${newest.map(({ host }) => nameOf(host)).join(' and ')} both accept writes on timeline ${known.timeline}: two servers were promoted, or one is a clone. Stop the one that is not to be the primary` }
  return { fence: [], known: sure, trouble: answers.map(answer => `${nameOf(answer.host)}: ${sentence(answer, known, database)}`).join('; ') }
}

function sentence ({ standing, reason = 'no answer yet' }: Answer, { system, timeline, by = 'a server' }: Known, database: string): string {
  const unfence = `run "alter database ${escapeIdentifier(database)} reset default_transaction_read_only" there, in the database postgres`
  if (!standing) return reason
  if (standing.system !== system) return `it holds another database (its system identifier is ${standing.system}, ours is ${system}); take it out of database.hosts`
  if (standing.standby) return 'it is a standby and read-only'
  if (standing.timeline < timeline) return `it was replaced: it is on timeline ${standing.timeline}, ${by} has shown timeline ${timeline}. Make it a standby of the new primary. Only if all that had timeline ${timeline} is lost for good: stop all regions${standing.fenced ? `, ${unfence}` : ''}, start them`
  return `it is read-only (default_transaction_read_only). If it is to be the primary: ${unfence}`
}
