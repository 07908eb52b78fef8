/** VRRP's state machine step by step: who claims, who holds, who steps back, and up to when an address may be trusted. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Election, isHolder, pace } from '../../../../plugins/boot/floating/election.ts'
import type { Act } from '../../../../plugins/boot/floating/election.ts'

const source = (last: number): Uint8Array => Uint8Array.of(192, 0, 2, last)
const said = (acts: readonly Act[]): string => acts.map(act => act.kind === 'advertise' ? `advertise ${act.priority}` : act.kind).join(', ')
const voice = (priority: number, from = 9) => ({ priority, interval: pace.interval, source: source(from) })
const down = pace.interval * pace.down

let one: Election
/** Does as the member does: what is to be said has been sent. */
const tick = (now: number, who = one): string => { const acts = who.tick(now); if (acts.some(({ kind }) => kind === 'advertise')) who.sent(now); return said(acts) }
const held = (rank: number, now: number, last = 2): Election => {
  const who = new Election(rank, source(last), now - 5000)
  tick(now - 100, who)
  who.probed(true, now)
  who.sent(now)
  return who
}
beforeEach(() => { one = new Election(0, source(2), 0) })

describe('a rack', () => {
  test('listens for three intervals, claims the address, asks who has it, and holds it', () => {
    expect(one.next).toBe(down)
    expect(tick(down - 1)).toBe('')
    expect(tick(down)).toBe('advertise 61, probe')
    expect(one.state).toBe('claiming')
    expect(one.trustedUntil).toBe(-Infinity)
    expect(said(one.probed(true, down + 60))).toBe('advertise 125, hold')
    one.sent(down + 60)
    expect(one.state).toBe('holding')
    expect(one.trustedUntil).toBe(down + 60 + down - pace.margin)
    expect(tick(down + 60 + pace.interval - 1)).toBe('')
    expect(tick(down + 60 + pace.interval)).toBe('advertise 125')
  })
  test.each([[0, 0], [1, 37.5], [2, 75], [15, 562.5], [16, 562.5], [31, 562.5]])('of rank %i waits %f ms longer than three intervals', (rank, skew) => {
    expect(new Election(rank, source(2), 0).next).toBe(down + skew)
  })
  test('that has held it for a minute says so by its priority', () => {
    one = held(3, 10_000)
    expect([isHolder(1 + 48), isHolder(65)]).toEqual([false, true])
    for (let now = 10_000 + pace.interval; now < 10_000 + pace.settled; now += pace.interval) expect(tick(now)).toBe('advertise 113')
    expect(tick(10_000 + pace.settled)).toBe('advertise 177')
  })
  test('that finds the address in use leaves it, lets the others try, and tries again after five seconds', () => {
    tick(down)
    expect(said(one.probed(false, down + 60))).toBe('advertise 0')
    expect(one.next).toBe(down + 60 + pace.blocked)
    expect(tick(down + 60 + pace.blocked)).toBe('advertise 61, probe')
  })
  test('that was kept from it may have it at once after one that was not', () => {
    tick(down)
    one.probed(false, down + 60)
    one.heard(voice(20), down + 100)
    expect(one.next).toBe(down + 60 + pace.blocked)
    one.heard(voice(65), down + 200)
    one.heard(voice(0), down + 300)
    expect(one.next).toBe(down + 300)
  })
  test('that could not say a word does not take it', () => {
    one.tick(down)
    expect(said(one.probed(true, down + 60))).toBe('')
    expect(one.state).toBe('backup')
  })
  test('that ends says so when it had it, or was about to, and not otherwise', () => {
    expect(said(one.resign(10))).toBe('')
    expect(said(held(0, 10_000).resign(10_100))).toBe('yield, advertise 0')
    tick(down + 10)
    expect(said(one.resign(down + 20))).toBe('advertise 0')
  })
})

describe('a rack that listens', () => {
  test.each([1, 65, 189, 254, 255])('stays where it is while it hears priority %i, however low', priority => {
    for (let now = 0; now < 20_000; now += 1700) { expect(said(one.heard(voice(priority), now))).toBe(''); expect(tick(now + 1699)).toBe('') }
    expect(one.state).toBe('backup')
  })
  test('takes over at once, in the order of ranks, when the holder ends', () => {
    const two = new Election(1, source(3), 0)
    for (const who of [one, two]) { who.heard(voice(130), 100); who.heard(voice(0), 200) }
    expect([one.next, two.next]).toEqual([200, 237.5])
  })
  test('does not when somebody else gives up who only tried', () => {
    one.heard(voice(130, 9), 100)
    one.heard(voice(20, 7), 150)
    one.heard(voice(0, 7), 200)
    expect(one.next).toBe(150 + down)
  })
  test('waits no longer than six seconds for one with long intervals', () => {
    one.heard({ ...voice(130), interval: 40_950 }, 0)
    expect(one.next).toBe(6000)
  })
})

describe('two that have it, or claim it', () => {
  test.each([
    ['a claim', 61, 'advertise 125, announce'],
    ['one of lower rank', 121, 'advertise 125, announce'],
    ['one of the same priority and a lower address', 125, 'advertise 125, announce'],
    ['one that has held it for longer', 133, 'yield, advertise 0'],
    ['a router that owns it', 255, 'yield, advertise 0']
  ])('a holder of the first rank hears %s', (_, priority, acts) => { expect(said(held(0, 10_000).heard(voice(priority, 1), 10_200))).toBe(acts) })
  test('of equal priority the greater address counts', () => {
    expect(said(held(0, 10_000, 2).heard(voice(125, 3), 10_200))).toBe('yield, advertise 0')
  })
  test('claims give way to every holder, and to a claim of lower rank', () => {
    for (const [rank, priority] of [[0, 65], [1, 61]] as const) {
      const who = new Election(rank, source(2), 0)
      tick(down + 100, who)
      expect(said(who.heard(voice(priority), down + 110))).toBe('')
      expect(who.state).toBe('backup')
      expect(said(who.probed(true, down + 160))).toBe('')
    }
  })
  test('the one that stays tells the segment again when the other has given up: hosts may have been told of that one last', () => {
    expect(said(held(0, 10_000).heard(voice(0, 9), 10_200))).toBe('advertise 125, announce')
  })
  test('a flood of claims is answered ten times a second', () => {
    const who = held(0, 10_000)
    let answers = 0
    for (let now = 10_001; now < 11_001; now++) { if (who.heard(voice(1, 1), now).length > 0) { answers++; who.sent(now) } }
    expect(answers).toBeLessThanOrEqual(10)
  })
})

describe('a holder that was stopped, or whose words do not leave', () => {
  test('does not believe itself when it goes on, whatever it hears first', () => {
    expect(said(held(0, 10_000).tick(10_000 + pace.patience + 1))).toBe('yield')
    const who = held(0, 10_000)
    expect(said(who.heard(voice(65), 14_000))).toBe('yield')
    expect(who.state).toBe('backup')
    expect(who.next).toBe(14_000 + down)
  })
  test('tries to say it until then', () => {
    const who = held(0, 10_000)
    expect(said(who.tick(10_600))).toBe('advertise 125')
    expect(said(who.tick(11_200))).toBe('advertise 125')
    expect(said(who.tick(11_801))).toBe('yield')
  })
  test('has lost the address by the kernel\'s clock before another can have taken it', () => {
    const who = held(0, 10_000)
    expect(who.trustedUntil + 280).toBeLessThan(10_000 + down)
  })
})
