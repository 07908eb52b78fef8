/** The racks' journals in the model: taken in, in order and once. */
import { BedplateError } from '../../../core/errors.ts'
import { longestAlone } from '../../../plugins/dhcp/referee.ts'
import type { JournalEntry, Settled } from '../../../plugins/dhcp/referee.ts'
import type { ModelTx } from './database.ts'
import type { Table } from './table.ts'

export function settle (table: Table, tx: ModelTx, rack: string, epoch: string, entries: readonly JournalEntry[]): Settled {
  const cursor = table.rackRow(rack, tx.now)
  table.putRack(tx, cursor)
  const begun = cursor.epoch === epoch ? [] : beginEpoch(table, tx, rack, epoch)
  const before = cursor.epoch === epoch ? cursor.seq : 0
  const fresh = entries.filter(({ seq }) => seq > before)
  const through = fresh.at(-1)?.seq ?? before
  if (fresh.length === 0) return { through, refused: [], stored: begun }
  const last = new Map<string, JournalEntry>()
  for (const entry of fresh) last.set(entry.address, entry)
  const chosen = [...last.values()]
  for (const { seq } of fresh) table.takeIn(tx, `${rack} ${epoch} ${seq}`)
  const kept = new Set(chosen.filter(entry => store(table, tx, rack, entry)).map(({ address }) => address))
  table.putRack(tx, { ...table.rackRow(rack, tx.now), seq: through })
  return { through, refused: chosen.filter(({ address }) => !kept.has(address)).map(({ seq }) => seq), stored: [...kept, ...begun] }
}

function store (table: Table, tx: ModelTx, rack: string, { address, subnet, client, clientId, hostname, seconds, from }: JournalEntry): boolean {
  const row = table.rows.get(address)
  if (row === undefined) return false
  const declined = row.quarantinedUntil !== null && row.waitsFor.includes(rack) // and taken again by the same client from a rack that had not heard of it
  if (from === 'reserve' ? row.reserveOf !== rack : (row.client !== client && !declined) || row.subnet !== subnet || (row.reserveOf !== null && row.reserveOf !== rack)) return false
  const ends = tx.now + seconds * 1000
  table.put(tx, { ...row, client, clientId, hostname, boundAt: tx.now, number: table.next(), retiring: null, waitsFor: [], quarantinedUntil: null, expires: row.client === client ? Math.max(row.expires ?? 0, ends) : ends })
  return true
}

const nobody = { client: null, clientId: null, hostname: null, boundAt: null, expires: null, reserveOf: null, reserveGrant: null } as const

/** What the last journal gave, nobody knows: its reserve rests for the longest lease that can have been given from it. */
function beginEpoch (table: Table, tx: ModelTx, rack: string, epoch: string): string[] {
  if (table.formerJournals.has(`${rack} ${epoch}`)) throw new BedplateError('CONFLICT', { reason: `Rack ${rack} shows a journal it had before its present one.` })
  const { epoch: last } = table.rackRow(rack, tx.now)
  if (last !== null) table.formerJournal(tx, rack, last)
  table.putRack(tx, { ...table.rackRow(rack, tx.now), epoch, seq: 0 })
  if (last === null) return []
  const until = tx.now + longestAlone * 1000
  const own = [...table.rows.values()].filter(row => row.reserveOf === rack)
  for (const row of own) table.put(tx, { ...row, ...nobody, quarantinedUntil: until })
  return own.map(({ address }) => address)
}
