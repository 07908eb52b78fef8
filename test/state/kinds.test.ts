/** A rack whose region is one version ahead: kinds of entries it does not know yet are no reason to refuse those it knows. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ActiveRack } from '../../core/active.ts'
import { defineManifest } from '../../core/plugin.ts'
import type { WantedChange } from '../../core/plugin.ts'
import type { Frames } from '../../core/rpc/frames.ts'
import { openRackStore } from '../../core/state/store.ts'
import type { RackStore } from '../../core/state/store.ts'
import { createWanted } from '../../core/state/wanted.ts'
import { quiet } from '../kit/parts.ts'

let folder = ''
let store: RackStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinds-'))
  store = openRackStore(folder, reason => { throw new TypeError(reason) })
})
afterEach(async () => {
  store.close()
  await rm(folder, { recursive: true, force: true })
})

const manifest = defineManifest({ name: 'it', config: Type.Object({}), rpc: {}, facts: {}, wanted: { entry: Type.Object({ n: Type.Integer() }) } })
function rack () {
  const applied: (WantedChange & { readonly whole: boolean })[] = []
  const half: ActiveRack = { manifest, running: { provides: {}, rpc: {}, services: [], apply (change, whole) { applied.push({ ...change, whole }) } } }
  return { applied, wanted: createWanted({ store: () => store, halves: () => [half], log: quiet }) }
}
const frame = (change: Partial<Frames['wanted']>): Frames['wanted'] => ({ t: 'wanted', plugin: 'it', from: '', to: 'p1', whole: true, put: [], remove: [], ...change })

test('an entry of an unknown kind is passed over; those beside it are taken', () => {
  const { applied, wanted } = rack()
  expect(wanted.take(frame({ put: [{ kind: 'novelty', id: 'x', value: 1 }, { kind: 'entry', id: 'a', value: { n: 1 } }] }))).toEqual({ t: 'ack', plugin: 'it', position: 'p1' })
  expect(wanted.take(frame({ whole: false, from: 'p1', to: 'p2', put: [{ kind: 'entry', id: 'b', value: { n: 2, later: true } }], remove: [{ kind: 'novelty', id: 'x' }] }))).toEqual({ t: 'ack', plugin: 'it', position: 'p2' })
  expect(applied).toEqual([{ whole: true, put: [{ kind: 'entry', id: 'a', value: { n: 1 } }], remove: [] }, { whole: false, put: [{ kind: 'entry', id: 'b', value: { n: 2, later: true } }], remove: [] }])
  expect(store.entries('it').map(({ id }) => id)).toEqual(['a', 'b'])
  expect(wanted.health().state).toBe('running')
})

test('a change of unknown kinds only moves the position, and nothing is applied', () => {
  const { applied, wanted } = rack()
  wanted.take(frame({}))
  expect(wanted.take(frame({ whole: false, from: 'p1', to: 'p2', put: [{ kind: 'novelty', id: 'x', value: 1 }] }))).toEqual({ t: 'ack', plugin: 'it', position: 'p2' })
  expect(applied).toHaveLength(1)
  expect(wanted.positions()).toEqual({ it: 'p2' })
})

test('an entry of a known kind that is not valid is refused with all beside it, as ever', () => {
  const { wanted } = rack()
  expect(wanted.take(frame({ put: [{ kind: 'novelty', id: 'x', value: 1 }, { kind: 'entry', id: 'a', value: { n: 'one' } }] }))).toMatchObject({ position: '', error: expect.stringContaining('entry a is not valid') })
  expect(store.entries('it')).toEqual([])
})
