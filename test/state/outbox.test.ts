/** The pace of the outbox: what is reported on its own leaves at once, what comes thick and fast in batches, and nobody who waits is made to. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import { createMetrics } from '../../core/metrics.ts'
import type { Frames } from '../../core/rpc/frames.ts'
import { createOutbox } from '../../core/state/outbox.ts'
import type { Disk, Outbox } from '../../core/state/outbox.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { rackProbe } from '../rpc/installation.ts'

type Batch = Frames['facts']
let stop: AbortController
let box: Outbox
let frames: Batch[]
let slept: { readonly ms: number, readonly over: () => void }[]

/** A disk in memory, a region that stores at once, and a clock whose pauses the test ends. */
beforeEach(() => {
  stop = new AbortController()
  frames = []
  slept = []
  let items: Batch['items'][number][] = []
  let seq = 0
  const disk: Disk = {
    epoch: 'one',
    append: (plugin, kind, at, body) => { items.push({ seq: ++seq, plugin, kind, at, body: JSON.parse(body) as unknown }); return seq },
    oldest: most => items.slice(0, most),
    settle: through => { items = items.filter(item => item.seq > through) },
    depth: () => items.length,
    dropOldest: () => 0
  }
  const clock: Clock = { ...systemClock, sleep: (ms, signal) => new Promise(resolve => { if (ms === 50) slept.push({ ms, over: resolve }); signal?.addEventListener('abort', () => { resolve() }, { once: true }) }) }
  const link = { send: (frame: unknown) => { frames.push(frame as Batch); queueMicrotask(() => { box.stored(link, { t: 'stored', epoch: 'one', through: (frame as Batch).items.at(-1)?.seq ?? 0 }) }) } }
  box = createOutbox({ store: () => disk, halves: () => [rackProbe().half], clock, log: quiet, metrics: createMetrics(), links: () => [link], atOnce: 5 })
  void box.run(stop.signal)
})
afterEach(() => { stop.abort() })
const report = (n: number) => box.report('probe', 'seen', { n })
const sizes = (): number[] => frames.map(({ items }) => items.length)

test('one on its own leaves at once, what follows it within the pause leaves together', async () => {
  report(1)
  await until(() => slept.length === 1)
  for (const n of [2, 3, 4]) report(n)
  expect(sizes()).toEqual([1])
  slept[0]?.over()
  await until(() => slept.length === 2)
  expect(sizes()).toEqual([1, 3])
})
test('somebody who waits for one ends the pause', async () => {
  report(1)
  await until(() => slept.length === 1)
  expect(await report(2).stored()).toBe(true)
  expect(sizes()).toEqual([1, 1])
})
test('a batch that is full is followed by the next without a pause', async () => {
  report(0)
  await until(() => slept.length === 1)
  for (let n = 1; n <= 12; n++) report(n)
  slept[0]?.over()
  await until(() => slept.length === 2)
  expect(sizes()).toEqual([1, 5, 5, 2])
})
