/** The rack's files: pulled, verified, resumed, shared, dropped. Real files on a real disk; the region is a function. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { chunkBytes } from '../../../plugins/images/manifest.ts'
import { manualClock } from '../../kit/clock.ts'
import type { ManualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'
import { setupRack, sha256 } from './rig.ts'

const signal = () => new AbortController().signal
const never = new Promise<never>(() => {})

/** A region that holds files, remembers what it was asked for, and can be told to fail. */
function fakeRegion (...contents: Buffer[]) {
  const files = new Map(contents.map(bytes => [sha256(bytes), bytes]))
  const asked: { sha256: string, offset: number }[] = []
  let answer: (params: { sha256: string, offset: number }) => Promise<void> = async () => {}
  return {
    asked,
    /** Runs before each answer; a throw is the answer. */
    before (work: typeof answer) { answer = work },
    replace (name: string, bytes: Buffer) { files.set(name, bytes) },
    async chunk (params: { sha256: string, offset: number }) {
      asked.push(params)
      await answer(params)
      const bytes = files.get(params.sha256)
      if (bytes === undefined) throw new BedplateError('NOT_FOUND', { what: 'file', id: params.sha256 })
      return { data: bytes.subarray(params.offset, params.offset + chunkBytes).toString('base64'), size: bytes.length }
    }
  }
}
type FakeRegion = ReturnType<typeof fakeRegion>
const linkDown = async () => { throw new BedplateError('LINK_DOWN', { controller: 'region' }) }
const put = (...contents: Buffer[]) => contents.map(bytes => ({ kind: 'file' as const, id: sha256(bytes), value: { sha256: sha256(bytes), size: bytes.length } }))

let directory: string
let clock: ManualClock
let racks: ReturnType<typeof setupRack>[]
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bedplate-cache-'))
  clock = manualClock()
  racks = []
})
afterEach(async () => {
  for (const rack of racks) await rack.service.stop()
  await rm(directory, { recursive: true })
})
const rackOf = (region: FakeRegion) => {
  const rack = setupRack(region.chunk, directory, { clock, cacheDirectory: directory })
  racks.push(rack)
  return rack
}

const small = randomBytes(1000)
const large = randomBytes(3 * chunkBytes + 123)

describe('pulling', () => {
  test('what is wanted comes in by itself, verified, and is reported', async () => {
    const rack = rackOf(fakeRegion(small, large))
    rack.running.apply!({ put: put(small, large), remove: [] }, true)
    await rack.service.start(signal())
    await until(() => rack.files.has(sha256(small)) && rack.files.has(sha256(large)))
    expect(rack.service.health()).toEqual({ state: 'running' })
    expect((await readFile(await rack.files.path(sha256(large)))).equals(large)).toBe(true)
    expect(rack.reported.map(({ sha256 }) => sha256).sort()).toEqual([sha256(small), sha256(large)].sort())
    expect((await readdir(directory)).sort()).toEqual([sha256(small), sha256(large)].sort())
  })

  test('a new file wanted later is pulled at once', async () => {
    const rack = rackOf(fakeRegion(small, large))
    rack.running.apply!({ put: put(small), remove: [] }, true)
    await rack.service.start(signal())
    await until(() => rack.files.has(sha256(small)))
    rack.running.apply!({ put: put(large), remove: [] }, false)
    await until(() => rack.files.has(sha256(large)))
  })

  test('many who ask for one file share one pull', async () => {
    const region = fakeRegion(large)
    const rack = rackOf(region)
    await rack.service.start(signal())
    const paths = await Promise.all(Array.from({ length: 10 }, () => rack.files.path(sha256(large))))
    expect(new Set(paths).size).toBe(1)
    expect(region.asked.map(({ offset }) => offset)).toEqual([0, chunkBytes, 2 * chunkBytes, 3 * chunkBytes])
  })

  test('a file a machine waits for does not queue behind the background', async () => {
    const others = [randomBytes(10), randomBytes(11), randomBytes(12)]
    const region = fakeRegion(small, ...others)
    region.before(async params => { if (params.sha256 !== sha256(small)) await never })
    const rack = setupRack(region.chunk, directory, { clock, cacheDirectory: directory }) // its pulls never end: not stopped below
    rack.running.apply!({ put: put(...others, small), remove: [] }, true)
    await rack.service.start(signal())
    await until(() => region.asked.length === 2)
    await rack.files.path(sha256(small))
    expect(rack.files.has(sha256(small))).toBe(true)
  })

  test('an empty file is a file', async () => {
    const rack = rackOf(fakeRegion(Buffer.alloc(0)))
    await rack.service.start(signal())
    expect((await readFile(await rack.files.path(sha256(Buffer.alloc(0))))).length).toBe(0)
  })

  test('a waiting client that leaves does not end the pull for the others', async () => {
    const region = fakeRegion(small)
    const gate = Promise.withResolvers<void>()
    region.before(() => gate.promise)
    const rack = rackOf(region)
    await rack.service.start(signal())
    const leaving = new AbortController()
    const left = expect(rack.files.path(sha256(small), leaving.signal)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const staying = rack.files.path(sha256(small))
    leaving.abort()
    await left
    gate.resolve()
    expect((await readFile(await staying)).equals(small)).toBe(true)
  })
})

describe('going on after a break', () => {
  test('a pull that was interrupted goes on from what is on the disk', async () => {
    const region = fakeRegion(large)
    region.before(async ({ offset }) => { if (offset >= 2 * chunkBytes) await linkDown() })
    const first = rackOf(region)
    await first.service.start(signal())
    await expect(first.files.path(sha256(large))).rejects.toMatchObject({ code: 'LINK_DOWN' })
    await first.service.stop()
    region.before(async () => {})
    region.asked.length = 0
    const second = rackOf(region)
    await second.service.start(signal())
    expect((await readFile(await second.files.path(sha256(large)))).equals(large)).toBe(true)
    expect(region.asked.map(({ offset }) => offset)).toEqual([2 * chunkBytes, 3 * chunkBytes])
  })

  test('a crash between the last byte and the name costs no byte', async () => {
    await writeFile(join(directory, `${sha256(large)}.part`), large)
    const region = fakeRegion(large)
    const rack = rackOf(region)
    await rack.service.start(signal())
    await rack.files.path(sha256(large))
    expect(region.asked).toEqual([{ sha256: sha256(large), offset: large.length }])
  })

  test('a partial file with damage in it is dropped, and the next try begins anew', async () => {
    await writeFile(join(directory, `${sha256(large)}.part`), Buffer.alloc(chunkBytes))
    const rack = rackOf(fakeRegion(large))
    await rack.service.start(signal())
    await expect(rack.files.path(sha256(large))).rejects.toMatchObject({ code: 'FILE_CORRUPT' })
    expect(await readdir(directory)).toEqual([])
    expect((await readFile(await rack.files.path(sha256(large)))).equals(large)).toBe(true)
  })

  test.each([['longer', Buffer.concat([large, small])], ['shorter', large.subarray(0, chunkBytes)], ['other', randomBytes(large.length)]])('content that is %s than its name says is never served', async (_how, bytes) => {
    const region = fakeRegion()
    region.replace(sha256(large), bytes)
    const rack = rackOf(region)
    await rack.service.start(signal())
    await expect(rack.files.path(sha256(large))).rejects.toMatchObject({ code: 'FILE_CORRUPT' })
    expect(rack.files.has(sha256(large))).toBe(false)
    expect(await readdir(directory)).toEqual([])
  })

  test('with no region it serves what it has, says what is missing and why, and tries again later', async () => {
    const region = fakeRegion(small, large)
    const before = rackOf(region)
    await before.service.start(signal())
    await before.files.path(sha256(small))
    await before.service.stop()
    region.before(linkDown)
    const rack = rackOf(region)
    rack.running.apply!({ put: put(small, large), remove: [] }, true)
    await rack.service.start(signal())
    expect((await readFile(await rack.files.path(sha256(small)))).equals(small)).toBe(true)
    const health = await until(() => { const now = rack.service.health(); return now.state === 'degraded' && now.reason.includes('failed') && now })
    expect(health).toMatchObject({ state: 'degraded', reason: expect.stringMatching(/^Pulling 1 of 2 files, 0 %\. The last try failed: There is no link/) })
    region.before(async () => {})
    await until(async () => { await clock.advance(1_000); return rack.files.has(sha256(large)) })
    expect(rack.service.health()).toEqual({ state: 'running' })
  })

  test('a file the region does not have is NOT_FOUND', async () => {
    const rack = rackOf(fakeRegion())
    await rack.service.start(signal())
    await expect(rack.files.path('e'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('keeping and dropping', () => {
  const filled = async () => {
    const region = fakeRegion(small, large)
    const rack = rackOf(region)
    rack.running.apply!({ put: put(small, large), remove: [] }, true)
    await rack.service.start(signal())
    await until(() => rack.files.has(sha256(small)) && rack.files.has(sha256(large)))
    return { region, rack }
  }

  test('a file cut short while the rack was down is noticed at start and pulled again', async () => {
    const { region, rack } = await filled()
    await rack.service.stop()
    await truncate(join(directory, sha256(large)), 10)
    const again = rackOf(region)
    again.running.apply!({ put: put(small, large), remove: [] }, true)
    await again.service.start(signal())
    await until(() => again.files.has(sha256(large)))
    expect((await readFile(await again.files.path(sha256(large)))).equals(large)).toBe(true)
  })

  test('a file that vanished or shrank while it runs is pulled again for who asks', async () => {
    const { rack } = await filled()
    await rm(join(directory, sha256(small)))
    await truncate(join(directory, sha256(large)), 5)
    expect((await readFile(await rack.files.path(sha256(small)))).equals(small)).toBe(true)
    expect((await readFile(await rack.files.path(sha256(large)))).equals(large)).toBe(true)
  })

  test('what nobody wants any more goes after a grace, not before', async () => {
    const { rack } = await filled()
    rack.running.apply!({ put: [], remove: [{ kind: 'file', id: sha256(large) }] }, false)
    await clock.advance(300_000)
    expect(rack.files.has(sha256(large))).toBe(true)
    await until(async () => { await clock.advance(60_000); return !rack.files.has(sha256(large)) })
    await until(async () => (await readdir(directory)).length === 1)
    expect(rack.files.has(sha256(small))).toBe(true)
  })

  test('wanted again within the grace, it stays', async () => {
    const { rack } = await filled()
    rack.running.apply!({ put: put(small), remove: [] }, true)
    await clock.advance(500_000)
    rack.running.apply!({ put: put(large), remove: [] }, false)
    await clock.advance(5_000_000)
    expect(rack.files.has(sha256(large))).toBe(true)
  })

  test('nothing is dropped while nobody has said what is wanted', async () => {
    const { rack } = await filled()
    await rack.service.stop()
    const again = rackOf(fakeRegion())
    await again.service.start(signal())
    await clock.advance(5_000_000)
    expect(again.files.has(sha256(large))).toBe(true)
  })
})

describe('the service', () => {
  test('starts and stops any number of times, at once too', async () => {
    const rack = rackOf(fakeRegion(small))
    await Promise.all([rack.service.start(signal()), rack.service.start(signal()), rack.service.stop(), rack.service.start(signal())])
    await rack.service.stop()
    await rack.service.stop()
    expect(rack.service.health().state).toBe('off')
    expect(clock.sleepers).toBe(0)
    await rack.service.start(signal())
    await rack.files.path(sha256(small))
  })

  test('not running, it still gives what it has and refuses the rest plainly', async () => {
    const rack = rackOf(fakeRegion(small, large))
    await rack.service.start(signal())
    await rack.files.path(sha256(small))
    await rack.service.stop()
    expect(await rack.files.path(sha256(small))).toContain(sha256(small))
    await expect(rack.files.path(sha256(large))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('a stop interrupts pulls', async () => {
    const region = fakeRegion(large)
    const rack = setupRack((params) => region.chunk(params).then(answer => answer), directory, { clock, cacheDirectory: directory })
    await rack.service.start(signal())
    const gate = Promise.withResolvers<void>()
    region.before(() => gate.promise)
    const pull = expect(rack.files.path(sha256(large))).rejects.toThrow()
    await until(() => region.asked.length > 0)
    const stopped = rack.service.stop()
    gate.reject(new BedplateError('UNAVAILABLE', { reason: 'aborted' })) // as the link does when its caller's signal aborts
    await Promise.all([pull, stopped])
  })
})
