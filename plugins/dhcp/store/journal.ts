/** SQL of the racks' journals: leases given alone are taken in, in order and once. */
import { BedplateError } from '../../../core/errors.ts'
import type { Tx } from '../../../core/plugin.ts'
import { longestAlone } from '../referee.ts'
import type { JournalEntry, Settled } from '../referee.ts'

interface Cursor { readonly epoch: string | null, readonly seq: string }

/** See Referee.settle. The rack's row is locked: calls for one rack wait for each other. */
export async function settle (tx: Tx, rack: string, epoch: string, entries: readonly JournalEntry[]): Promise<Settled> {
  if ((await tx.query('insert into dhcp.rack (rack) values ($1) on conflict do nothing returning 1', [rack])).length > 0) await tx.changed('dhcp.rack', rack)
  const [cursor] = await tx.query<Cursor>('select journal_epoch as epoch, journal_seq as seq from dhcp.rack where rack = $1 for update', [rack])
  const begun = cursor?.epoch === epoch ? [] : await beginEpoch(tx, rack, epoch, cursor?.epoch ?? null)
  const before = cursor?.epoch === epoch ? Number(cursor.seq) : 0
  const fresh = entries.filter(({ seq }) => seq > before)
  const through = fresh.at(-1)?.seq ?? before
  if (fresh.length === 0) return { through, refused: [], stored: begun }
  const last = new Map<string, JournalEntry>() // what was given later from the same right takes the place of what was before
  for (const entry of fresh) last.set(entry.address, entry)
  const chosen = [...last.values()]
  const column = <K extends keyof JournalEntry>(key: K) => chosen.map(entry => entry[key])
  const stored = await tx.query<{ address: string }>(`
    with e as (
      select * from unnest($2::inet[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[]) as e (address, subnet_id, mac, client_id, hostname, seconds, source)
    ), locked as (
      select a.address from dhcp.address a join e using (address) order by a.address for update of a
    )
    update dhcp.address a set mac = e.mac, client_id = e.client_id, hostname = e.hostname, bound_at = now(), number = nextval('dhcp.number'), retiring = null, waits_for = '{}', quarantined_until = null,
      since = case when a.mac = e.mac and a.expires >= now() then a.since else now() end,
      expires = case when a.mac = e.mac then greatest(a.expires, now() + e.seconds * interval '1 second') else now() + e.seconds * interval '1 second' end
    from e join locked using (address)
    where a.address = e.address and ((e.source = 'reserve' and a.reserve_of = $1) or (e.source = 'knowledge' and a.subnet_id = e.subnet_id and (a.reserve_of is null or a.reserve_of = $1) -- given back, and the region has not heard yet
      and (a.mac = e.mac or (a.quarantined_until is not null and $1 = any(a.waits_for))))) -- declined, and taken again by the same client from a rack that had not heard of it
    returning host(a.address) as address`,
  [rack, column('address'), column('subnet'), column('client'), column('clientId'), column('hostname'), column('seconds'), column('from')])
  await tx.query('update dhcp.rack set journal_seq = $2 where rack = $1', [rack, through])
  const kept = new Set(stored.map(({ address }) => address))
  return { through, refused: chosen.filter(({ address }) => !kept.has(address)).map(({ seq }) => seq), stored: [...kept, ...begun] }
}

/** The rack has another journal. What the last one gave, nobody knows: its reserve rests for the longest lease that can have been given from it. Gives those addresses. */
async function beginEpoch (tx: Tx, rack: string, epoch: string, last: string | null): Promise<string[]> {
  const [former] = await tx.query('select from dhcp.former_journal where rack = $1 and epoch = $2', [rack, epoch])
  if (former !== undefined) throw new BedplateError('CONFLICT', { reason: `Rack ${rack} shows a journal it had before its present one: its disk was set back. Stop the rack, delete the folder dhcp of its data directory, and start it.` })
  if (last !== null) await tx.query('insert into dhcp.former_journal (rack, epoch) values ($1, $2) on conflict do nothing', [rack, last])
  await tx.query('update dhcp.rack set journal_epoch = $2, journal_seq = 0 where rack = $1', [rack, epoch])
  return last === null ? [] : restReserve(tx, rack)
}

/** Takes a rack's reserve from it when it cannot give it back: nobody knows to whom it gave what, so all of it rests until any lease of it has ended. Gives the addresses. */
export const restReserve = async (tx: Tx, rack: string): Promise<string[]> =>
  (await tx.query<{ address: string }>(`
    update dhcp.address set reserve_of = null, reserve_grant = null, quarantined_until = now() + $2 * interval '1 second', mac = null, client_id = null, hostname = null, bound_at = null, expires = null
    where reserve_of = $1 returning host(address) as address`, [rack, longestAlone])).map(({ address }) => address)
