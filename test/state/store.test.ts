/** The rack's disk: all of a change or nothing of it, and a life that survives damage. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { createLogger } from '../../core/log.ts'
import type { Frames } from '../../core/rpc/frames.ts'
import { openRackStore } from '../../core/state/store.ts'
import { createWanted } from '../../core/state/wanted.ts'
import { Installation, rackProbe } from '../rpc/installation.ts'

const installation = new Installation()
afterAll(() => installation.end())
const never = () => { throw new TypeError('not damaged') }
const a = { kind: 'entry', id: 'a', value: { n: 1 } }
const b = { kind: 'entry', id: 'b', value: { n: 2 } }

test('a change whose apply throws leaves nothing on disk', async () => {
  const store = openRackStore(await installation.directory(), never)
  store.change('p', '1', true, [a], [], () => {})
  expect(() => { store.change('p', '2', true, [b], [], () => { throw new TypeError('no') }) }).toThrowError('no')
  expect([store.entries('p'), store.positions().get('p')]).toEqual([[a], '1'])
  store.change('p', '3', false, [b], [a], () => {})
  expect([store.entries('p'), store.positions().get('p')]).toEqual([[b], '3'])
  store.close()
})

test('sequence numbers are never used again, also when all facts are gone and the file is opened anew', async () => {
  const directory = await installation.directory()
  const store = openRackStore(directory, never)
  for (const n of [1, 2, 3]) store.append('p', 'k', 'now', String(n))
  store.settle(3)
  const { epoch } = store
  store.close()
  const again = openRackStore(directory, never)
  again.append('p', 'k', 'now', '4')
  expect([again.epoch, again.depth(), again.oldest(10, 1000).map(item => item.seq)]).toEqual([epoch, 1, [4]])
  again.close()
})

test('batches end at their count or size, and hold at least one', async () => {
  const store = openRackStore(await installation.directory(), never)
  for (let n = 0; n < 20; n++) store.append('p', 'k', 'now', JSON.stringify('x'.repeat(1000)))
  expect(store.oldest(7, 1_000_000)).toHaveLength(7)
  expect(store.oldest(100, 6500)).toHaveLength(5)
  expect(store.oldest(100, 1)).toHaveLength(1)
  store.close()
})

test('a damaged file is put aside, said, and replaced; its facts begin a new life', async () => {
  const directory = await installation.directory()
  const store = openRackStore(directory, never)
  store.append('p', 'k', 'now', '1')
  const { epoch } = store
  store.close()
  const bytes = await readFile(`${directory}/rack.db`)
  await writeFile(`${directory}/rack.db`, bytes.fill(0x55))
  const told: string[] = []
  const fresh = openRackStore(directory, reason => { told.push(reason) })
  expect([told.length, fresh.depth(), fresh.epoch === epoch]).toEqual([1, 0, false])
  expect((await readdir(directory)).some(name => name.startsWith('rack.db.damaged-'))).toBe(true)
  fresh.close()
})

test('odd frames of wanted state are refused with a reason, and never throw', async () => {
  const store = openRackStore(await installation.directory(), never)
  const probe = rackProbe()
  const wanted = createWanted({ store: () => store, halves: () => [probe.half], log: createLogger('silent') })
  const frame = (over: Partial<Frames['wanted']>): Frames['wanted'] => ({ t: 'wanted', plugin: 'probe', from: '', to: '1', whole: true, put: [], remove: [], ...over })
  expect(wanted.positions()).toEqual({ probe: '' })
  expect(wanted.take(frame({ put: [a] }))).toEqual({ t: 'ack', plugin: 'probe', position: '1' })
  expect(wanted.take(frame({ plugin: 'none' }))?.error).toContain('no plugin none')
  expect(wanted.take(frame({ whole: false, from: '9', to: '10' }))).toMatchObject({ position: '1', error: expect.stringContaining('not at the position') })
  expect(wanted.take(frame({ whole: false, from: '1', to: '1', put: [{ kind: 'toString', id: 'x', value: 1 }] }))).toEqual({ t: 'ack', plugin: 'probe', position: '1' }) // a kind of a later version, for all this rack knows
  expect(wanted.take(frame({ to: '2', put: [b], more: true }))).toBeUndefined()
  wanted.forget() // the link broke between the parts
  expect(wanted.take(frame({ to: '2', put: [a] }))).toMatchObject({ position: '2' })
  expect([...probe.state.keys()]).toEqual(['a'])
  expect(store.entries('probe')).toEqual([a])
  store.close()
})
