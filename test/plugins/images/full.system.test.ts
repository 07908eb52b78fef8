/** A rack whose disk is full: a file system of 2 MiB, as root. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chunkBytes } from '../../../plugins/images/manifest.ts'
import { manualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'
import { setupRack, sha256 } from './rig.ts'

const run = promisify(execFile)
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bedplate-full-'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory])
})
afterEach(async () => {
  await run('umount', [directory])
  await rm(directory, { recursive: true })
})

test('a file that does not fit is refused with the reason and leaves its room to others; it comes once there is room', async () => {
  const [large, small] = [randomBytes(3 * chunkBytes), randomBytes(1000)]
  const files = new Map([large, small].map(bytes => [sha256(bytes), bytes]))
  const clock = manualClock()
  const rack = setupRack(async ({ sha256: name, offset }) => {
    const bytes = files.get(name)!
    return { data: bytes.subarray(offset, offset + chunkBytes).toString('base64'), size: bytes.length }
  }, directory, { clock, cacheDirectory: directory })
  await rack.service.start(new AbortController().signal)
  rack.running.apply!({ put: [...files].map(([id, { length: size }]) => ({ kind: 'file' as const, id, value: { sha256: id, size } })), remove: [] }, true)
  await expect(rack.files.path(sha256(large))).rejects.toThrow(/the disk that holds .* is full/)
  expect((await readFile(await rack.files.path(sha256(small)))).equals(small)).toBe(true)
  await until(async () => (await readdir(directory)).join() === sha256(small))
  expect(rack.files.has(sha256(large))).toBe(false)
  expect(rack.service.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('is full') })
  await run('mount', ['-o', 'remount,size=8m', directory])
  await until(async () => { await clock.advance(60_000); return rack.files.has(sha256(large)) })
  expect((await readFile(await rack.files.path(sha256(large)))).equals(large)).toBe(true)
  await rack.service.stop()
})
