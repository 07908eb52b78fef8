/** The leader's watch on a real database: silence comes into the history, but not the one that is only an outage seen afterwards. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { BedplateError } from '../../../core/errors.ts'
import type { KnownController, Term } from '../../../core/plugin.ts'
import { manifest } from '../../../plugins/tracking/manifest.ts'
import { history, putAll } from '../../../plugins/tracking/store.ts'
import { createSee } from '../../../plugins/tracking/view.ts'
import { createWatch } from '../../../plugins/tracking/watch.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { quiet as log } from '../../kit/parts.ts'
import { until } from '../../kit/wait.ts'

let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ migrations: [manifest] }) })
afterAll(async () => { await db.drop() })

const justNow = (): Date => new Date()
/** A moment that stays: whoever is silent is not heard of any later at the next look. */
function longAgo (): () => Date {
  const moment = new Date(Date.now() - 40_000)
  return () => moment
}
const since = '2030-01-01T00:00:00.000Z'
let heardOf: () => Date // when b was written down last; a always just now
let looks: number
let broken: boolean
beforeEach(async () => {
  await db.query('truncate tracking.controller, tracking.service, tracking.link, tracking.missed, tracking.history restart identity')
  for (const id of ['a', 'b']) await db.tx(tx => putAll(tx, id, 'make', [{ plugin: 'core', service: 'api', state: 'running', since, restarts: 0 }]))
  ;[heardOf, looks, broken] = [justNow, 0, false]
})
const stop = new AbortController()
const stops: (() => Promise<void>)[] = []
afterEach(async () => { for (const end of stops.splice(0)) await end() })

const list = async (): Promise<readonly KnownController[]> => {
  looks++
  if (broken) throw new BedplateError('UNAVAILABLE', { reason: 'the database is away' })
  return ['a', 'b'].map(id => ({ id, hostname: id, roles: ['region'], version: '1.0.0', linked: true, startedAt: null, addresses: [], rpcPort: null, httpPort: null, api: [], seenAt: id === 'a' ? justNow() : heardOf() }))
}
/** One that begins to lead. */
async function lead (quiet: number): Promise<void> {
  const term: Term = { number: 1n, signal: stop.signal, valid: () => true, write: work => db.tx(work) }
  const watch = createWatch({ db, see: createSee({ list }, 'a', quiet), clock: systemClock, log, keepDays: 30, keepRows: 1000, every: 20 })
  stops.push(() => watch.stop())
  await watch.start(stop.signal, term)
}
const told = async (): Promise<string[]> => (await history(db, { controller: 'b' }, undefined, 100)).map(({ service, state }) => `${service ?? '-'} ${state}`).toReversed()
const someLooks = async (): Promise<void> => { const before = looks; await until(() => looks >= before + 5, { what: 'some looks' }) }

test('whoever begins to lead after an outage tells nobody as silent who is written down again in time', async () => {
  heardOf = longAgo()
  await lead(15_000)
  await someLooks()
  expect(await told()).toEqual(['api running'])
  heardOf = justNow
  await until(async () => (await told()).length > 1)
  await someLooks()
  expect(await told()).toEqual(['api running', '- running'])
})

test('one who is silent all the same is told once the quiet time is over', async () => {
  heardOf = longAgo()
  const begun = Date.now()
  await lead(500)
  await until(async () => (await told()).includes('- unknown'))
  expect(Date.now() - begun).toBeGreaterThanOrEqual(500)
  await someLooks()
  expect(await told()).toEqual(['api running', 'api unknown', '- unknown'])
})

test('a look that fails is a gap: what looks silent afterwards is doubted anew', async () => {
  const see = createSee({ list }, 'a', 500)
  heardOf = longAgo()
  await until(async () => !(await see(db)).doubt)
  broken = true
  await expect(see(db)).rejects.toThrow()
  broken = false
  expect((await see(db)).doubt).toBe(true)
})
