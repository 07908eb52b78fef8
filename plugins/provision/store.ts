/** provision's rows: one session per machine. */
import type { Query, Tx } from '../../core/plugin.ts'

export type SessionPurpose = 'commission' | 'deploy' | 'release'
export interface Session { readonly machine: string, readonly token: string, readonly purpose: SessionPurpose, readonly image: string | null }

const columns = 'machine, token, purpose, image'
export async function sessionOf (q: Query, machine: string): Promise<Session | undefined> {
  return (await q.query<Session>(`select ${columns} from provision.session where machine = $1`, [machine]))[0]
}
/** The sessions with one of the tokens; all of them when no tokens are named. */
export const sessionsByToken = async (q: Query, tokens?: readonly string[]): Promise<Session[]> => await q.query<Session>(`select ${columns} from provision.session where $1::text[] is null or token = any($1)`, [tokens ?? null])
export const sessionsOf = async (q: Query, machines: readonly string[]): Promise<Session[]> => await q.query<Session>(`select ${columns} from provision.session where machine = any($1)`, [machines])

/** True the first time that a report of the session with this name is heard. */
export const firstHeard = async (tx: Tx, token: string, id: string): Promise<boolean> =>
  (await tx.query('insert into provision.heard (token, id) values ($1, $2) on conflict do nothing returning 1', [token, id])).length > 0

/** Replaces the machine's session; the token it had is worth nothing from now on. */
export async function putSession (tx: Tx, session: Session): Promise<void> {
  await removeSession(tx, session.machine)
  await tx.query('insert into provision.session (machine, token, purpose, image) values ($1, $2, $3, $4)', [session.machine, session.token, session.purpose, session.image])
  await announce(tx, session)
}

export async function removeSession (tx: Tx, machine: string): Promise<void> {
  for (const session of await tx.query<Session>(`delete from provision.session where machine = $1 returning ${columns}`, [machine])) await announce(tx, session)
}

/** By machine for who asks what it boots, by token for the entry on the racks: after a removal nothing else knows the token. */
async function announce (tx: Tx, { machine, token }: Session): Promise<void> {
  await tx.changed('provision.session', machine)
  await tx.changed('provision.token', token)
}
