/** No machine stays where it must not stay: deadlines under a clock the test moves, on a real database. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { overdueReason } from '../../../plugins/machines/deadlines.ts'
import { until } from '../../kit/wait.ts'
import { createParts, testTerm, type Parts } from './parts.ts'

let parts: Parts
beforeAll(async () => { parts = await createParts() })
afterAll(async () => { await parts.db.drop() })

const minute = 60_000
async function commissioning (mac: string): Promise<string> {
  return await parts.db.tx(async tx => {
    const { id } = await parts.machines.enlist(tx, { macs: [mac], bootMac: mac, architecture: 'x86_64', firmware: 'bios', vlanId: null, inventory: null })
    await parts.machines.act(tx, id, 'commission')
    return id
  })
}
const service = () => {
  const found = parts.running.machines.services.find(one => one.name === 'deadlines')
  if (found === undefined) throw new TypeError('no service')
  return found
}
const status = async (id: string) => (await parts.machines.get(parts.db, id))?.status

test('an overdue machine fails with the last thing heard; one that is in time does not', async () => {
  const silent = await commissioning('52:54:00:10:00:01')
  const talked = await commissioning('52:54:00:10:00:02')
  await parts.clock.advance(12 * minute)
  const fresh = await commissioning('52:54:00:10:00:03')
  await parts.db.tx(tx => parts.machines.record(tx, talked, { type: 'report', level: 'info', message: 'Reading the disks' }))
  const term = testTerm(parts.db)
  await service().start(new AbortController().signal, term)
  await until(() => parts.clock.sleepers === 1)
  expect(await status(silent)).toBe('Commissioning')
  await parts.clock.advance(8 * minute)
  for (let look = 0; look < 2; look++) { // one that was under way while the clock moved, and one after it
    await until(() => parts.clock.sleepers === 1)
    await parts.clock.advance(5_000)
  }
  await until(async () => await status(silent) === 'Failed commissioning' && await status(talked) === 'Failed commissioning')
  expect(await status(fresh)).toBe('Commissioning')
  expect((await parts.machines.get(parts.db, silent))?.reason).toMatch(/^Still Commissioning after 20 min\. Nothing was heard of the machine/)
  expect((await parts.machines.get(parts.db, talked))?.reason).toBe('Still Commissioning after 20 min. The last thing heard, 8 min ago: Reading the disks.')
  const wishes = await parts.db.query<{ action: string }>('select action from power.action where machine = $1', [silent])
  expect(wishes).toEqual([{ action: 'off' }])
  await service().stop()
})

test('a leader that has lost its term fails nobody; the next one does', async () => {
  const id = await commissioning('52:54:00:10:00:04')
  const lost = testTerm(parts.db)
  await service().start(new AbortController().signal, lost)
  lost.lose()
  await service().stop()
  await parts.clock.advance(21 * minute)
  expect(await status(id)).toBe('Commissioning')
  const refused = { ...testTerm(parts.db), write: async () => { throw new TypeError('refused') } }
  await service().start(new AbortController().signal, refused) // a term that has ended without this region knowing
  await until(() => parts.clock.sleepers === 1)
  expect(await status(id)).toBe('Commissioning')
  await service().stop()
  await service().start(new AbortController().signal, testTerm(parts.db))
  await until(async () => await status(id) === 'Failed commissioning')
  await service().stop()
  expect(service().health()).toMatchObject({ state: 'off' })
})

test('the reason tells how long, and what was last heard when', () => {
  const since = new Date(0)
  expect(overdueReason({ status: 'Deploying', since }, { at: new Date(2_390_000), message: 'wrote 12 MB' }, new Date(2_400_000))).toBe('Still Deploying after 40 min. The last thing heard, 10 s ago: wrote 12 MB.')
  expect(overdueReason({ status: 'Releasing', since }, undefined, new Date(60_000))).toMatch(/^Still Releasing after 60 s\. Nothing was heard/)
})
