/** Deliberate faults in the decision code: one expression each, replaced as its file is loaded. Every one must be caught. */

export interface Mutant {
  readonly name: string
  readonly file: string
  /** Must be in the file exactly once. */
  readonly from: string
  readonly to: string
}

const plugin = (file: string) => (name: string, from: string, to: string): Mutant => ({ name, file: `plugins/dhcp/${file}.ts`, from, to })
const model = (file: string) => (name: string, from: string, to: string): Mutant => ({ name, file: `test/sim/dhcp/${file}.ts`, from, to })
const [alone, autonomy, handlers, reserve, server, wishes, address] = ['alone/alone', 'alone/autonomy', 'region/handlers', 'alone/reserve', 'v4/server', 'rack/wishes', 'v4/address'].map(plugin) as [P, P, P, P, P, P, P]
type P = ReturnType<typeof plugin>
const [referee, table, settling] = ['referee', 'table', 'settling'].map(model) as [P, P, P]

export const mutants: readonly Mutant[] = [
  // on a rack
  server('ACK though no region has answered', 'if (answer === undefined) { traffic.dropped(\'unanswered\'); return }', 'if (answer === undefined) answer = { stored: true, expires: null, number: null, reason: null, quiet: false }'),
  server('ACK though the region refused', 'if (!answer.stored) {', 'if (!answer.stored && answer.reason === null) {'),
  alone('ACK before the journal is written', 'journal.commit(change)', 'if (change.append === undefined) journal.commit(change)'),
  alone('the journal forgets what was not delivered', 'this.leases.splice(0, this.stored(through))', 'this.leases.splice(0)'),
  alone('what is known is extended for whoever asks', 'if (memory.holderOf(address) !== wish.client || this.isVoid(wish.address, memory.numberOf(address))) return undefined', ''),
  alone('what is known is extended without an end', 'const seconds = secondsLeft(this.until, now, wish.seconds)', 'const seconds = wish.seconds'),
  alone('leases of the reserve are forgotten at a restart', 'this.reserve.leased(lease, ends)', 'void ends'),
  autonomy('the right to act on knowledge lasts too long', 'heard.start + heard.autonomySeconds * 1000 - margin(heard.autonomySeconds)', 'heard.start + heard.autonomySeconds * 2000'),
  autonomy('the boot clock is compared across starts of the host', 'heard.boot !== boot || ', ''),
  autonomy('a rack that was given up acts on what it knew', ' || shown !== heard.standing', ''),
  reserve('a lease of the reserve is over at once', 'one.ends = ends', 'one.ends = 0'),
  wishes('a failed call counts as stored', 'if (failure !== undefined && alone !== undefined) { this.decide(waiting.filter(one => one !== undefined)); return }', 'if (failure !== undefined) { for (const one of waiting) one?.settle({ stored: true, expires: null, number: null, reason: null, quiet: false }); return }'),
  wishes('an answer counts from the last repetition of its request', 'now - Math.min(departed, one.since) > stale', 'now - one.since > stale'),
  wishes('an answer counts for a minute', 'stale = 3_000', 'stale = 60_000'),
  address('an offer without a region comes from the online block', 'for (const address of alone.free(subnet.id)) if (open', 'for (const address of view.free(subnet.id)) if (open'),
  // on a region
  handlers('nobody hears of an address that retires', 'for (const address of retiring) await tx.changed(\'dhcp.binding\', address)', ''),
  handlers('what the shorter way did not store counts as stored', 'told(atOnce[index] ?? rest[at++])', 'told(atOnce[index] ?? { stored: true, expires: new Date(0), number: \'0\' })'),
  // the referee's rules
  referee('an address goes to somebody else while its lease lasts', 'if (!own && row?.rack !== rack && !isFree(row, tx.now)) continue', 'if (!own && row?.rack !== rack && row?.reserveOf != null) continue'),
  referee('an address given back with a lease is free', 'if (row.client === null) this.table.remove(tx, address)', 'if (row.reserveOf === rack) this.table.remove(tx, address)'),
  referee('silent racks are given up at once', 'if (row.heardAt + autonomySeconds * 1000 > tx.now || row.promisedUntil > tx.now || !', 'if (row.heardAt + 5_000 > tx.now || !'),
  referee('a rack that is given up keeps its standing', 'table.putRack(tx, { ...row, standing: table.next() })', 'table.putRack(tx, { ...row, standing: row.standing })'),
  referee('a late word ends a newer lease', ' || (number !== null && row.number !== number)) return []', ') return []'),
  referee('nobody is noted as told', 'for (const subnet of subnets) this.table.tell(tx, subnet, rack)', ''),
  table('an address is reclaimed before every rack has forgotten its client', 'row.rack === null && row.waitsFor.length === 0 && (', 'row.rack === null && ('),
  table('an address is reclaimed as soon as its lease has half ended', 'row.expires !== null && row.expires + rest <= now', 'row.expires !== null && row.expires - 30_000 <= now'),
  settling('the journal counts as taken in though nothing is stored', 'chosen.filter(entry => store(table, tx, rack, entry))', 'chosen'),
  settling('the journal is replayed twice', 'entries.filter(({ seq }) => seq > before)', 'entries'),
  settling('a lease from the journal shortens what is stored', 'row.client === client ? Math.max(row.expires ?? 0, ends) : ends', 'ends - 30_000'),
  settling('an extension from the journal takes the address from its client', '(row.client !== client && !declined) || ', '')
]
