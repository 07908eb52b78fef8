/** What a machine is answered when it says something: whether a region has stored it, or its rack alone keeps it. */
import { afterEach, describe, expect, test } from 'vitest'
import { createTold } from '../../../plugins/provision/told.ts'
import { archive } from './archive.ts'
import { rackHalf, session } from './rack.rig.ts'

/** Facts that are stored when the test says so. */
function region () {
  const facts: { readonly settle: (stored: boolean) => void, readonly promise: Promise<boolean> }[] = []
  return {
    facts,
    report: () => {
      const { promise, resolve } = Promise.withResolvers<boolean>()
      facts.push({ settle: resolve, promise })
      return { stored: (signal?: AbortSignal) => Promise.race([promise, ...signal === undefined ? [] : [new Promise<boolean>(end => { signal.addEventListener('abort', () => { end(false) }) })]]) }
    }
  }
}

describe('what is told', () => {
  test('is stored when a region has it in time', async () => {
    const { facts, report } = region()
    const answer = createTold(60_000).tell('report', { stage: 'a' }, report)
    facts[0]?.settle(true)
    expect(await answer).toBe(true)
  })
  test('is only kept when none has', async () => {
    const { report } = region()
    expect(await createTold(20).tell('report', { stage: 'a' }, report)).toBe(false)
  })
  test('again while it waits is not another fact, and hears what becomes of the first', async () => {
    const { facts, report } = region()
    const told = createTold(20)
    expect(await told.tell('report', { stage: 'a' }, report)).toBe(false)
    const answer = told.tell('report', { stage: 'a' }, report)
    facts[0]?.settle(true)
    expect(await answer).toBe(true)
    expect(facts).toHaveLength(1)
  })
  test('again after it was stored, or dropped, is another fact', async () => {
    const { facts, report } = region()
    const told = createTold(60_000)
    for (const stored of [false, true, true]) {
      const answer = told.tell('report', { stage: 'a' }, report)
      facts.at(-1)?.settle(stored)
      expect(await answer).toBe(stored)
    }
    expect(facts).toHaveLength(3)
  })
  test('differently, or as another kind, is another fact', async () => {
    const { facts, report } = region()
    const told = createTold(1)
    await Promise.all([told.tell('report', { stage: 'a' }, report), told.tell('report', { stage: 'b' }, report), told.tell('phoneHome', { stage: 'a' }, report)])
    expect(facts).toHaveLength(3)
  })
})

describe('over HTTP, while no region takes anything', () => {
  const racks: Awaited<ReturnType<typeof rackHalf>>[] = []
  afterEach(async () => { for (const rack of racks.splice(0)) await rack.close() })
  async function alone () {
    const rack = await rackHalf('127.0.0.1', async () => false)
    racks.push(rack)
    rack.running.apply!({ put: [session('tok')], remove: [] }, true)
    return rack
  }
  const posts: readonly [string, string, () => [string | URLSearchParams | Uint8Array<ArrayBuffer>, string?]][] = [
    ['a report', '/tok/report', () => [new URLSearchParams({ stage: 'installed', status: 'ok' })]],
    ['an inventory', '/tok/inventory', () => [new Uint8Array(archive({ name: 'dmi' })), 'application/x-tar']],
    ['an enlistment', '/enlist/inventory', () => [new Uint8Array(archive({ name: 'dmi' })), 'application/x-tar']],
    ['a phone-home', '/tok/phone-home', () => [new URLSearchParams({ hostname: 'otter' })]]
  ]
  test.each(posts)('%s is on the rack\'s disk, and answered 202', async (_, path, body) => {
    const rack = await alone()
    expect(await rack.post(path, ...body())).toMatchObject({ status: 202, text: expect.stringContaining('no region has stored it yet') as string })
    expect(rack.reports).toHaveLength(1)
  })
  test.each(posts)('%s for which only a region will do is answered 503, and kept all the same', async (_, path, body) => {
    const rack = await alone()
    expect(await rack.post(`${path}?until=stored`, ...body())).toMatchObject({ status: 503 })
    expect(rack.reports).toHaveLength(1)
  })
})
