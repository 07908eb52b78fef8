/** What a rack may do without a region, rule by rule: how long, for whom, from what, and what is on disk by then. */
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../core/log.ts'
import { BedplateError } from '../../../core/errors.ts'
import { Alone } from '../../../plugins/dhcp/alone/alone.ts'
import { margin, secondsLeft, until } from '../../../plugins/dhcp/alone/autonomy.ts'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { changed } from '../../../plugins/dhcp/alone/journal.ts'
import type { Heard, JournalChange, JournalState } from '../../../plugins/dhcp/alone/journal.ts'
import type { WantedEntry, Wish } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { Reserve } from '../../../plugins/dhcp/alone/reserve.ts'

const hour = 3_600_000
const heard: Heard = { boot: 'b', start: 1000, standing: '7', autonomySeconds: 3600 }

describe('the right to act on knowledge', () => {
  it.each([
    ['ends an hour after the last question that was answered, less a margin', heard, 'b', '7', 1000 + hour - 60_000],
    ['is none before any answer', undefined, 'b', '7', undefined],
    ['is none after another start of the host', heard, 'other', '7', undefined],
    ['is none while the wanted state shows another standing', heard, 'b', '6', undefined],
    ['is none while it shows none', heard, 'b', undefined, undefined],
    ['has a margin of a hundredth where that is more', { ...heard, autonomySeconds: 100_000 }, 'b', '7', 1000 + 99_000_000]
  ] as const)('%s', (_, heard, boot, shown, end) => { expect(until(heard, boot, shown)).toBe(end) })
  it('has a margin of a minute at least', () => { expect([margin(300), margin(6000), margin(604_800)]).toEqual([60_000, 60_000, 6_048_000]) })
  it.each([
    [undefined, 0, 600, undefined], [700_000, 0, 600, 600], [600_999, 0, 900, 600], [60_000, 0, 600, 60], [59_999, 0, 600, undefined], [40_000, 0, 30, 30], [29_000, 0, 30, undefined], [1000, 5000, 600, undefined]
  ])('until %s at %s, of %s wished: %s', (end, now, wished, seconds) => { expect(secondsLeft(end, now, wished)).toBe(seconds) })
})

describe('the reserve', () => {
  const reserveOf = (...addresses: string[]) => {
    const reserve = new Reserve()
    for (const [index, address] of addresses.entries()) reserve.put({ address, subnet: 's', grant: String(index), returning: false })
    return reserve
  }
  it('gives each address to one client until the lease is over and has rested; its client may come back until somebody has it', () => {
    const reserve = reserveOf('10.0.0.1', '10.0.0.2')
    const [one] = [parseIp('10.0.0.1')]
    reserve.leased({ address: '10.0.0.1', client: 'c' }, 5000)
    expect([reserve.holder(one, 14_999), reserve.holder(one, 15_000), reserve.leaseOf('c')]).toEqual(['c', undefined, one])
    expect([[...reserve.free('s', 14_999)].length, [...reserve.free('s', 15_000)].length]).toEqual([1, 2])
    reserve.leased({ address: '10.0.0.1', client: 'd' }, 90_000)
    expect([reserve.leaseOf('c'), reserve.leaseOf('d'), reserve.holder(one, 20_000)]).toEqual([undefined, one, 'd'])
  })
  it('that is given back is not given to anybody', () => {
    const reserve = reserveOf('10.0.0.1')
    reserve.put({ address: '10.0.0.1', subnet: 's', grant: '0', returning: true })
    expect([reserve.holds(parseIp('10.0.0.1')), reserve.free('s', 0).size]).toEqual([false, 0])
    reserve.put({ address: '10.0.0.1', subnet: 's', grant: '9', returning: false }) // granted anew
    expect(reserve.free('s', 0).size).toBe(1)
  })
  it('that is extended is free later, not at its first end', () => {
    const reserve = reserveOf('10.0.0.1')
    reserve.leased({ address: '10.0.0.1', client: 'c' }, 5000)
    reserve.leased({ address: '10.0.0.1', client: 'c' }, 50_000)
    expect([reserve.free('s', 20_000).size, reserve.free('s', 60_000).size]).toEqual([0, 1])
  })
})

/** A rack alone over a journal in memory. */
function aloneWith (entries: readonly WantedEntry[] = [], state: Partial<JournalState> = {}) {
  const memory = new Memory()
  memory.apply([{ kind: 'standing', id: 'self', value: { number: '7' } }, ...entries], [], true, 0)
  const at = { now: 2000, boot: 'b', failing: false, commits: [] as JournalChange[] }
  let kept: JournalState = { epoch: 'e', last: 0, leases: [], reserve: [], heard, ...state }
  const alone = new Alone({ memory, boot: { now: () => at.now, get id () { return at.boot } }, log: createLogger('silent') })
  const journal = {
    load: () => kept,
    commit (change: JournalChange) {
      if (at.failing) throw new BedplateError('INTERNAL', { reason: 'the disk is full' })
      at.commits.push(change)
      kept = changed(kept, change)
    },
    close () {}
  }
  alone.open(journal)
  return { alone, memory, at, kept: () => kept }
}
const binding = (address: string, client = 'c', number = '5'): WantedEntry => ({ kind: 'binding', id: address, value: { subnet: 's', client, clientId: null, expires: new Date(0).toISOString(), number } })
const wish = (address: string, client = 'c', seconds = 600): Wish => ({ address, subnet: 's', client, clientId: null, hostname: null, seconds })
const reserve = [{ address: '10.0.0.1', subnet: 's', grant: '1', returning: false }, { address: '10.0.0.2', subnet: 's', grant: '2', returning: false }]

describe('a rack alone', () => {
  it('extends for whom it knows the address of, lapsed or not, and for nobody else', () => {
    const { alone, at } = aloneWith([binding('10.0.0.9')])
    const outcomes = alone.decide([wish('10.0.0.9'), wish('10.0.0.9', 'd'), wish('10.0.0.8')])
    expect(outcomes.map(one => one?.seconds)).toEqual([600, undefined, undefined])
    expect(outcomes[0]?.answer).toMatchObject({ stored: true, number: '5' })
    expect(at.commits).toHaveLength(1)
  })
  it('not what it was asked to forget, though the two come together or in the wrong order', () => {
    const retiring: WantedEntry = { kind: 'retiring', id: '10.0.0.9', value: { subnet: 's', round: '6' } }
    for (const entries of [[binding('10.0.0.9'), retiring], [retiring, binding('10.0.0.9')]]) expect(aloneWith(entries).alone.decide([wish('10.0.0.9')])).toEqual([undefined])
    expect(aloneWith([binding('10.0.0.9', 'c', '8'), retiring]).alone.decide([wish('10.0.0.9')])[0]?.seconds).toBe(600) // it came back since
    const { memory, alone } = aloneWith([binding('10.0.0.9'), retiring])
    expect(memory.forgotten()).toEqual([{ address: '10.0.0.9', round: '6' }])
    memory.apply([], [{ kind: 'retiring', id: '10.0.0.9' }], false, 1000)
    memory.bound({ subnet: 's', client: 'c', clientId: null, address: parseIp('10.0.0.9'), expires: 0, number: '5' }) // an answer that was under way
    expect(alone.decide([wish('10.0.0.9')])).toEqual([undefined])
  })
  it('not what it once said it has forgotten, though its disk shows it again', () => {
    const first = aloneWith([binding('10.0.0.9')])
    expect(first.alone.forgetting([{ address: '10.0.0.9', round: '6' }])).toEqual([{ address: '10.0.0.9', round: '6' }])
    first.alone.forgetting([{ address: '10.0.0.9', round: '6' }])
    expect(first.at.commits).toEqual([{ forgot: [{ address: '10.0.0.9', round: '6' }] }])
    const { alone } = aloneWith([binding('10.0.0.9')], first.kept())
    expect([alone.knows(parseIp('10.0.0.9'), 'c'), alone.decide([wish('10.0.0.9')])]).toEqual([false, [undefined]])
    expect(aloneWith([binding('10.0.0.9', 'c', '7')], first.kept()).alone.decide([wish('10.0.0.9')])[0]?.seconds).toBe(600)
    const failing = aloneWith([binding('10.0.0.9')])
    failing.at.failing = true
    expect(() => failing.alone.forgetting([{ address: '10.0.0.9', round: '6' }])).toThrow('the disk is full')
  })
  it('gives from its reserve only what it offered or the client has, one client an address, also within a batch', () => {
    const { alone, memory } = aloneWith([], { reserve })
    memory.offer(parseIp('10.0.0.1'), 's', 'c', 0)
    const outcomes = alone.decide([wish('10.0.0.1'), wish('10.0.0.1', 'd'), wish('10.0.0.1'), wish('10.0.0.2')])
    expect(outcomes.map(one => one?.answer.stored)).toEqual([true, false, true, false])
    expect(alone.decide([wish('10.0.0.1')])[0]?.answer.stored).toBe(true)
    expect(alone.undelivered).toBe(2) // the last is promised what is left of what is written
  })
  it('gives nothing when its disk fails, and remembers nothing of it', () => {
    const { alone, memory, at } = aloneWith([binding('10.0.0.9')], { reserve })
    memory.offer(parseIp('10.0.0.1'), 's', 'c', 0)
    at.failing = true
    expect(alone.decide([wish('10.0.0.1'), wish('10.0.0.9')])).toEqual([undefined, undefined])
    expect([alone.undelivered, alone.last, alone.reserve.holder(parseIp('10.0.0.1'), 0), alone.broken]).toEqual([0, 0, undefined, expect.stringContaining('the disk is full')])
    at.failing = false
    expect(alone.decide([wish('10.0.0.1')])[0]?.answer.stored).toBe(true)
    expect([alone.last, alone.broken]).toEqual([1, undefined])
  })
  it('counts a lease from before the last start of the host anew', () => {
    const lease = { ...wish('10.0.0.1'), seq: 1, from: 'reserve' as const, ends: 3000, boot: 'b' }
    expect(aloneWith([], { reserve, leases: [lease], last: 1 }).alone.reserve.holder(parseIp('10.0.0.1'), 100_000)).toBeUndefined()
    expect(aloneWith([], { reserve, leases: [{ ...lease, boot: 'earlier' }], last: 1 }).alone.reserve.holder(parseIp('10.0.0.1'), 100_000)).toBe('c')
  })
  it('gives no lease of more than a day', () => {
    const { alone, memory } = aloneWith([], { reserve })
    memory.offer(parseIp('10.0.0.1'), 's', 'c', 0)
    expect(alone.decide([wish('10.0.0.1', 'c', 1_000_000)])[0]?.seconds).toBe(86_400)
  })
})

describe('a region\'s answer', () => {
  const give = () => {
    const parts = aloneWith([], { reserve })
    parts.memory.offer(parseIp('10.0.0.1'), 's', 'c', 0)
    parts.alone.decide([wish('10.0.0.1')])
    return parts
  }
  const listed = reserve.map(({ address, subnet, grant }) => ({ address, subnet, grant }))
  it('that the lease is stored makes the rack give the address back; that is over when it is listed no more', () => {
    const { alone, kept } = give()
    alone.commit(alone.answered({ through: 1, reserves: listed, surplus: [] }, heard))
    expect(kept()).toMatchObject({ leases: [], reserve: [{ address: '10.0.0.1', returning: true }, { address: '10.0.0.2', returning: false }] })
    alone.commit(alone.answered({ through: 1, reserves: listed.slice(1), surplus: [] }, heard))
    expect(kept().reserve.map(({ address }) => address)).toEqual(['10.0.0.2'])
  })
  it('that came before a later lease leaves the address here until that is stored too', () => {
    const { alone, at, kept } = give()
    at.now += 200_000
    alone.decide([wish('10.0.0.1')])
    alone.commit(alone.answered({ through: 1, reserves: listed, surplus: ['10.0.0.1'] }, heard))
    expect(kept()).toMatchObject({ leases: [{ seq: 2 }], reserve: [{ returning: false }, { returning: false }] })
    alone.commit(alone.answered({ through: 2, reserves: listed, surplus: [] }, heard))
    expect(kept()).toMatchObject({ leases: [], reserve: [{ returning: true }, { returning: false }] })
  })
  it('brings new addresses, and asks for surplus ones back', () => {
    const { alone, kept } = aloneWith([], { reserve })
    alone.commit(alone.answered({ through: 0, reserves: [...listed, { address: '10.0.0.3', subnet: 's', grant: '3' }], surplus: ['10.0.0.2'] }, heard))
    expect(kept().reserve.map(({ address, returning }) => `${address} ${returning}`)).toEqual(['10.0.0.1 false', '10.0.0.2 true', '10.0.0.3 false'])
    expect(alone.reserve.free('s', 0).size).toBe(2)
  })
  it('that what was given is not this rack\'s any more ends it here', () => {
    const { alone, kept } = give()
    alone.commit(alone.answered({ through: 1, reserves: [], surplus: [] }, heard))
    expect(kept()).toMatchObject({ leases: [], reserve: [] })
  })
})
