/** A slow look makes way for an action, and is done after it. */
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { BedplateError } from '../../../../core/errors.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { createCall, type Call } from '../../../../plugins/power/rack/calls.ts'
import { createQueue } from '../../../../plugins/power/rack/queue.ts'
import { createStanding } from '../../../../plugins/power/rack/standing.ts'
import { createWay } from '../../../../plugins/power/rack/way.ts'
import { until } from '../../../kit/wait.ts'

const queue = createQueue()
const way = createWay()
const call = createCall({ kept: createKept(), queue, way, standing: createStanding(systemClock) })
const target = { machine: 'm', driver: 'manual', parameters: {} }
const caller = (signal = new AbortController().signal) => ({ controller: 'c', signal })
afterEach(async () => { await until(() => queue.size === 0) })

/** What a look at a BMC that does not answer does, the first time; the next one is answered. */
function slowly (order: string[]): Parameters<Call>[3] {
  let times = 0
  return async (_driver, _parameters, { signal }) => {
    order.push('look')
    if (++times > 1) return 'seen'
    await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    throw new BedplateError('POWER_FAILED', { action: 'look', reason: 'broken off' })
  }
}

test('a look under way, and one that waits, make way for an action and are answered after it', async () => {
  const order: string[] = []
  const looks = [call(target, caller(), 50_000, slowly(order), { looks: true }), call(target, caller(), 50_000, async () => { order.push('second'); return 'too' }, { looks: true })]
  await until(() => order.length === 1)
  way.clear('m')
  await call(target, caller(), 50_000, async () => { order.push('action') })
  expect(await Promise.all(looks)).toEqual(['seen', 'too'])
  expect(order).toEqual(['look', 'action', 'look', 'second'])
})

test('an action makes way for nobody, nor does a look at another machine', async () => {
  const order: string[] = []
  const gone = new AbortController()
  const action = call(target, caller(gone.signal), 50_000, slowly(order)).catch((error: unknown) => error)
  const other = call({ ...target, machine: 'n' }, caller(gone.signal), 50_000, slowly(order), { looks: true }).catch((error: unknown) => error)
  await until(() => order.length === 2)
  way.clear('m')
  let next = false
  const waiting = call(target, caller(), 50_000, async () => { next = true })
  await new Promise(resolve => { setImmediate(resolve) })
  expect(next).toBe(false)
  gone.abort() // whoever called: then it is the end of it
  expect([await action, await other]).toEqual([expect.objectContaining({ code: 'POWER_FAILED' }), expect.objectContaining({ code: 'POWER_FAILED' })])
  await waiting
  expect(order).toHaveLength(2)
})

test('a password that was refused is not tried once more', async () => {
  let times = 0
  const look = call(target, caller(), 50_000, async () => { times++; way.clear('m'); throw new BedplateError('POWER_AUTHENTICATION', { reason: 'wrong' }) }, { looks: true })
  await expect(look).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  expect(times).toBe(1)
})
