/** SQL of what is seen of leases: a search over the addresses, and who had one at what time. */
import type { Query, Tx } from '../../../core/plugin.ts'

export const leaseStates = ['active', 'expired', 'retiring', 'set-aside', 'quarantine', 'block', 'reserve'] as const
export type LeaseState = typeof leaseStates[number]
/** `client`: of active, expired, retiring and set-aside ones. `rack`: whose block or reserve it lies in. `expires`: also the end of a quarantine. */
export interface Lease {
  readonly address: string, readonly subnet: string, readonly state: LeaseState, readonly client: string | null, readonly clientId: string | null, readonly hostname: string | null
  readonly rack: string | null, readonly since: Date | null, readonly boundAt: Date | null, readonly expires: Date | null
}
/** With the relay's port its client was last seen at. */
export interface PlacedLease extends Lease { readonly circuitId: string | null, readonly remoteId: string | null }
export interface LeaseFilter {
  readonly address?: string | undefined, readonly client?: string | undefined, readonly clientId?: string | undefined, readonly hostname?: string | undefined
  readonly subnet?: string | undefined, readonly state?: LeaseState | undefined, readonly after?: string | undefined, readonly limit: number
}

// A row whose lease ended as it began says only whom the address is set aside for.
const states = `select address, host(address) as shown, subnet_id as subnet, mac as client, client_id as "clientId", hostname, coalesce(rack, reserve_of) as rack,
    case when mac is null or expires <= since then null else since end as since, bound_at as "boundAt", coalesce(expires, quarantined_until) as expires,
    case when quarantined_until is not null then 'quarantine' when rack is not null then 'block' when mac is null then 'reserve' when retiring is not null then 'retiring'
      when expires > now() then 'active' when expires <= since then 'set-aside' else 'expired' end as state
  from dhcp.address`
const columns = 'shown as address, subnet, state, client, "clientId", hostname, rack, since, "boundAt", expires'

/** A page, by address. */
export const listLeases = (q: Query, { address, client, clientId, hostname, subnet, state, after, limit }: LeaseFilter): Promise<PlacedLease[]> =>
  q.query(`select ${columns}, "circuitId", "remoteId" from (${states}) l
      left join (select address as at, client as whose, circuit_id as "circuitId", remote_id as "remoteId" from dhcp.relay_port) p on at = l.address and whose = l.client
    where ($1::inet is null or l.address = $1) and ($2::text is null or client = $2) and ($3::text is null or "clientId" = $3) and ($4::text is null or lower(hostname) = lower($4))
      and ($5::text is null or subnet = $5) and ($6::text is null or state = $6) and ($7::inet is null or l.address > $7)
    order by l.address limit $8`, [address ?? null, client ?? null, clientId ?? null, hostname ?? null, subnet ?? null, state ?? null, after ?? null, limit])

/** The leases in force, of these addresses or subnets. */
export const activeLeases = (q: Query, { addresses, subnetIds }: { readonly addresses?: readonly string[] | undefined, readonly subnetIds?: readonly string[] | undefined }): Promise<Lease[]> =>
  q.query(`select ${columns} from (${states}) l where state = 'active' and ($1::inet[] is null or l.address = any($1)) and ($2::text[] is null or subnet = any($2)) order by l.address`, [addresses ?? null, subnetIds ?? null])

/** `until`: null while it lasts. */
export interface Holding { readonly address: string, readonly subnet: string, readonly client: string, readonly clientId: string | null, readonly hostname: string | null, readonly since: Date, readonly until: Date | null }
/** Who had an address, the last first; `at`: whoever had it then. */
export const holdings = (q: Query, address: string, { at, limit }: { readonly at?: Date | undefined, readonly limit: number }): Promise<Holding[]> =>
  q.query(`select host(address) as address, subnet, client, "clientId", hostname, since, until from (
      select address, subnet_id as subnet, client, client_id as "clientId", hostname, since, until from dhcp.history where address = $1::inet
      union all
      select address, subnet_id, mac, client_id, hostname, since, case when expires <= now() then expires end from dhcp.address where address = $1::inet and mac is not null and expires > since
    ) h where $2::timestamptz is null or (since <= $2 and (until is null or until > $2)) order by since desc, until desc nulls first limit $3`, [address, at ?? null, limit])

/** Ends a quarantine. False when there is none. */
export const endQuarantine = async (tx: Tx, address: string): Promise<boolean> =>
  (await tx.query('update dhcp.address set quarantined_until = now() where address = $1::inet and quarantined_until is not null returning 1', [address])).length > 0

/** Forgets who had what longer ago than that. Gives how many; in parts, so that nobody waits for it. */
export const pruneHistory = async (q: Query, days: number): Promise<number> =>
  (await q.query('delete from dhcp.history where ctid = any(array(select ctid from dhcp.history where until < now() - $1 * interval \'1 day\' limit 10000)) returning 1', [days])).length
