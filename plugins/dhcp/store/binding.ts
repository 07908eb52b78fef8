/** SQL of bindings: who may have an address, decided by one statement, and a client's last word about it. */
import type { Database, Query, Tx } from '../../../core/plugin.ts'
import { restSeconds } from '../referee.ts'
import type { BindAnswer, Ended, StoredBinding, WishedBinding } from '../referee.ts'
import { arrayText } from './array.ts'
import { beginRetirement } from './retirement.ts'

/** Nobody has a claim on it, and no rack may still act for whoever had. `a` is dhcp.address. */
export const free = `(a.reserve_of is null and a.rack is null and a.waits_for = '{}' and (a.retiring is not null and a.expires + interval '${restSeconds} seconds' <= now() or a.quarantined_until <= now()))`
/** What a row is set to when it changes hands. */
export const nobody = 'mac = null, client_id = null, hostname = null, bound_at = null, expires = null, quarantined_until = null, retiring = null, waits_for = \'{}\''
const columns = 'host(address) as address, subnet_id as subnet, mac as client, client_id as "clientId", expires, number, retiring'
/** A column as milliseconds since the epoch. */
const instant = (column: string): string => `floor(extract(epoch from ${column}) * 1000)::bigint`

/** The rows of `columns` from this statement as one value: of many small rows the client library makes objects five times as fast out of JSON. */
const packed = (columns: string, statement: string): string => `select coalesce(json_agg(json_build_array(${columns})), '[]') as rows from (${statement}) r`
type Packed = readonly { readonly rows: readonly (readonly unknown[])[] }[]

interface Stored { readonly client: string, readonly expires: Date, readonly number: string }
/** Rows are locked in address order; of two wishes for one address in a batch the first counts. */
const storing = `stored as (
    insert into dhcp.address as a (address, subnet_id, mac, client_id, hostname, bound_at, expires)
    select distinct on (w.address) w.address, w.subnet_id, w.mac, w.client_id, w.hostname, now(), now() + w.seconds * interval '1 second'
    from unnest($2::inet[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[]) with ordinality as w (address, subnet_id, mac, client_id, hostname, seconds, place)
    order by w.address, w.place
    on conflict (address) do update set
      subnet_id = excluded.subnet_id, mac = excluded.mac, client_id = excluded.client_id, hostname = excluded.hostname, bound_at = excluded.bound_at,
      expires = case when a.mac = excluded.mac then greatest(a.expires, excluded.expires) else excluded.expires end, -- a wish may be carried out after a later one
      since = case when a.mac = excluded.mac and a.expires >= now() then a.since else excluded.bound_at end,
      rack = null, granted_at = null, quarantined_until = null, retiring = null, waits_for = '{}', number = nextval('dhcp.number')
    where (a.mac = excluded.mac and a.subnet_id = excluded.subnet_id and a.reserve_of is null) or a.rack = $1 or ${free}
    returning address, mac, expires, number)`
const stored = packed(`host(address), mac, ${instant('expires')}, number::text`, 'select * from stored')
const values = (rack: string, wishes: readonly WishedBinding[]): unknown[] =>
  [rack, ...[wishes.map(({ address }) => address), wishes.map(({ subnet }) => subnet), wishes.map(({ client }) => client), wishes.map(({ clientId }) => clientId), wishes.map(({ hostname }) => hostname), wishes.map(({ seconds }) => seconds)].map(arrayText)]

function storedOf ([row]: Packed): Map<string, Stored> {
  const found = new Map<string, Stored>()
  for (const [address, client, expires, number] of (row?.rows ?? []) as readonly [string, string, number, string][]) found.set(address, { client, expires: new Date(expires), number })
  return found
}
const answerOf = (stored: ReadonlyMap<string, Stored>, { address, client }: WishedBinding): BindAnswer | undefined => {
  const row = stored.get(address)
  return row?.client === client ? { stored: true, expires: row.expires, number: row.number } : undefined
}

const store = async (q: Query, rack: string, wishes: readonly WishedBinding[]): Promise<Map<string, Stored>> => storedOf(await q.query(`with ${storing} ${stored}`, values(rack, wishes)))

/** See Referee.bindAtOnce. */
export async function bindAtOnce (db: Database, rack: string, wishes: readonly WishedBinding[]): Promise<(BindAnswer | undefined)[]> {
  const found = storedOf(await db.once({ work: storing, topic: 'dhcp.binding', changed: 'select host(address) from stored', rows: stored, values: values(rack, wishes) }))
  return wishes.map(wish => answerOf(found, wish))
}

/**
 * Stores bindings for a rack, each or not: see Referee.bind. One statement, unless some are refused: then a second one begins to retire the lapsed rows that are in the
 * way, and what no rack was told of is stored in the same step.
 */
export async function bind (tx: Tx, rack: string, wishes: readonly WishedBinding[]): Promise<BindAnswer[]> {
  const stored = await store(tx, rack, wishes)
  const answers = wishes.map(wish => answerOf(stored, wish))
  const refused = wishes.filter((_, index) => answers[index] === undefined)
  if (refused.length === 0) return answers.flatMap(one => one === undefined ? [] : [one])
  const begun = await beginRetirement(tx, refused.map(({ address }) => address).filter(address => !stored.has(address)), true)
  const open = new Set(begun.flatMap(({ address, free }) => free ? [address] : []))
  if (open.size > 0) for (const [address, row] of await store(tx, rack, refused.filter(({ address }) => open.has(address)))) stored.set(address, row)
  const reserved = new Set((await tx.query<{ address: string }>('select host(address) as address from dhcp.address where address = any($1::inet[]) and reserve_of is not null', [refused.map(({ address }) => address)])).map(({ address }) => address))
  const retiring = new Set(begun.map(({ address }) => address))
  return wishes.map((wish, index) => answers[index] ?? answerOf(stored, wish) ?? { stored: false, reason: 'this address belongs to somebody else', quiet: reserved.has(wish.address), retiring: retiring.has(wish.address) })
}

const meant = 'a.address = e.address and a.mac = e.client and a.reserve_of is null and (e.number is null or a.number = e.number)'
const words = (ended: readonly Ended[]): unknown[] => [ended.map(({ address }) => address), ended.map(({ client }) => client), ended.map(({ number }) => number)]

/** Ends bindings at the word of their clients. One made since the one they name stands. Gives the addresses concerned. */
export const release = async (tx: Tx, ended: readonly Ended[]): Promise<string[]> =>
  (await tx.query<{ address: string }>(`
    update dhcp.address a set expires = least(a.expires, now()) from unnest($1::inet[], $2::text[], $3::bigint[]) as e (address, client, number)
    where ${meant} returning host(a.address) as address`, words(ended))).map(({ address }) => address)

/** Keeps addresses their clients found in use from everybody; racks that may still act for the client are waited for as well. Gives the addresses concerned. */
export async function quarantine (tx: Tx, ended: readonly Ended[], seconds: number): Promise<string[]> {
  await tx.query(`select pg_advisory_xact_lock_shared(hashtext('dhcp.told'))`)
  return (await tx.query<{ address: string }>(`
    update dhcp.address a set quarantined_until = now() + $4 * interval '1 second', mac = null, client_id = null, hostname = null, bound_at = null, expires = null,
      retiring = nextval('dhcp.number'), waits_for = array(select t.rack from dhcp.told t where t.subnet_id = a.subnet_id order by t.rack)
    from unnest($1::inet[], $2::text[], $3::bigint[]) as e (address, client, number)
    where ${meant} returning host(a.address) as address`, [...words(ended), seconds])).map(({ address }) => address)
}

/** Bindings of these subnets, or of these addresses alone: lapsed and retiring ones included, none in a reserve. */
export async function bindingsOf (q: Query, subnets: readonly string[], addresses?: readonly string[]): Promise<StoredBinding[]> {
  if (addresses === undefined) return q.query(`select ${columns} from dhcp.address where mac is not null and reserve_of is null and subnet_id = any($1)`, [subnets])
  // A statement of its own, by the key alone: PostgreSQL would rather read a whole subnet for a single address.
  const [row] = await q.query<Packed[number]>(packed(`host(address), subnet_id, mac, client_id, ${instant('expires')}, number::text, retiring::text`, `
    select a.* from unnest($2::inet[]) as w (wanted) cross join lateral (select * from dhcp.address where address = wanted limit 1) a
    where mac is not null and reserve_of is null and subnet_id = any($1)`), [subnets, arrayText(addresses)])
  return ((row?.rows ?? []) as readonly [string, string, string, string | null, number, string, string | null][])
    .map(([address, subnet, client, clientId, expires, number, retiring]) => ({ address, subnet, client, clientId, expires: new Date(expires), number, retiring }))
}

export interface BindingFilter { readonly subnet?: string | undefined, readonly mac?: string | undefined, readonly address?: string | undefined, readonly limit: number, readonly after?: string | undefined }

export interface ListedBinding extends StoredBinding { readonly hostname: string | null, readonly boundAt: Date }
/** A page of the bindings in force, by address. */
export const listBindings = (q: Query, { subnet, mac, address, limit, after }: BindingFilter): Promise<ListedBinding[]> =>
  q.query(`
    select ${columns}, hostname, bound_at as "boundAt" from dhcp.address
    where mac is not null and retiring is null and expires > now() and ($1::text is null or subnet_id = $1) and ($2::text is null or mac = $2)
      and ($3::inet is null or address = $3) and ($4::inet is null or address > $4)
    order by dhcp.address.address limit $5`, [subnet ?? null, mac ?? null, address ?? null, after ?? null, limit])
