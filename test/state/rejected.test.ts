/** Facts that PostgreSQL itself cannot hold: set aside in a form it can, so that the rack's later facts do not wait for them for ever. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createMetrics } from '../../core/metrics.ts'
import { encodeFrame, protocol } from '../../core/rpc/frames.ts'
import type { Frame, Frames } from '../../core/rpc/frames.ts'
import { createFactStore } from '../../core/state/facts.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { Installation, facts, regionProbe, schema } from '../rpc/installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterAll(() => db.drop())

const deep = (): unknown => JSON.parse('['.repeat(200_000) + ']'.repeat(200_000))
const hostile: [what: string, body: unknown, kept: unknown][] = [
  ['a NUL', { name: 'a\0b' }, { name: 'a\uFFFDb' }],
  ['half a surrogate pair', { name: 'a\ud800' }, { name: 'a\uFFFD' }],
  ['the other half, in a key', { 'x\udfff': 1 }, { 'x\uFFFD': 1 }],
  ['more levels than the stack holds', deep(), 'nested too deeply to be kept']
]
test.each(hostile)('%s', async (what, body, kept) => {
  const { half } = regionProbe(db, 'region')
  const store = createFactStore({ db, halves: () => [half], clock: systemClock, log: quiet, metrics: createMetrics() })
  const item = (seq: number, body: unknown) => ({ seq, plugin: 'probe', kind: 'seen', at: new Date(0).toISOString(), body })
  const frame: Frames['facts'] = { t: 'facts', epoch: what, first: 1, items: [item(1, body), item(2, { n: 2 })] }
  expect(await store.store('rack', frame, AbortSignal.timeout(15_000))).toBe(2)
  expect(await db.query('select seq, body from core.fact_rejected where epoch = $1', [what])).toEqual([{ seq: '1', body: kept }])
  expect((await facts(db)).at(-1)).toBe(2)
})

test('facts out of order are a malformed frame: nothing of it is stored, and the link goes on', async () => {
  const region = await installation.region(db, { roles: ['region', 'rack'] })
  try {
    const { controller, connect } = region.end.loopback()
    const wire = connect()
    const got: string[] = []
    wire.listen(message => { got.push(JSON.stringify(message)) }, () => {})
    const say = (frame: Frame): void => { wire.send(encodeFrame(frame)) }
    const item = (seq: number) => ({ seq, plugin: 'probe', kind: 'seen', at: new Date(0).toISOString(), body: { n: seq } })
    const before = await facts(db)
    say({ t: 'hello', protocol, controller, roles: ['rack'], version: '1.0.0' })
    say({ t: 'facts', epoch: 'wrong', first: 7, items: [item(7), item(3)] })
    say({ t: 'facts', epoch: 'right', first: 8, items: [item(8), item(9)] })
    const stored = await until(() => got.find(text => text.includes('"t":"stored"')))
    expect(JSON.parse(stored)).toEqual({ t: 'stored', epoch: 'right', through: 9 })
    expect(await facts(db)).toEqual([...before, 8, 9])
  } finally { await installation.end(db) }
})
