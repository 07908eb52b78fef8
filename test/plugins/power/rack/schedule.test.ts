/** Thousands of things, each due at its place in the interval. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSchedule } from '../../../../plugins/power/rack/schedule.ts'

const options = { interval: 60_000, beat: 250, salt: 'rack-1', atOnce: 100 }
const keys = (count: number) => Array.from({ length: count }, (_, index) => `machine-${index}`)
/** The ms at which each key was due, looking every beat. */
function walk (schedule: ReturnType<typeof createSchedule>, from: number, to: number): Map<string, number[]> {
  const seen = new Map<string, number[]>()
  for (let now = from; now < to; now += 250) for (const key of schedule.due(now)) seen.set(key, [...seen.get(key) ?? [], now])
  return seen
}

test('5,000 are due once an interval each, at the same place every time, and evenly over it', () => {
  const schedule = createSchedule(options)
  for (const key of keys(5000)) schedule.add(key, 0)
  walk(schedule, 0, 120_000)
  const seen = walk(schedule, 120_000, 300_000)
  expect(seen.size).toBe(5000)
  for (const times of seen.values()) { expect(times).toHaveLength(3); expect(times[1]! - times[0]!).toBe(60_000); expect(times[2]! - times[1]!).toBe(60_000) }
  const perBeat = new Map<number, number>()
  for (const [first = 0] of seen.values()) perBeat.set(first, (perBeat.get(first) ?? 0) + 1)
  expect(Math.max(...perBeat.values())).toBeLessThan(60) // 21 on average
})

test('one that is new is due at once; of many at once, so many a second, and none later than its place', () => {
  const one = createSchedule(options)
  one.add('a', 10_100)
  expect([...walk(one, 10_250, 10_750).keys()]).toEqual(['a'])
  const many = createSchedule(options)
  for (const key of keys(5000)) many.add(key, 0)
  const first = walk(many, 0, 60_250)
  expect(first.size).toBe(5000)
  expect([...walk(createFilled(), 0, 1000).keys()].length).toBeLessThan(300)
})
const createFilled = () => { const schedule = createSchedule(options); for (const key of keys(5000)) schedule.add(key, 0); return schedule }

test('two racks do not look at the same moment', () => {
  const places = ['rack-1', 'rack-2'].map(salt => { const schedule = createSchedule({ ...options, salt }); for (const key of keys(100)) schedule.add(key, 0); walk(schedule, 0, 60_000); return walk(schedule, 60_000, 120_000) })
  expect(keys(100).filter(key => places[0]?.get(key)?.[0] === places[1]?.get(key)?.[0]).length).toBeLessThan(5)
})

test('asked for again, it is due then, and at its place after that', () => {
  const schedule = createSchedule(options)
  schedule.add('a', 0)
  const place = walk(schedule, 500, 61_000).get('a')?.at(-1) ?? 0
  schedule.again('a', 5_000, 61_000)
  expect(walk(schedule, 61_000, 61_000 + 60_000).get('a')).toContain(66_000)
  expect(walk(schedule, 121_000, 181_000).get('a')?.map(now => now % 60_000)).toEqual([place % 60_000])
  schedule.remove('a')
  expect(walk(schedule, 181_000, 300_000).size).toBe(0)
  expect(schedule.size).toBe(0)
})

test('after a pause of the process each is due once', () => {
  const schedule = createSchedule(options)
  for (const key of keys(50)) schedule.add(key, 0)
  walk(schedule, 0, 60_000)
  const late = schedule.due(10 * 60_000)
  expect([...late].sort()).toEqual(keys(50).sort())
  expect(schedule.due(10 * 60_000)).toEqual([])
})

test('whatever is done to it, none is lost and none is due twice in one look', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key: fc.integer({ min: 0, max: 9 }) }), fc.record({ kind: fc.constant('remove' as const), key: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constant('again' as const), key: fc.integer({ min: 0, max: 9 }), ms: fc.integer({ min: 0, max: 90_000 }) }), fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 100_000 }) })
  )
  fc.assert(fc.property(fc.array(operation, { maxLength: 60 }), operations => {
    const schedule = createSchedule(options)
    const there = new Set<string>()
    let now = 0
    for (const one of operations) {
      const key = 'key' in one ? `k${one.key}` : ''
      if (one.kind === 'add') { schedule.add(key, now); there.add(key) }
      if (one.kind === 'remove') { schedule.remove(key); there.delete(key) }
      if (one.kind === 'again') schedule.again(key, one.ms, now)
      if (one.kind === 'pass') { now += one.ms; const due = schedule.due(now); expect(new Set(due).size).toBe(due.length); for (const found of due) expect(there).toContain(found) }
      expect(schedule.size).toBe(there.size)
    }
    const seen = new Set<string>()
    for (let end = now + 61_000; now <= end; now += 250) for (const key of schedule.due(now)) seen.add(key)
    expect([...seen].sort()).toEqual([...there].sort())
  }))
})
