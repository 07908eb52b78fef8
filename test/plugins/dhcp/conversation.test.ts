/** The conversation of a rack with a region the test plays: what is said, in which order, and what an answer that is late, doubled or lost leads to. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { createLogger } from '../../../core/log.ts'
import { Alone } from '../../../plugins/dhcp/alone/alone.ts'
import { Conversation } from '../../../plugins/dhcp/alone/conversation.ts'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { changed } from '../../../plugins/dhcp/alone/journal.ts'
import type { Journal, JournalState } from '../../../plugins/dhcp/alone/journal.ts'
import type { SyncParams, SyncResult, WantedEntry } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { Reach } from '../../../plugins/dhcp/alone/reach.ts'
import { manualClock } from '../../kit/clock.ts'
import type { ManualClock } from '../../kit/clock.ts'
import { segmentEntry } from './segment.ts'

const grants = [{ address: '192.0.2.101', subnet: 's1', grant: '1' }, { address: '192.0.2.102', subnet: 's1', grant: '2' }]
const fine: SyncResult = { standing: '7', autonomySeconds: 3600, through: 0, refused: [], reserves: grants, surplus: [] }
interface Call { readonly params: SyncParams, answer(result?: Partial<SyncResult>): Promise<void>, fail(error?: Error): Promise<void> }

let clock: ManualClock
let memory: Memory
let alone: Alone
let reach: Reach
let conversation: Conversation
let calls: Call[]
let kept: JournalState

beforeEach(async () => {
  clock = manualClock()
  memory = new Memory()
  calls = []
  kept = { epoch: 'e', last: 0, leases: [], reserve: [], heard: undefined }
  reach = new Reach(clock.now)
  const boot = { now: () => 5000 + clock.monotonic(), id: 'b' }
  const journal: Journal = { load: () => kept, commit (change) { kept = changed(kept, change) }, close () {} }
  alone = new Alone({ memory, boot, log: createLogger('silent'), gave: () => { conversation.wake() } })
  conversation = new Conversation({
    alone, memory, reach, clock, boot, log: createLogger('silent'), reserveSize: 2, journal: () => journal,
    sync: params => new Promise((resolve, reject) => {
      calls.push({
        params,
        async answer (result = {}) { resolve({ ...fine, ...result }); await clock.advance(0) },
        async fail (error = new BedplateError('LINK_DOWN', { controller: 'any' })) { reject(error); await clock.advance(0) }
      })
    })
  })
  memory.apply([segmentEntry('192.0.2.2'), { kind: 'standing', id: 'self', value: { number: '7' } }], [], true, 0)
  conversation.start()
  await clock.advance(0)
})
afterEach(async () => {
  const stopped = conversation.stop()
  await calls.at(-1)?.fail()
  await stopped
})
const give = (client: string, address: string) => {
  memory.offer(parseIp(address), 's1', client, 0)
  return alone.decide([{ address, subnet: 's1', client, clientId: null, hostname: null, seconds: 600 }])[0]?.answer.stored
}

describe('the conversation', () => {
  it('begins at once, one call at a time, and goes on every twenty seconds', async () => {
    expect(calls.map(({ params }) => params)).toEqual([{ epoch: 'e', last: 0, entries: [], forgotten: [], returned: [], subnets: [{ subnet: 's1', count: 2 }] }])
    conversation.wake()
    await clock.advance(60_000)
    expect(calls).toHaveLength(1)
    await calls[0]?.answer()
    expect(calls).toHaveLength(2) // what woke it meanwhile
    await calls[1]?.answer()
    await clock.advance(19_999)
    expect(calls).toHaveLength(2)
    await clock.advance(1)
    expect(calls).toHaveLength(3)
  })
  it('counts from before the question', async () => {
    await clock.advance(7000)
    await calls[0]?.answer()
    expect(alone.until).toBe(5000 + 3_600_000 - 60_000)
  })
  it('asks each second while nobody answers; then it tells what was given meanwhile, gives it back, and is done', async () => {
    await calls[0]?.answer()
    conversation.wake()
    await clock.advance(0)
    await calls[1]?.fail()
    expect(reach.cut).toBe(true)
    expect(give('c', '192.0.2.101')).toBe(true)
    await clock.advance(1000)
    await calls[2]?.fail()
    await clock.advance(1000)
    expect(calls[3]?.params).toMatchObject({ last: 1, entries: [{ seq: 1, from: 'reserve', client: 'c', address: '192.0.2.101', seconds: 600 }], returned: [] })
    await calls[3]?.answer({ through: 1 })
    expect(reach.cut).toBe(false)
    expect(calls[4]?.params).toMatchObject({ last: 1, entries: [], returned: [{ address: '192.0.2.101', grant: '1' }] })
    await calls[4]?.answer({ through: 1, reserves: grants.slice(1) })
    expect(kept).toMatchObject({ leases: [], reserve: [{ address: '192.0.2.102' }] })
    expect(calls).toHaveLength(5)
  })
  it('tells again what was carried out and not answered', async () => {
    await calls[0]?.answer()
    give('c', '192.0.2.101')
    await clock.advance(0)
    await calls[1]?.fail(new BedplateError('CALL_TIMEOUT', { method: 'sync', seconds: 5, controller: 'any' }))
    await clock.advance(1000)
    expect(calls[2]?.params.entries).toEqual(calls[1]?.params.entries)
    await calls[2]?.answer({ through: 1, reserves: grants })
    expect(calls[3]?.params.returned).toEqual([{ address: '192.0.2.101', grant: '1' }])
  })
  it.each([
    ['a lease', 0],
    ['an address given back', 1]
  ])('%s that is not taken is told once a second, though a region answers', async (_what, through) => {
    await calls[0]?.answer()
    give('c', '192.0.2.101')
    await clock.advance(0)
    if (through === 1) await calls[1]?.answer({ through })
    const at = calls.length
    await calls.at(-1)?.answer({ through })
    expect([reach.cut, calls.length]).toEqual([false, at])
    await clock.advance(999)
    expect(calls).toHaveLength(at)
    await clock.advance(1)
    expect(calls).toHaveLength(at + 1)
    expect(calls.at(-1)?.params).toMatchObject(through === 1 ? { entries: [], returned: [{ address: '192.0.2.101' }] } : { entries: [{ seq: 1 }] })
    await calls.at(-1)?.answer({ through: 1, reserves: through === 1 ? grants.slice(1) : grants })
    expect(calls).toHaveLength(at + (through === 1 ? 1 : 2)) // a lease was taken: what is to be given back is told at once
  })
  it('says that something is forgotten only when no lease is left to tell', async () => {
    await calls[0]?.answer()
    const retiring: WantedEntry = { kind: 'retiring', id: '192.0.2.150', value: { subnet: 's1', round: '9' } }
    memory.apply([retiring], [], false, 0)
    const addresses = Array.from({ length: 501 }, (_, index) => `198.51.${100 + (index >> 8)}.${index & 255}`)
    memory.apply(addresses.map((id): WantedEntry => ({ kind: 'binding', id, value: { subnet: 's1', client: 'c', clientId: null, expires: new Date(0).toISOString(), number: '1' } })), [], false, 0)
    expect(alone.decide(addresses.map(address => ({ address, subnet: 's1', client: 'c', clientId: null, hostname: null, seconds: 600 }))).every(one => one?.answer.stored)).toBe(true)
    await clock.advance(0)
    expect([calls[1]?.params.entries.length, calls[1]?.params.forgotten]).toEqual([500, []])
    await calls[1]?.answer({ through: 500 })
    expect([calls[2]?.params.entries.length, calls[2]?.params.forgotten]).toEqual([1, [{ address: '192.0.2.150', round: '9' }]])
  })
  it('what is given while a call is under way is told with the next one, and stays this rack\'s', async () => {
    await calls[0]?.answer()
    give('c', '192.0.2.101')
    await clock.advance(300_000) // so long that the lease is extended, not told again
    give('c', '192.0.2.101')
    await calls[1]?.answer({ through: 1 })
    expect(calls[2]?.params).toMatchObject({ entries: [{ seq: 2 }], returned: [] })
  })
  it('a journal that is refused is said to be, and is no sign of being cut off; what is known is not acted on', async () => {
    await calls[0]?.fail(new BedplateError('CONFLICT', { reason: 'The journal was set back.' }))
    expect([reach.cut, conversation.refused, alone.until]).toEqual([false, 'The journal was set back.', undefined])
    await clock.advance(1000)
    await calls[1]?.answer()
    expect([conversation.refused, alone.until]).toEqual([undefined, expect.any(Number)])
  })
})
