/** A rack that asks its BMCs and looks which it reaches: real BMCs, a region made of what the test says. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { BedplateError } from '../../../../core/errors.ts'
import { createKept, type Kept } from '../../../../plugins/power/kept.ts'
import { createBmcs, type BmcEntry } from '../../../../plugins/power/rack/bmcs.ts'
import { createCredentials } from '../../../../plugins/power/rack/credentials.ts'
import { createHello } from '../../../../plugins/power/rack/hello.ts'
import { createPoll, type Polling, type Seen } from '../../../../plugins/power/rack/poll.ts'
import { createQueue } from '../../../../plugins/power/rack/queue.ts'
import { createReach, type Reaching, type RouteTold } from '../../../../plugins/power/rack/reach.ts'
import { createTelling } from '../../../../plugins/power/rack/telling.ts'
import { manualClock } from '../../../kit/clock.ts'
import { until } from '../../../kit/wait.ts'
import { quiet } from '../../machines/parts.ts'
import { account, addressOf, startBmc, type Bmc } from '../../../kit/bmc.ts'

let bmc: Bmc
let kept: Kept
let poll: Polling
let reach: Reaching
let apply: ReturnType<typeof createBmcs>
const queue = createQueue()
const seen: Seen[] = []
const routes: RouteTold[] = []
let asked: string[][] = []
let password: string = account.password
let linked = true
const stored = { stored: async () => true }
beforeEach(async () => {
  bmc = await startBmc()
  kept = createKept()
  seen.length = routes.length = 0
  asked = []
  password = account.password
  linked = true
  const common = { clock: systemClock, log: quiet, rack: 'r1', seconds: 2 }
  reach = createReach({ ...common, hello: createHello(kept), report: told => { routes.push(...told); return stored } })
  poll = createPoll({
    ...common, kept, queue, reaching: reach, report: told => { seen.push(...told); return stored },
    region: { credentials: async ({ machines }) => {
      if (!linked) throw new BedplateError('LINK_DOWN', { controller: 'any region' })
      asked.push([...machines])
      return { machines: machines.map(machine => ({ machine, driver: 'redfish', parameters: { address: addressOf(bmc, { user: account.user, password }) }, version: password === account.password ? '1' : '2' })) }
    } }
  })
  apply = createBmcs([reach, poll])
  await Promise.all([reach.service, poll.service].map(service => service.start(new AbortController().signal)))
})
afterEach(async () => {
  await Promise.all([reach.service.stop(), poll.service.stop()])
  await kept.close()
  await bmc.close()
})
const entry = (more: Partial<BmcEntry> = {}): BmcEntry => ({ driver: 'redfish', endpoint: { by: 'tcp', host: '127.0.0.1', port: Number(new URL(bmc.url).port) }, poll: true, version: '1', turn: '0', ...more })
const put = (machine: string, value = entry()) => { apply({ put: [{ kind: 'bmc', id: machine, value }], remove: [] }, false) }
const logins = () => bmc.log.filter(line => line.startsWith('POST')).length

test('a BMC is looked at and asked at once, its credentials fetched once, and a change is told in its turn', async () => {
  put('m1')
  await until(() => routes.length === 1 && seen.length === 1)
  expect(routes[0]).toEqual({ endpoint: `tcp://127.0.0.1:${new URL(bmc.url).port}`, reachable: true, rtt: expect.any(Number) })
  expect(seen).toEqual([{ machine: 'm1', state: 'off', error: null, version: '1', turn: '0' }])
  bmc.machine.set('on')
  await until(() => seen.length === 2)
  expect(seen[1]).toMatchObject({ state: 'on' })
  expect(asked).toEqual([['m1']])
})

test('one that is another rack\'s is looked at, not asked', async () => {
  put('m1', entry({ poll: false }))
  await until(() => routes.length === 1)
  expect([asked, bmc.log]).toEqual([[], []])
})

test('without a region nothing is asked, and then all is', async () => {
  linked = false
  put('m1')
  await until(() => routes.length === 1)
  expect(bmc.log).toEqual([])
  linked = true
  await until(() => seen.length === 1)
})

test('a refused password is tried once; the next version of it at once', async () => {
  password = 'wrong'
  put('m1', entry({ version: '2' }))
  await until(() => seen.length === 1)
  expect(seen[0]).toMatchObject({ state: 'error', error: expect.stringContaining('refuses the credentials') })
  expect(JSON.stringify(seen)).not.toContain('"wrong"')
  const before = logins()
  put('m2', entry({ version: '2' })) // in its turn meanwhile
  await until(() => seen.some(({ machine }) => machine === 'm2'))
  expect(logins()).toBe(before)
  password = account.password
  put('m1')
  await until(() => seen.some(({ machine, state, version }) => machine === 'm1' && state === 'off' && version === '1'))
})

test('machines behind one place share an account: refused to one it is left alone for all, who tell the same problem, until it is another one', async () => {
  password = 'wrong'
  const blades = Array.from({ length: 16 }, (_, index) => `blade${index}`)
  const told = (machine: string) => seen.findLast(one => one.machine === machine)
  put('blade0', entry({ version: '2' }))
  await until(() => seen.length === 1)
  for (const blade of blades) put(blade, entry({ version: '2' }))
  await until(() => blades.every(blade => told(blade) !== undefined))
  expect(new Set(seen.map(({ state, error }) => `${state} ${error}`)).size).toBe(1)
  expect(told('blade9')).toMatchObject({ state: 'error', error: expect.stringContaining('refuses the credentials') })
  expect(logins()).toBe(1)
  password = account.password
  for (const blade of blades) put(blade)
  await until(() => blades.every(blade => told(blade)?.state === 'off'))
})

test('a BMC that is gone is told on both ways after two looks, and back', async () => {
  put('m1')
  await until(() => routes.length === 1 && seen.length === 1)
  const port = Number(new URL(bmc.url).port)
  await bmc.close()
  await until(() => routes.length >= 2 && seen.length >= 2)
  expect(routes[1]).toMatchObject({ reachable: false })
  expect(seen[1]).toMatchObject({ state: 'error' })
  const back = await startBmc()
  try {
    put('m1', entry({ endpoint: { by: 'tcp', host: '127.0.0.1', port: Number(new URL(back.url).port) }, version: '2' }))
    await until(() => routes.length === 3)
    expect(routes[2]).toMatchObject({ reachable: true })
    expect(routes[2]?.endpoint).not.toContain(`:${port}`)
  } finally { await back.close() }
})

test('a poll gives way to an action, and what it saw is not told', async () => {
  bmc.faults.slow = 5_000 // longer than it takes to see it under way
  put('m1')
  await until(() => queue.has('m1') && bmc.log.length > 0)
  const began = bmc.log.length
  poll.yield('m1')
  await until(() => !queue.has('m1'))
  expect(seen).toEqual([])
  expect(bmc.log.length).toBeLessThanOrEqual(began + 1)
  await bmc.close() // nobody is to wait for its answer
})

test('what a whole does not name is forgotten', async () => {
  put('m1')
  await until(() => seen.length === 1)
  apply({ put: [], remove: [] }, true)
  await until(() => !queue.has('m1'))
  const looks = bmc.log.length
  put('m2', entry({ poll: false }))
  await until(() => routes.length === 2)
  expect(bmc.log.length).toBe(looks)
})

test('one word on its way at a time: what comes meanwhile is the last word on each, news before the rest', async () => {
  const clock = manualClock()
  const sent: string[][] = []
  let gate = Promise.withResolvers<boolean>()
  const telling = createTelling<string>({ clock, log: quiet, soon: 50, late: 10_000, report: values => { sent.push([...values]); return { stored: () => gate.promise } } })
  const stop = new AbortController()
  const running = telling.run(stop.signal)
  telling.tell('a', 'a1', false)
  telling.tell('b', 'b1', true)
  await until(async () => { await clock.advance(50); return sent.length === 1 })
  expect(sent).toEqual([['b1']])
  for (const value of ['b2', 'b3']) telling.tell('b', value, true)
  await clock.advance(60_000)
  expect(sent).toHaveLength(1) // no region stores it
  gate.resolve(true)
  gate = Promise.withResolvers()
  await until(async () => { await clock.advance(50); return sent.length === 2 })
  expect(sent[1]).toEqual(['a1', 'b3'])
  gate.resolve(false) // dropped on the way: told again
  gate = Promise.withResolvers()
  await until(async () => { await clock.advance(1_000); return sent.length === 3 })
  expect(sent[2]).toEqual(['a1', 'b3'])
  gate.resolve(true)
  stop.abort()
  await running
})

test('places that wait to be looked at wait once, however often they come due meanwhile', async () => {
  const clock = manualClock()
  const answer = Promise.withResolvers<void>()
  const looks = new Map<string, number>()
  const slow = createReach({ clock, log: quiet, rack: 'r1', seconds: 100, report: () => stored, hello: async ({ host }) => { looks.set(host, (looks.get(host) ?? 0) + 1); await answer.promise; return { reachable: true, rtt: 1 } } })
  await slow.service.start(new AbortController().signal)
  for (let n = 0; n < 300; n++) slow.put(`m${n}`, entry({ endpoint: { by: 'tcp', host: `bmc${n}`, port: 443 } }))
  await clock.advance(1_000_000)
  expect(looks.size).toBe(128) // so many at once
  answer.resolve()
  await clock.advance(20_000) // a fifth of the interval
  expect(looks.size).toBe(300)
  expect(Math.max(...looks.values())).toBeLessThanOrEqual(2)
  const stopped = slow.service.stop()
  await clock.advance(2_000)
  await stopped
})

test('credentials that come after the BMC has become another rack\'s are not kept', async () => {
  const clock = manualClock()
  const answer = Promise.withResolvers<void>()
  const came: string[] = []
  const credentials = createCredentials({ clock, log: quiet, came: machine => { came.push(machine) }, region: { async credentials ({ machines }) {
    await answer.promise
    return { machines: machines.map(machine => ({ machine, driver: 'redfish', parameters: { address: addressOf(bmc) }, version: '1' })) }
  } } })
  const over = new AbortController()
  const running = credentials.run(over.signal)
  expect([credentials.of('m1', '1'), credentials.of('m2', '1')]).toEqual([undefined, undefined])
  await clock.advance(50)
  credentials.drop('m1')
  answer.resolve()
  await clock.advance(0)
  expect(came).toEqual(['m2'])
  expect([credentials.of('m1', '1'), credentials.of('m2', '1')]).toEqual([undefined, expect.objectContaining({ version: '1' })])
  over.abort()
  await clock.advance(50)
  await running
})
