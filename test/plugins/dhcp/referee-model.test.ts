/** The SQL of the referee and the model of it that the simulation runs: random operations give the same answers and the same rows. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withLog } from '../../../core/database/once.ts'
import { BedplateError, hasCode } from '../../../core/errors.ts'
import { createLogger } from '../../../core/log.ts'
import type { Database, Tx } from '../../../core/plugin.ts'
import { manifest } from '../../../plugins/dhcp/manifest.ts'
import type { GrantOptions, Referee } from '../../../plugins/dhcp/referee.ts'
import { createHandlers } from '../../../plugins/dhcp/region/handlers.ts'
import { referee } from '../../../plugins/dhcp/store.ts'
import { claim } from '../../../plugins/dhcp/store/claims.ts'
import type { Claim } from '../../../plugins/dhcp/store/claims.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { ModelTx } from '../../sim/dhcp/database.ts'
import { ModelReferee } from '../../sim/dhcp/referee.ts'
import { Table } from '../../sim/dhcp/table.ts'

const sql = { ...referee, claim }
let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ migrations: [manifest] }) })
afterAll(async () => { await db.drop() })

const racks = ['A', 'B', 'C'] as const
const subnets = ['s0', 's1'] as const
const rack = fc.constantFrom(...racks)
const address = fc.integer({ min: 1, max: 9 }).map(n => `10.0.0.${n}`)
const client = fc.constantFrom('c1', 'c2', 'c3')
const seconds = fc.constantFrom(30, 60, 600)
const wish = fc.record({ address, subnet: fc.constantFrom('s0', 's0', 's0', 's1'), client, clientId: fc.constantFrom(null, '01'), hostname: fc.constantFrom(null, 'h'), seconds })
const nth = fc.nat(7) // which of the numbers seen so far, from the end
const options = fc.record({
  ranges: fc.constantFrom([{ start: '10.0.0.1', end: '10.0.0.8' }], [{ start: '10.0.0.1', end: '10.0.0.3' }, { start: '10.0.0.6', end: '10.0.0.8' }]),
  taken: fc.constantFrom<string[]>([], ['10.0.0.2']), racks: fc.integer({ min: 1, max: 3 }), most: fc.integer({ min: 1, max: 4 })
})
const ended = fc.record({ address, client, nth: fc.option(nth, { nil: null }) })
const op = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('bind' as const), rack, wishes: fc.array(wish, { minLength: 1, maxLength: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('bindAtOnce' as const), rack, wishes: fc.array(wish, { minLength: 1, maxLength: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('answer' as const), rack, wishes: fc.array(wish, { minLength: 1, maxLength: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('grant' as const), rack, options }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('reserve' as const), rack, count: fc.integer({ min: 0, max: 3 }), options }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('settle' as const), rack, epoch: fc.constantFrom('e1', 'e1', 'e1', 'e1', 'e2', 'e3'), skip: fc.nat(3), entries: fc.array(fc.tuple(wish, fc.constantFrom('reserve' as const, 'knowledge' as const)), { maxLength: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('forgotten' as const), rack, address, nth: fc.option(nth, { nil: null }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('returned' as const), rack, address, nth: fc.option(nth, { nil: null }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('heard' as const), rack, autonomy: fc.constantFrom(0, 60) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('retire' as const), addresses: fc.array(address, { maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('giveUpOnSilent' as const), autonomy: fc.constantFrom(10, 300) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('release' as const), ended }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('quarantine' as const), ended }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('tells' as const), rack, subnets: fc.subarray([...subnets]) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('claim' as const), claims: fc.uniqueArray(fc.record({ address, subnet: fc.constantFrom(...subnets), client }), { maxLength: 2, selector: ({ address }) => address }) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('time' as const), seconds: fc.constantFrom(5, 25, 45, 100, 700, 100_000) }) }
)
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never

interface Claiming extends Referee { claim(tx: Tx, claims: readonly Claim[]): Promise<readonly string[]> }

/** The transaction as the database of one of its steps: what commits by itself elsewhere is a statement of it here. */
const within = (tx: Tx): Database => ({ query: tx.query, tx: work => work(tx), once: statement => tx.query(withLog(statement), statement.values) })
const log = createLogger('silent')
const never = new AbortController().signal

/** One side of the comparison. `mine`: this side's number of those both have seen. */
async function carryOut (referee: Claiming, tx: Tx, op: Op, mine: (nth: number) => string, seq: number): Promise<unknown> {
  const numbered = <T extends { readonly nth: number | null }>({ nth, ...word }: T) => ({ ...word, number: nth === null ? null : mine(nth) })
  switch (op.op) {
    case 'bind': return referee.bind(tx, op.rack, op.wishes)
    case 'bindAtOnce': return referee.bindAtOnce(within(tx), op.rack, op.wishes)
    case 'answer': { // what a region makes of both ways together
      const handlers = createHandlers({ db: within(tx), referee, log, config: { blockSize: 4, autonomySeconds: 60, quarantineSeconds: 60 }, pools: async () => [] })
      const { answers } = await handlers.bind({ wishes: op.wishes }, { controller: op.rack, signal: never })
      return answers.map(({ expires, ...answer }) => ({ ...answer, expires: expires === null ? null : new Date(expires) }))
    }
    case 'grant': { const { addresses, retiring } = await referee.grant(tx, op.rack, 's0', op.options satisfies GrantOptions); return { addresses, retiring: [...retiring].sort() } }
    case 'reserve': return { retiring: [...(await referee.reserve(tx, op.rack, 's0', op.count, op.options)).retiring].sort() }
    case 'settle': {
      const entries = op.entries.map(([wish, from], index) => ({ ...wish, from, seq: Math.max(1, seq - op.skip + index) }))
      const { through, refused, stored = [] } = await referee.settle(tx, op.rack, op.epoch, entries)
      return { through, refused: [...refused].sort(), stored: [...stored].sort() }
    }
    case 'forgotten': {
      const round = op.nth === null ? (await referee.retirementsOf(tx, op.rack, [op.address]))[0]?.round ?? mine(0) : mine(op.nth)
      return referee.forgotten(tx, op.rack, [{ address: op.address, round }])
    }
    case 'returned': {
      const grant = op.nth === null ? (await referee.reservesOf(tx, op.rack)).find(({ address }) => address === op.address)?.grant ?? mine(0) : mine(op.nth)
      return referee.returned(tx, op.rack, [{ address: op.address, grant }])
    }
    case 'heard': return referee.heard(tx, op.rack, op.autonomy)
    case 'retire': return [...await referee.retire(tx, op.addresses)].sort()
    case 'giveUpOnSilent': { const { racks, addresses } = await referee.giveUpOnSilent(tx, op.autonomy); return { racks: [...racks].sort(), addresses: [...addresses].sort() } }
    case 'release': return referee.release(tx, [numbered(op.ended)])
    case 'quarantine': return referee.quarantine(tx, [numbered(op.ended)], 60)
    case 'tells': return referee.tells(tx, op.rack, op.subnets)
    case 'claim': return [...new Set(await referee.claim(tx, op.claims))].sort()
    case 'time': return undefined
  }
}

const shift = (n: number | null, by: number): number | null => n === null ? null : n - by

async function pass (tx: Tx, table: Table, seconds: number): Promise<void> {
  await tx.query('update dhcp.address set expires = expires - $1 * interval \'1 second\', bound_at = bound_at - $1 * interval \'1 second\', quarantined_until = quarantined_until - $1 * interval \'1 second\'', [seconds])
  await tx.query('update dhcp.rack set heard_at = heard_at - $1 * interval \'1 second\', promised_until = promised_until - $1 * interval \'1 second\'', [seconds])
  const by = seconds * 1000
  for (const [key, row] of table.rows) table.rows.set(key, { ...row, expires: shift(row.expires, by), boundAt: shift(row.boundAt, by), quarantinedUntil: shift(row.quarantinedUntil, by) })
  for (const [key, row] of table.racks) table.racks.set(key, { ...row, heardAt: row.heardAt - by, promisedUntil: row.promisedUntil - by })
}

const lastChange = async (tx: Tx): Promise<string> => (await tx.query<{ last: string }>('select coalesce(max(seq), 0)::text as last from core.change'))[0]?.last ?? '0'
const changesSince = async (tx: Tx, seq: string): Promise<string[]> =>
  (await tx.query<{ topic: string, id: string }>('select topic, id from core.change where seq > $1::bigint', [seq])).flatMap(({ topic, id }) => id.split('\n').map(one => `${topic} ${one}`)).sort()
const rowsOf = (tx: Tx) => tx.query<Record<string, unknown>>(`
  select host(address) as address, subnet_id as subnet, mac as client, client_id as "clientId", hostname, bound_at as "boundAt", expires, rack, quarantined_until as "quarantinedUntil",
    case when mac is not null then number end as number, reserve_of as "reserveOf", reserve_grant as "reserveGrant", retiring, waits_for as "waitsFor" from dhcp.address order by dhcp.address.address`)
const racksOf = (tx: Tx) => tx.query<Record<string, unknown>>('select rack, heard_at as "heardAt", promised_until as "promisedUntil", standing, journal_epoch as epoch, journal_seq::integer as seq from dhcp.rack order by rack')
const modelRows = (table: Table) => [...table.rows.values()].sort((a, b) => Number(a.address.split('.')[3]) - Number(b.address.split('.')[3])).map(row => ({ ...row, number: row.client === null ? null : row.number, waitsFor: [...row.waitsFor] }))
const modelRacks = (table: Table) => [...table.racks.values()].sort((a, b) => a.rack < b.rack ? -1 : 1)

/** Numbers of the two sides that mean the same; drawn from two sequences, so that only their meaning can be compared. */
class Numbers {
  readonly pairs: { readonly sql: string, readonly model: string }[] = []
  private readonly known = new Map<string, string>()
  same (sql: string, model: string): boolean {
    const before = this.known.get(sql)
    if (before !== undefined) return before === model
    this.known.set(sql, model)
    this.pairs.push({ sql, model })
    return true
  }

  nth (side: 'sql' | 'model', nth: number): string { return this.pairs.at(-1 - nth)?.[side] ?? '0' }
}
const numbers = new Set(['number', 'retiring', 'reserveGrant', 'standing', 'round', 'grant'])

/** Throws where they differ: times may by 2 ms (microseconds there, milliseconds here), numbers by what they are called. */
function compare (sql: unknown, model: unknown, known: Numbers, path: string): void {
  if (Array.isArray(sql) && Array.isArray(model)) {
    expect(sql.length, `${path}: ${JSON.stringify(sql)} / ${JSON.stringify(model)}`).toBe(model.length)
    sql.forEach((one, index) => { compare(one, model[index], known, `${path}[${index}]`) })
  } else if (sql instanceof Date) {
    const other = model instanceof Date ? model.getTime() : Number(model)
    expect(Math.abs(sql.getTime() - other), path).toBeLessThanOrEqual(2)
  } else if (typeof sql === 'object' && sql !== null && typeof model === 'object' && model !== null) {
    const other = new Map(Object.entries(model))
    expect(Object.keys(sql).sort(), path).toEqual([...other.keys()].sort())
    for (const [key, value] of Object.entries(sql)) {
      const theirs = other.get(key)
      if (numbers.has(key) && typeof value === 'string' && typeof theirs === 'string') expect(known.same(value, theirs), `${path}.${key}: ${value} / ${theirs}`).toBe(true)
      else compare(value, theirs, known, `${path}.${key}`)
    }
  } else expect(sql, path).toEqual(model)
}

test('random operations give the same answers and the same rows', async () => {
  await fc.assert(fc.asyncProperty(fc.array(op, { minLength: 30, maxLength: 60 }), async ops => {
    const over = new BedplateError('INTERNAL', { reason: 'rolled back on purpose' })
    const run = db.tx(async tx => {
      const now = (await tx.query<{ now: Date }>('select now()'))[0]?.now.getTime() ?? 0
      const table = new Table()
      const model = new ModelReferee(table)
      const known = new Numbers()
      const cursors = new Map<string, number>()
      for (const [index, op] of ops.entries()) {
        const where = `${index} ${JSON.stringify(op)}`
        if (op.op === 'time') { await pass(tx, table, op.seconds); continue }
        const seq = op.op === 'settle' ? (cursors.get(`${op.rack} ${op.epoch}`) ?? 0) + 1 : 0
        await tx.query('savepoint step')
        const logged = await lastChange(tx)
        const real = await carryOut(sql, tx, op, nth => known.nth('sql', nth), seq).catch((error: unknown) => { if (hasCode(error, 'CONFLICT')) return 'CONFLICT'; throw error })
        if (real === 'CONFLICT') await tx.query('rollback to savepoint step')
        const step = new ModelTx(now)
        const modelled = await carryOut(model, step, op, nth => known.nth('model', nth), seq).catch((error: unknown) => { if (hasCode(error, 'CONFLICT')) return 'CONFLICT'; throw error })
        if (modelled === 'CONFLICT') for (const undo of step.undo.reverse()) undo()
        compare(real, modelled, known, where)
        // Its row of the log is a part of the statement; of a transaction it is written at its commit, which never comes here.
        if (op.op === 'bindAtOnce') expect(await changesSince(tx, logged), where).toEqual([...new Set(step.changes.map(({ topic, id }) => `${topic} ${id}`))].sort())
        if (op.op === 'answer') for (const [index, { address, client }] of op.wishes.entries()) { // each wish has its own answer
          const { stored, number } = (modelled as { readonly stored: boolean, readonly number: string | null }[])[index] ?? {}
          const row = table.rows.get(address)
          if (stored === true) expect([client, number], where).toEqual([row?.client, row?.number])
        }
        compare(await rowsOf(tx), modelRows(table), known, `${where}: rows`)
        compare(await racksOf(tx), modelRacks(table), known, `${where}: racks`)
        if (op.op === 'settle' && real !== 'CONFLICT') cursors.set(`${op.rack} ${op.epoch}`, table.racks.get(op.rack)?.seq ?? 0)
        compare(await sql.bindingsOf(tx, ['s0']).then(found => [...found].sort((a, b) => a.address < b.address ? -1 : 1)), [...await model.bindingsOf(tx, ['s0'])].sort((a, b) => a.address < b.address ? -1 : 1), known, `${where}: bindings`)
        for (const one of racks) compare(await sql.reservesOf(tx, one), await model.reservesOf(tx, one), known, `${where}: reserves of ${one}`)
      }
      throw over
    })
    await run.catch((error: unknown) => { if (error !== over) throw error })
  }), { numRuns: 45, seed: 20300101 })
}, 120_000)
