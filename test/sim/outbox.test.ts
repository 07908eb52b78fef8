/** The simulation of the outbox: repeats itself by its seed, and finds what is wrong when something is. */
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../core/state/outbox.ts'
import { outbox } from './outbox.ts'
import { runMany } from './run.ts'

test('a seed tells the same story every time', async () => {
  const first = await outbox(7, { verbose: true })
  const [again, other] = await Promise.all([outbox(7, { verbose: true }), outbox(8, { verbose: true })])
  expect(again).toEqual(first)
  expect(first.lines.length).toBeGreaterThan(5)
  expect(other.hash).not.toBe(first.hash)
})

test('many seeds, in any company, give the same sum', async () => {
  const one = await runMany(seed => outbox(seed), 100, 40)
  const two = await runMany(seed => outbox(seed), 100, 40)
  expect(two.hash).toBe(one.hash)
  expect(one.failures).toEqual([])
  expect(one.facts.stored).toBeGreaterThan(1_000)
})

let life = 0
describe('it notices', () => {
  test.each<[string, (disk: Disk) => Disk, RegExp]>([
    ['facts that leave the disk when they are sent', disk => ({
      ...disk,
      oldest (count, size) {
        const items = disk.oldest(count, size)
        disk.settle(items.at(-1)?.seq ?? 0)
        return items
      }
    }), /left the disk/],
    ['a report that returns before the disk has the fact', disk => {
      const held: Parameters<Disk['append']>[] = []
      let seq = 1
      return { ...disk, append (...fact) { held.push(fact); while (held.length > 1) seq = disk.append(...held.shift() as Parameters<Disk['append']>) + 1; return seq } }
    }, /neither stored nor counted/],
    ['an outbox that calls itself anew with each start', disk => ({ ...disk, epoch: `${disk.epoch}-${++life}` }), /stored twice|stored after/],
    ['facts that are sent in another order', disk => ({ ...disk, oldest: (count, size) => [...disk.oldest(count, size)].reverse() }), /stored after|left the disk|neither stored/]
  ])('%s', async (_what, flawedDisk, expected) => {
    const { failures } = await runMany(seed => outbox(seed, { flawedDisk }), 1, 1_000)
    expect(failures.map(({ violation }) => violation)).toContainEqual(expect.stringMatching(expected))
  })
})
