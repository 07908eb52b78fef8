/** Wishes carried out by the leader: through real PostgreSQL, the rack half, the driver, and a BMC with faults. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { systemClock } from '../../../core/clock.ts'
import type { Service } from '../../../core/plugin.ts'
import type { PowerActionName, PowerOutcome } from '../../../plugins/power/manifest.ts'
import type { RackClient } from '../../../plugins/power/region/racks.ts'
import { until } from '../../kit/wait.ts'
import { createParts, rackHere, rackThat, testTerm, type Parts } from '../machines/parts.ts'
import { addressOf, startBmc, type Bmc } from '../../kit/bmc.ts'

let parts: Parts
let bmc: Bmc
let outcomes: PowerOutcome[]
let states: string[]
async function open (actionTimeoutSeconds: number): Promise<void> {
  parts = await createParts({ clock: systemClock, actionTimeoutSeconds })
  outcomes = []
  states = []
  parts.power.hooks.outcome.tapPromise('test', async (_tx, outcome) => { outcomes.push(outcome) })
  parts.power.hooks.state.tapPromise('test', async (_tx, { from, to }) => { states.push(`${from} → ${to}`) })
}
beforeEach(async () => {
  bmc = await startBmc()
  await open(5)
})
afterEach(async () => {
  await actions().stop()
  await bmc.close()
  await parts.db.drop()
})

const actions = (): Service => {
  const found = parts.running.power.services.find(one => one.name === 'actions')
  if (found === undefined) throw new TypeError('no service')
  return found
}
const lead = async () => { const term = testTerm(parts.db); await actions().start(new AbortController().signal, term); return term }
const wish = async (action: PowerActionName, boot?: 'network', machine = 'm1') => {
  await parts.db.tx(tx => parts.power.enqueue(tx, machine, { action, ...(boot ? { boot } : {}) }))
  parts.running.power.changed?.([{ seq: '1', topic: 'power.action', id: machine }])
}
const configure = (address = addressOf(bmc), machine = 'm1') => parts.db.tx(tx => parts.power.configure(tx, machine, undefined, { address }))
const rows = (machine = 'm1') => parts.db.query<{ action: string, state: string, step: number, attempts: number, error: string | null, rack: string | null }>('select action, state, step, attempts, error, rack from power.action where machine = $1 order by id', [machine])
/** So many outcomes were told, and what told the last one is committed: a hook hears of it before. */
const told = (count: number) => until(async () => outcomes.length === count && !(await rows()).some(row => row.state === 'running'), { what: `${count} outcomes` })
const resets = () => bmc.log.filter(line => line.includes('Reset ')).map(line => line.split(' ').at(-1))

test('a cycle is off, then a start from the network; the state is stored and told', async () => {
  bmc.machine.set('on')
  await configure()
  await lead()
  await wish('cycle', 'network')
  await told(1)
  expect(outcomes).toEqual([{ machine: 'm1', action: 'cycle', ok: true, reason: null, rack: 'r1', superseded: false }])
  expect(resets()).toEqual(['ForceOff', 'On'])
  expect(bmc.machine.boots()).toEqual(['network'])
  expect(states).toEqual(['unknown → on'])
  expect(await rows()).toEqual([{ action: 'cycle', state: 'done', step: 1, attempts: 1, error: null, rack: 'r1' }])
  expect((await parts.power.states(parts.db, ['m1'])).get('m1')).toMatchObject({ state: 'on', error: null, checkedAt: expect.any(Date) })
})

test('a newer wish replaces one that waits; one that runs is let finish', async () => {
  await configure()
  await wish('on')
  await wish('off')
  await wish('cycle', 'network')
  expect((await rows()).map(row => `${row.action} ${row.state}`)).toEqual(['cycle queued'])
  bmc.faults.slow = 50
  await lead()
  await until(async () => (await rows())[0]?.state === 'running')
  await wish('on')
  await wish('off')
  await told(2)
  expect((await rows()).map(row => `${row.action} ${row.state}`)).toEqual(['cycle done', 'off done'])
  expect(outcomes.map(({ action, superseded }) => `${action} ${superseded}`)).toEqual(['cycle true', 'off false'])
  expect(bmc.machine.state()).toBe('off')
})

test('two wishes at once for one machine leave one waiting', async () => {
  await configure()
  await Promise.all((['on', 'off', 'cycle', 'on'] as const).map(action => wish(action)))
  expect(await rows()).toHaveLength(1)
})

test('an action whose leader dies between send and store is taken up, and the machine is switched once', async () => {
  await configure()
  let sent = 0
  const here = rackHere()
  const dying: { term?: ReturnType<typeof testTerm> } = {}
  parts.racks.set('r1', { ...here, execute: async (params, options) => { const done = await here.execute(params, options); if (params.action === 'on' && sent++ === 0) dying.term?.lose(); return done } })
  await wish('cycle', 'network')
  dying.term = await lead()
  await until(() => sent === 1)
  await actions().stop()
  expect((await rows())[0]).toMatchObject({ state: 'running', step: 1 })
  expect(outcomes).toEqual([])
  await lead()
  await told(1)
  expect(outcomes[0]).toMatchObject({ ok: true })
  expect(sent).toBe(2)
  expect(resets()).toEqual(['On'])
  expect(bmc.machine.switches()).toBe(1)
  expect((await rows())[0]).toMatchObject({ state: 'done', attempts: 2 })
})

test('a rack that is cut off or fails is passed over for the next one', async () => {
  await configure()
  const tried: string[] = []
  const failing = (code: 'LINK_DOWN' | 'CALL_TIMEOUT' | 'POWER_FAILED'): RackClient => rackThat({
    execute: async () => { tried.push(code); throw new BedplateError(code, { controller: 'x', method: 'execute', seconds: 1, action: 'on', reason: 'no route' }) }
  })
  parts.racks.clear()
  parts.racks.set('a', failing('LINK_DOWN')).set('b', failing('POWER_FAILED')).set('c', rackHere())
  await lead()
  await wish('on')
  await told(1)
  expect(tried).toEqual(['LINK_DOWN', 'POWER_FAILED'])
  expect(outcomes[0]).toMatchObject({ ok: true, rack: 'c' })
  await wish('off')
  await told(2)
  expect(tried).toHaveLength(2) // the rack that reached it is asked first now
})

test('what cannot get better fails at once, with the reason and without the password', async () => {
  await configure(addressOf(bmc, { user: 'root', password: 'hunter2' }))
  const tried: string[] = []
  const here = rackHere()
  for (const id of ['r1', 'r2']) parts.racks.set(id, { ...here, execute: (params, options) => { tried.push(id); return here.execute(params, options) } })
  await lead()
  await wish('on')
  await told(1)
  expect(tried).toEqual(['r1'])
  expect(outcomes[0]).toMatchObject({ ok: false, reason: expect.stringContaining('refuses the credentials') })
  expect(JSON.stringify([outcomes, await rows()])).not.toContain('hunter2')
  expect((await rows())[0]?.state).toBe('failed')
})

test('with no rack linked it waits for one', async () => {
  await configure()
  parts.racks.clear()
  await lead()
  await wish('on')
  await until(async () => (await rows())[0]?.state === 'running')
  parts.racks.set('r1', rackHere())
  await told(1)
  expect(outcomes[0]?.ok).toBe(true)
})

test('with no rack linked in time it fails', async () => {
  await parts.db.drop()
  await open(0.5)
  await configure()
  parts.racks.clear()
  await lead()
  await wish('off')
  await told(1)
  expect(outcomes[0]).toMatchObject({ ok: false, reason: expect.stringContaining('no rack controller is linked') })
})

test('a machine nobody has configured is powered by hand: done, and the operator told', async () => {
  parts.racks.clear()
  await lead()
  await wish('cycle', 'network')
  await told(1)
  expect(outcomes[0]).toEqual({ machine: 'm1', action: 'cycle', ok: true, reason: 'An operator must act: Switch it off, if it is on, and on again, booting from the network.', rack: null, superseded: false })
})

test('machines do not wait for each other', async () => {
  const slow = await startBmc()
  try {
    slow.faults.slow = 5_000 // longer than the other takes for all of it
    await configure(addressOf(slow), 'slow')
    await configure()
    await lead()
    await wish('on', undefined, 'slow')
    await wish('on')
    await told(1)
    expect(outcomes[0]?.machine).toBe('m1')
  } finally { await actions().stop(); await slow.close() }
})

test('a machine removed in the middle of an action leaves nothing behind', async () => {
  await configure()
  bmc.faults.slow = 30
  await lead()
  await wish('on')
  await until(() => bmc.log.length > 0)
  await parts.db.tx(tx => parts.power.remove(tx, 'm1'))
  await until(() => bmc.machine.state() === 'on')
  await actions().stop()
  expect(outcomes).toEqual([])
  expect(await rows()).toEqual([])
})

test('an action the driver does not have is refused when it is wished for', async () => {
  await configure()
  const [row] = await parts.db.query<{ sealed: string }>('select parameters::text || coalesce(secrets, \'\') as sealed from power.machine')
  expect(row?.sealed).not.toContain('calvin')
  await expect(wish('nonsense' as PowerActionName)).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED' })
})
