/** Group commit and block refills: what waits leaves together, nothing is answered twice, nothing gets stuck. */
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../core/log.ts'
import { Blocks } from '../../../plugins/dhcp/rack/blocks.ts'
import type { Answer, Wish } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { Wishes } from '../../../plugins/dhcp/rack/wishes.ts'
import { manualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'

const wish = (number: number, mac = number): Wish => ({ address: `10.0.0.${number}`, subnet: 's1', client: `02:00:00:00:00:${String(mac).padStart(2, '0')}`, clientId: null, hostname: null, seconds: 600 })
const stored: Answer = { stored: true, expires: '2030-01-01T00:00:00.000Z', number: '1', reason: null, quiet: false }

/** A region whose calls return when the test says so. */
function region () {
  const calls: { wishes: readonly Wish[], answer(answers?: readonly Answer[]): void, fail(error: Error): void }[] = []
  const batches: [count: number, failed: boolean][] = []
  const wishes = new Wishes({
    call: wishes => new Promise((resolve, reject) => { calls.push({ wishes, answer: (answers = wishes.map(() => stored)) => { resolve(answers) }, fail: reject }) }),
    batched: (count, _seconds, failure) => { batches.push([count, failure !== undefined]) },
    monotonic: () => 0
  })
  const heard: [number, Answer | undefined][] = []
  const ask = (number: number, mac?: number) => { wishes.ask(wish(number, mac), answer => { heard.push([number, answer]) }) }
  return { calls, batches, wishes, heard, ask }
}

describe('wishes', () => {
  const addressOf = ({ address }: Wish): string => address
  const turn = () => new Promise(resolve => { setImmediate(resolve) })
  const asked = (calls: readonly { wishes: readonly Wish[] }[], count: number) => until(() => calls.length === count)

  it('what comes in one turn leaves together; what comes meanwhile leaves when that returns', async () => {
    const { calls, heard, ask, batches } = region()
    ask(1)
    ask(2)
    await asked(calls, 1)
    for (let number = 3; number <= 5; number++) ask(number)
    await Promise.resolve()
    expect(calls.map(({ wishes }) => wishes.map(addressOf))).toEqual([['10.0.0.1', '10.0.0.2']])
    calls[0]?.answer()
    await asked(calls, 2)
    expect(calls[1]?.wishes.map(addressOf)).toEqual(['10.0.0.3', '10.0.0.4', '10.0.0.5'])
    calls[1]?.answer()
    await until(() => heard.length === 5)
    expect(heard.map(([number]) => number)).toEqual([1, 2, 3, 4, 5])
    expect(batches).toEqual([[2, false], [3, false]])
  })
  it('sixteen that wait leave beside the batch under way, fewer do not; a third batch never does', async () => {
    const { calls, heard, ask, wishes } = region()
    const asking = async (from: number, to: number) => { for (let number = from; number <= to; number++) ask(number); await turn() }
    await asking(1, 1)
    await asking(2, 16)
    expect(calls.map(({ wishes }) => wishes.length)).toEqual([1])
    await asking(17, 17)
    expect(calls.map(({ wishes }) => wishes.length)).toEqual([1, 16])
    await asking(18, 40)
    expect([calls.length, wishes.size]).toEqual([2, 40])
    calls[1]?.answer() // the newer one first
    await turn()
    expect(calls.map(({ wishes }) => wishes.length)).toEqual([1, 16, 23])
    await asking(41, 43)
    calls[2]?.answer()
    await turn()
    expect(calls).toHaveLength(3) // too few to leave beside the oldest, which is still under way
    calls[0]?.answer()
    await turn()
    expect(calls.map(({ wishes }) => wishes.length)).toEqual([1, 16, 23, 3])
    calls[3]?.answer()
    await turn()
    expect([heard.length, wishes.size]).toEqual([43, 0])
  })
  it('a batch holds five hundred at most', async () => {
    const { calls, ask } = region()
    for (let number = 0; number < 1201; number++) ask(number)
    await asked(calls, 1)
    calls[0]?.answer()
    await asked(calls, 2)
    calls[1]?.answer()
    await asked(calls, 3)
    expect(calls.map(call => call.wishes.length)).toEqual([500, 500, 201])
  })
  it('a call that fails answers nobody with anything, and the next batch goes', async () => {
    const { calls, heard, ask, batches } = region()
    ask(1)
    await asked(calls, 1)
    ask(2)
    calls[0]?.fail(new Error('no region'))
    await asked(calls, 2)
    expect(heard).toEqual([[1, undefined]])
    calls[1]?.answer()
    await until(() => heard.length === 2)
    expect(batches).toEqual([[1, true], [1, false]])
  })
  it('a region that answers too little leaves the rest unanswered', async () => {
    const { calls, heard, ask } = region()
    ask(1)
    await asked(calls, 1)
    calls[0]?.answer([])
    await until(() => heard.length === 1)
    expect(heard).toEqual([[1, undefined]])
  })
  it('a retransmission joins the wish it repeats, waiting or under way, and alone hears the answer', async () => {
    const { calls, heard, ask, wishes } = region()
    ask(1)
    ask(1)
    await asked(calls, 1)
    ask(1)
    ask(2)
    ask(3)
    ask(3)
    expect(wishes.size).toBe(3)
    calls[0]?.answer()
    await asked(calls, 2)
    expect(calls.map(call => call.wishes.length)).toEqual([1, 2])
    calls[1]?.answer()
    await until(() => heard.length === 3)
    expect([heard, wishes.size]).toEqual([[[1, stored], [2, stored], [3, stored]], 0])
  })
  it('a wish for a longer lease is sent itself, though a shorter one is under way', async () => {
    const { calls, wishes } = region()
    const heard: number[] = []
    const askFor = (seconds: number) => { wishes.ask({ ...wish(1), seconds }, () => { heard.push(seconds) }) }
    askFor(600)
    await asked(calls, 1)
    askFor(1200)
    askFor(900) // joins the longer one, which waits
    calls[0]?.answer()
    await asked(calls, 2)
    expect(heard).toEqual([600])
    askFor(1100) // and now that it is under way
    expect(wishes.size).toBe(1)
    calls[1]?.answer()
    await until(() => heard.length === 2)
    expect([heard, calls.map(call => call.wishes.map(({ seconds }) => seconds))]).toEqual([[600, 1100], [[600], [1200]]])
  })
  it('two clients that wish for one address are two wishes', async () => {
    const { calls, ask } = region()
    ask(3, 1)
    ask(3, 2)
    await asked(calls, 1)
    expect(calls[0]?.wishes).toHaveLength(2)
  })
  it('one asked for from within an answer is not lost', async () => {
    const { calls, wishes, heard, ask } = region()
    wishes.ask(wish(1), () => { ask(2) })
    await asked(calls, 1)
    calls[0]?.answer()
    await asked(calls, 2)
    calls[1]?.answer()
    await until(() => heard.length === 1)
  })
})

describe('blocks', () => {
  function refilled (grant: (subnet: string) => Promise<{ addresses: string[] }>) {
    const clock = manualClock()
    const memory = new Memory()
    let calls = 0
    const blocks = new Blocks({ memory, clock, low: 2, log: createLogger('silent'), grant: ({ subnet }) => { calls++; return grant(subnet) } })
    return { clock, memory, blocks, calls: () => calls }
  }
  it('are asked for once at a time, and only when few are left', async () => {
    const { memory, blocks, calls } = refilled(async () => ({ addresses: ['10.0.0.1', '10.0.0.2'] }))
    blocks.refill('s1')
    blocks.refill('s1')
    await until(() => memory.freeCount('s1') === 2)
    blocks.refill('s1')
    expect(calls()).toBe(1)
  })
  it.each<readonly [string, () => Promise<{ addresses: string[] }>]>([
    ['fails', () => Promise.reject(new Error('no region'))], ['brings nothing', async () => ({ addresses: [] })]
  ])('a grant that %s is asked for again after a second, not before', async (_, grant) => {
    const { clock, blocks, calls } = refilled(grant)
    blocks.refill('s1')
    await clock.advance(999)
    blocks.refill('s1')
    expect(calls()).toBe(1)
    await clock.advance(1)
    blocks.refill('s1')
    expect(calls()).toBe(2)
  })
})

describe('without an answer', () => {
  /** Time in the test's hand; a right to the wishes with an even number. */
  function alone (options: { cut?: boolean, own?: number } = {}) {
    const clock = manualClock()
    const calls: { wishes: readonly Wish[], answer(): void, fail(error: Error): void }[] = []
    const heard: [number, Answer | undefined, number | undefined][] = []
    const reach: boolean[] = []
    const decided: number[][] = []
    let cut = options.cut ?? false
    const wishes = new Wishes({
      call: wishes => new Promise((resolve, reject) => { calls.push({ wishes, answer: () => { resolve(wishes.map(() => stored)) }, fail: reject }) }),
      monotonic: clock.monotonic,
      alone: {
        decide (batch) {
          decided.push(batch.map(numberOf))
          return batch.map(wish => numberOf(wish) % 2 === 0 ? { answer: { ...stored, number: null }, seconds: 300 } : undefined)
        },
        own: wish => numberOf(wish) === options.own,
        cut: () => cut,
        heard: failure => { reach.push(failure === undefined); cut = failure !== undefined },
        sleep: clock.sleep,
        boot: clock.monotonic
      }
    })
    const numberOf = ({ address }: Wish) => Number(address.split('.')[3])
    const ask = (number: number) => { wishes.ask(wish(number), (answer, seconds) => { heard.push([number, answer, seconds]) }) }
    return { clock, calls, heard, reach, decided, ask, settle: () => clock.advance(0) }
  }
  it('at once when there is no link, each by its right', async () => {
    const { calls, heard, ask, settle, decided } = alone()
    ask(2)
    await settle()
    calls[0]?.fail(new Error('LINK_DOWN'))
    await settle()
    ask(3)
    ask(4)
    await settle()
    expect(decided).toEqual([[2], [3, 4]])
    expect(calls).toHaveLength(1) // nobody is asked while nobody answers
    expect(heard).toEqual([[2, { ...stored, number: null }, 300], [3, undefined, undefined], [4, { ...stored, number: null }, 300]])
  })
  it('after a second; a late answer does no harm, and still counts for what the rack had no right to', async () => {
    const { clock, calls, heard, reach, ask, settle } = alone()
    ask(1)
    await settle()
    ask(2)
    await settle()
    calls[0]?.answer()
    await settle()
    await clock.advance(999)
    expect(heard.map(([number]) => number)).toEqual([1])
    await clock.advance(1)
    ask(3)
    await settle()
    expect(heard.map(([number, , seconds]) => [number, seconds])).toEqual([[1, undefined], [2, 300], [3, undefined]]) // 3 came while it was known to be cut off
    calls[1]?.answer()
    await settle()
    expect(heard.map(([number, answer]) => [number, answer?.stored])).toEqual([[1, true], [2, true], [3, undefined]])
    expect(reach).toEqual([true, false, true])
    ask(5)
    ask(7)
    await clock.advance(1500)
    expect(calls.map(({ wishes }) => wishes.length)).toEqual([1, 1, 2])
    calls[2]?.answer()
    await settle()
    expect(heard.filter(([number]) => number === 5)).toEqual([[5, stored, undefined]])
  })
  it('what is older than three seconds is not answered any more', async () => {
    const { clock, calls, heard, ask, settle } = alone()
    ask(1)
    await clock.advance(3_001)
    calls[0]?.answer()
    await settle()
    expect(heard).toEqual([[1, undefined, undefined]])
    ask(3)
    await clock.advance(500)
    calls[1]?.answer()
    await settle()
    expect(heard[1]).toEqual([3, stored, undefined])
  })
  it('a request repeated meanwhile does not make the region\'s answer any younger: the lease runs from when it was stored', async () => {
    const { clock, calls, heard, ask, settle } = alone()
    ask(1)
    await clock.advance(60_000) // stored, and then this process stood still
    ask(1) // what it reads first when it goes on
    calls[0]?.answer()
    await settle()
    expect(heard).toEqual([[1, undefined, undefined]])
  })
  it('what is of this rack\'s own reserve is never sent to a region', async () => {
    const { calls, heard, ask, settle } = alone({ own: 8 })
    ask(8)
    await settle()
    expect(calls).toEqual([])
    expect(heard).toEqual([[8, { ...stored, number: null }, 300]])
  })
})
