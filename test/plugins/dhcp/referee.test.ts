/** The referee's rules, one by one, on PostgreSQL; and what two transactions at a time must not get past each other. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Database, Tx } from '../../../core/plugin.ts'
import { manifest } from '../../../plugins/dhcp/manifest.ts'
import type { JournalEntry, Referee, WishedBinding } from '../../../plugins/dhcp/referee.ts'
import { forgetRacks, goneRacks, isTold, referee, restReserve, tidy } from '../../../plugins/dhcp/store.ts'
import { claim } from '../../../plugins/dhcp/store/claims.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'

let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ migrations: [manifest], size: 8 }) })
afterAll(() => db.drop())
beforeEach(async () => { await db.query('truncate dhcp.address, dhcp.rack, dhcp.told, dhcp.former_journal') })

const x = '10.0.0.9'
const wish = (client: string, address = x, more: Partial<WishedBinding> = {}): WishedBinding => ({ address, subnet: 's', client, clientId: null, hostname: null, seconds: 600, ...more })
const entry = (seq: number, client: string, from: JournalEntry['from'] = 'reserve', address = x): JournalEntry => ({ ...wish(client, address), seq, from })
const options = { ranges: [{ start: '10.0.0.8', end: '10.0.0.11' }], taken: [], racks: 1, most: 4 }
const go = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => (db as Database).tx(work)
const row = async (address = x) => (await db.query<Record<string, string | null | string[]>>('select mac, rack, reserve_of, retiring, waits_for, number, quarantined_until, expires from dhcp.address where address = $1::inet', [address]))[0]
const lapse = (seconds: number, address = x) => db.query(`update dhcp.address set expires = now() - $1 * interval '1 second' where address = $2::inet`, [seconds, address])
const silent = (rack: string, seconds: number) => db.query(`update dhcp.rack set heard_at = now() - $2 * interval '1 second', promised_until = now() - interval '1 day' where rack = $1`, [rack, seconds])
const bind = async (client: string, rack = 'A', more: Partial<WishedBinding> = {}) => (await go(tx => referee.bind(tx, rack, [wish(client, x, more)])))[0]

describe('bind', () => {
  const lapsedOf = (seconds: number) => async () => { await bind('c'); await lapse(seconds) }
  const inReserve = async () => { await go(tx => referee.reserve(tx, 'A', 's', 4, options)) }
  const settled = async () => { await inReserve(); await go(tx => referee.settle(tx, 'A', 'e', [entry(1, 'c')])) }
  const retiring = (told: string[]) => async () => {
    for (const rack of told) await go(tx => referee.tells(tx, rack, ['s']))
    await bind('c')
    await lapse(60)
    await go(tx => referee.retire(tx, [x]))
  }
  const cases: readonly [what: string, before: () => Promise<unknown>, client: string, stored: boolean][] = [
    ['what nobody has', async () => {}, 'c', true],
    ['its own', () => bind('c'), 'c', true],
    ['its own that lapsed', lapsedOf(600), 'c', true],
    ['its own of another subnet', () => bind('c', 'A', { subnet: 't' }), 'c', false],
    ['somebody else\'s', () => bind('c'), 'd', false],
    ['somebody else\'s that lapsed, no longer than a rest ago', lapsedOf(5), 'd', false],
    ['somebody else\'s that lapsed, when no rack was told', lapsedOf(60), 'd', true],
    ['its own that retires', retiring(['A', 'B']), 'c', true],
    ['somebody else\'s that retires', retiring(['A', 'B']), 'd', false],
    ['what retired', retiring([]), 'd', true],
    ['the rack\'s own block', () => go(tx => referee.grant(tx, 'A', 's', options)), 'c', true],
    ['another rack\'s block', () => go(tx => referee.grant(tx, 'B', 's', options)), 'c', false],
    ['the rack\'s own reserve', inReserve, 'c', false],
    ['a lease of the reserve that is not returned yet, not even for its client', settled, 'c', false]
  ]
  it.each(cases)('%s', async (_, before, client, stored) => {
    await before()
    expect((await bind(client))?.stored).toBe(stored)
    if (stored) expect(await row()).toMatchObject({ mac: client, rack: null, reserve_of: null, retiring: null, waits_for: [], quarantined_until: null })
  })
  it('each time has a number of its own, larger than the last', async () => {
    const [first, second] = [await bind('c'), await bind('c')]
    expect(first?.stored && second?.stored && BigInt(second.number) > BigInt(first.number)).toBe(true)
  })
  it('says quietly no where a reserve is concerned, and begins to retire what lapsed', async () => {
    await inReserve()
    expect(await bind('c')).toMatchObject({ stored: false, quiet: true, retiring: false })
    await db.query('delete from dhcp.address')
    await go(tx => referee.tells(tx, 'B', ['s']))
    await bind('c')
    await lapse(60)
    expect(await bind('d')).toMatchObject({ stored: false, quiet: false, retiring: true })
    expect(await row()).toMatchObject({ mac: 'c', waits_for: ['B'] })
  })
})

describe('retirement', () => {
  const retire = async (...racks: string[]): Promise<string> => {
    for (const rack of racks) await go(tx => referee.tells(tx, rack, ['s']))
    await bind('c')
    await lapse(60)
    await go(tx => referee.retire(tx, [x]))
    return String((await row())?.retiring)
  }
  it('waits for every rack that was told, each by its own word about this round', async () => {
    const round = await retire('A', 'B')
    expect(await go(tx => referee.retirementsOf(tx, 'A'))).toEqual([{ address: x, subnet: 's', round }])
    expect(await go(tx => referee.forgotten(tx, 'A', [{ address: x, round: String(BigInt(round) - 1n) }]))).toEqual([])
    expect(await go(tx => referee.forgotten(tx, 'C', [{ address: x, round }]))).toEqual([])
    expect(await go(tx => referee.forgotten(tx, 'A', [{ address: x, round }, { address: '10.0.0.99', round }]))).toEqual([x])
    expect(await go(tx => referee.retirementsOf(tx, 'A'))).toEqual([])
    expect((await bind('d'))?.stored).toBe(false)
    await go(tx => referee.forgotten(tx, 'B', [{ address: x, round }]))
    expect((await bind('d'))?.stored).toBe(true)
    expect(await go(tx => referee.forgotten(tx, 'B', [{ address: x, round }]))).toEqual([])
  })
  it('waits for a lease that has not ended, whoever has forgotten it', async () => {
    await bind('c')
    await go(tx => referee.retire(tx, [x]))
    expect((await bind('d'))?.stored).toBe(false)
    await lapse(60)
    expect((await bind('d'))?.stored).toBe(true)
  })
  it('ends when the client comes back, and a word about the ended round means nothing', async () => {
    const round = await retire('A')
    await bind('c')
    await lapse(60)
    await go(tx => referee.retire(tx, [x]))
    expect(await go(tx => referee.forgotten(tx, 'A', [{ address: x, round }]))).toEqual([])
    expect(await row()).toMatchObject({ waits_for: ['A'] })
  })
  it('gives a silent rack up, and raises its standing in the same step; one that was heard or promised keeps it', async () => {
    await retire('A', 'B', 'C')
    const before = await go(tx => referee.standingOf(tx, 'A'))
    for (const rack of ['A', 'C']) await silent(rack, 400)
    await go(tx => referee.heard(tx, 'B', 300))
    await db.query(`update dhcp.rack set promised_until = now() + interval '1 minute' where rack = 'C'`)
    expect(await go(tx => referee.giveUpOnSilent(tx, 300))).toEqual({ racks: ['A'], addresses: [x] })
    expect(await row()).toMatchObject({ waits_for: ['B', 'C'] })
    expect(BigInt(await go(tx => referee.standingOf(tx, 'A')) ?? 0)).toBeGreaterThan(BigInt(before ?? 0))
    expect(await go(tx => referee.giveUpOnSilent(tx, 300))).toEqual({ racks: [], addresses: [] })
    expect((await go(tx => referee.heard(tx, 'A'))).standing).toBe(await go(tx => referee.standingOf(tx, 'A')))
  })
  it('of a quarantined address waits for the racks too, and for the quarantine', async () => {
    await go(tx => referee.tells(tx, 'A', ['s']))
    const bound = await bind('c')
    const number = bound?.stored === true ? bound.number : null
    expect(await go(tx => referee.quarantine(tx, [{ address: x, client: 'c', number: String(BigInt(number ?? 0) - 1n) }], 60))).toEqual([])
    expect(await go(tx => referee.quarantine(tx, [{ address: x, client: 'c', number }], 60))).toEqual([x])
    const round = String((await row())?.retiring)
    await go(tx => referee.forgotten(tx, 'A', [{ address: x, round }]))
    expect((await bind('c'))?.stored).toBe(false)
    await db.query('update dhcp.address set quarantined_until = now()')
    expect((await bind('d'))?.stored).toBe(true)
  })
  it('is begun for what lapsed longest where too little is free', async () => {
    await go(tx => referee.tells(tx, 'A', ['s']))
    for (const [index, address] of ['10.0.0.8', '10.0.0.9', '10.0.0.10', '10.0.0.11'].entries()) {
      await go(tx => referee.bind(tx, 'A', [wish(`c${index}`, address)]))
      await lapse(index === 3 ? 5 : 1000 - index * 100, address)
    }
    expect(await go(tx => referee.grant(tx, 'A', 's', { ...options, most: 2 }))).toEqual({ addresses: [], retiring: ['10.0.0.8', '10.0.0.9'] })
    expect((await go(tx => referee.grant(tx, 'A', 's', { ...options, most: 2 }))).retiring).toEqual([]) // as many are on their way
    for (const { address, round } of await go(tx => referee.retirementsOf(tx, 'A'))) await go(tx => referee.forgotten(tx, 'A', [{ address, round }]))
    expect((await go(tx => referee.grant(tx, 'A', 's', { ...options, most: 2 }))).addresses).toEqual(['10.0.0.8', '10.0.0.9'])
  })
  it('what is free leaves no row behind', async () => {
    const round = await retire('A')
    expect(await go(tidy)).toBe(0)
    await go(tx => referee.forgotten(tx, 'A', [{ address: x, round }]))
    expect(await go(tidy)).toBe(1)
    expect(await row()).toBeUndefined()
  })
})

describe('reserve and journal', () => {
  const grants = async (rack = 'A') => new Map((await go(tx => referee.reservesOf(tx, rack))).map(({ address, grant }) => [address, grant]))
  it('is filled up to what is wanted, and is nobody else\'s', async () => {
    await go(tx => referee.reserve(tx, 'A', 's', 2, options))
    await go(tx => referee.reserve(tx, 'A', 's', 2, options))
    await go(tx => referee.reserve(tx, 'B', 's', 4, options))
    expect([(await grants()).size, (await grants('B')).size]).toEqual([2, 2])
    expect(new Set([...(await grants()).keys(), ...(await grants('B')).keys()]).size).toBe(4)
    expect((await go(tx => referee.grant(tx, 'B', 's', options))).addresses).toEqual([])
  })
  it('is given back by the grant that is meant, once', async () => {
    await go(tx => referee.reserve(tx, 'A', 's', 1, options))
    const [[address, grant] = ['', '']] = [...await grants()]
    await go(tx => referee.returned(tx, 'A', [{ address, grant: String(BigInt(grant) + 1n) }]))
    await go(tx => referee.returned(tx, 'B', [{ address, grant }]))
    expect((await grants()).size).toBe(1)
    await go(tx => referee.returned(tx, 'A', [{ address, grant }]))
    expect(await row(address)).toBeUndefined()
    await go(tx => referee.reserve(tx, 'A', 's', 1, options))
    await go(tx => referee.returned(tx, 'A', [{ address, grant }])) // a late one
    expect((await grants()).size).toBe(1)
  })
  it('a lease from it is stored once, told to nobody before it is returned, and a plain binding then', async () => {
    await go(tx => referee.reserve(tx, 'A', 's', 4, options))
    expect(await go(tx => referee.settle(tx, 'A', 'e', [entry(1, 'c')]))).toMatchObject({ through: 1, refused: [] })
    const { number } = await row() ?? {}
    expect(await go(tx => referee.settle(tx, 'A', 'e', [entry(1, 'c')]))).toMatchObject({ through: 1, refused: [] })
    expect(await row()).toMatchObject({ mac: 'c', reserve_of: 'A', number })
    expect(await referee.bindingsOf(db, ['s'])).toEqual([])
    expect(await go(tx => referee.release(tx, [{ address: x, client: 'c', number: null }]))).toEqual([])
    await go(tx => referee.settle(tx, 'A', 'e', [entry(2, 'd')])) // it may have given it to somebody else since
    await go(tx => referee.returned(tx, 'A', [{ address: x, grant: '0' }]))
    expect(await row()).toMatchObject({ mac: 'd', reserve_of: 'A' })
    await go(async tx => referee.returned(tx, 'A', [{ address: x, grant: (await referee.reservesOf(tx, 'A')).find(({ address }) => address === x)?.grant ?? '' }]))
    expect(await row()).toMatchObject({ mac: 'd', reserve_of: null })
    expect(await referee.bindingsOf(db, ['s'])).toMatchObject([{ address: x, client: 'd' }])
    expect(await go(tx => referee.settle(tx, 'A', 'e', [entry(3, 'e')]))).toMatchObject({ through: 3, refused: [3] })
  })
  it('an extension counts while the row is the client\'s, retiring or not, and the later end stands', async () => {
    await go(tx => referee.tells(tx, 'A', ['s']))
    await bind('c', 'A', { seconds: 5000 })
    await go(tx => referee.retire(tx, [x]))
    const before = (await row())?.expires
    expect(await go(tx => referee.settle(tx, 'A', 'e', [entry(1, 'c', 'knowledge')]))).toMatchObject({ through: 1, refused: [] })
    expect(await row()).toMatchObject({ retiring: null, waits_for: [], expires: before })
    expect(await go(tx => referee.settle(tx, 'A', 'e', [entry(2, 'd', 'knowledge'), entry(3, 'd', 'knowledge', '10.0.0.77')]))).toMatchObject({ through: 3, refused: [2, 3] })
    expect(await row()).toMatchObject({ mac: 'c' })
  })
  it('a new epoch lets what the old one may have given rest; an old one is refused', async () => {
    await go(tx => referee.reserve(tx, 'A', 's', 2, options))
    await go(tx => referee.settle(tx, 'A', 'e', [entry(1, 'c')]))
    await go(tx => referee.settle(tx, 'A', 'f', []))
    expect((await grants()).size).toBe(0)
    expect(await row()).toMatchObject({ mac: null, reserve_of: null })
    expect((await bind('c'))?.stored).toBe(false)
    await expect(go(tx => referee.settle(tx, 'A', 'e', [entry(2, 'c')]))).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await go(tx => referee.settle(tx, 'A', 'f', []))).toMatchObject({ through: 0 })
  })
  it('of a rack that was removed rests, once the rack was silent for long enough', async () => {
    await go(tx => referee.tells(tx, 'A', ['s']))
    await go(tx => referee.reserve(tx, 'A', 's', 1, options))
    expect(await go(tx => goneRacks(tx, ['B'], 300))).toEqual([])
    await silent('A', 400)
    expect(await go(tx => goneRacks(tx, ['A'], 300))).toEqual([])
    expect(await go(tx => goneRacks(tx, ['B'], 300))).toEqual(['A'])
    await go(async tx => { await restReserve(tx, 'A'); await forgetRacks(tx, ['A']) })
    expect([(await grants()).size, await isTold(db, 'A', ['s'])]).toEqual([0, false])
  })
})

describe('claims', () => {
  it('are noted as lapsed bindings of whom the address is set aside for, once; the last one\'s ends', async () => {
    const mine = (client: string) => go(tx => claim(tx, [{ address: x, subnet: 's', client }]))
    await go(tx => referee.tells(tx, 'A', ['s']))
    expect(await mine('c')).toEqual([x])
    expect(await mine('c')).toEqual([])
    expect(await row()).toMatchObject({ mac: 'c', retiring: null })
    expect(await mine('d')).toEqual([x])
    expect(await row()).toMatchObject({ mac: 'c', waits_for: ['A'] })
    expect(await mine('d')).toEqual([])
    const round = String((await row())?.retiring)
    await go(tx => referee.forgotten(tx, 'A', [{ address: x, round }]))
    await lapse(60)
    expect(await mine('d')).toEqual([x])
    expect(await row()).toMatchObject({ mac: 'd', retiring: null })
    expect((await bind('d'))?.stored).toBe(true)
  })
})

describe('at the same time', () => {
  /** Runs the first until it has done its part, then the second beside it, and lets the first commit. */
  async function beside (first: (tx: Tx) => Promise<unknown>, second: (referee: Referee) => Promise<unknown>): Promise<boolean> {
    const done = Promise.withResolvers<void>()
    const ready = Promise.withResolvers<void>()
    const one = go(async tx => { await first(tx); ready.resolve(); await done.promise })
    await ready.promise
    let over = false
    const two = second(referee).then(() => { over = true })
    const waits = async (): Promise<boolean> => (await db.query(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length > 0
    while (!over && !await waits()) { /* until it is clear which */ }
    const waited = !over
    done.resolve()
    await Promise.all([one, two])
    return waited
  }
  it('a rack is told only after a retirement that did not wait for it has committed', async () => {
    await bind('c')
    await lapse(60)
    expect(await beside(tx => referee.retire(tx, [x]), referee => go(tx => referee.tells(tx, 'A', ['s'])))).toBe(true)
    expect(await row()).toMatchObject({ waits_for: [] })
    expect((await referee.bindingsOf(db, ['s']))[0]?.retiring).not.toBeNull() // what the rack reads now has ended
  })
  it('a retirement waits for a rack that is being told', async () => {
    await bind('c')
    await lapse(60)
    expect(await beside(tx => referee.tells(tx, 'A', ['s']), referee => go(tx => referee.retire(tx, [x])))).toBe(true)
    expect(await row()).toMatchObject({ waits_for: ['A'] })
  })
  it('a rack that is heard while it is given up either is not, or is answered its new standing', async () => {
    const prepare = async () => {
      await db.query('truncate dhcp.address, dhcp.rack, dhcp.told')
      await go(tx => referee.tells(tx, 'A', ['s']))
      await bind('c')
      await lapse(60)
      await go(tx => referee.retire(tx, [x]))
      await silent('A', 400)
    }
    await prepare()
    let standing = ''
    expect(await beside(tx => referee.giveUpOnSilent(tx, 300), async referee => { standing = (await go(tx => referee.heard(tx, 'A', 300))).standing })).toBe(true)
    expect(standing).toBe(await referee.standingOf(db, 'A'))
    expect(await row()).toMatchObject({ waits_for: [] })
    await prepare()
    expect(await beside(async tx => { standing = (await referee.heard(tx, 'A', 300)).standing }, referee => go(tx => referee.giveUpOnSilent(tx, 300)))).toBe(true)
    expect(standing).toBe(await referee.standingOf(db, 'A'))
    expect(await row()).toMatchObject({ waits_for: ['A'] })
  })
})
