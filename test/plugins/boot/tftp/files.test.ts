/** Files whose pieces are shared: the same bytes as the disk has, once, in bounded memory. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readlink, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryContent, wholeOf } from '../../../../plugins/boot/tftp/content.ts'
import { createFiles, fileContent } from '../../../../plugins/boot/tftp/files.ts'
import { until } from '../../../kit/wait.ts'
import { folder } from '../rig.ts'

const bytes = randomBytes(700_001)
let files: Awaited<ReturnType<typeof folder>>
beforeAll(async () => { files = await folder({ big: bytes, other: randomBytes(700_001), empty: Buffer.alloc(0) }) })
afterAll(() => files.remove())
const path = (name: string) => join(files.path, name)

describe('what is read', () => {
  test.each([1 << 18, 65_536, 1_000, 7_777])('is what the file holds, wherever and however much is read, in pieces of %i bytes', async pieceBytes => {
    const file = await createFiles({ pieceBytes, mostBytes: 5 * pieceBytes }).open(path('big'))
    const memory = memoryContent(bytes)
    try {
      expect(file.size).toBe(memory.size)
      await fc.assert(fc.asyncProperty(fc.nat(710_000), fc.integer({ min: 1, max: 300_000 }), async (offset, length) => {
        const [got, all] = [Buffer.from(await file.read(offset, length)), Buffer.from(await memory.read(offset, length))]
        expect(got.equals(all.subarray(0, got.length))).toBe(true)
        expect(got.length > 0).toBe(all.length > 0)
      }), { numRuns: 200 })
      expect((await wholeOf(file)).equals(bytes)).toBe(true)
    } finally { await file.close() }
  })
  test('is there at once the second time, and the next piece when it is nearly its turn', async () => {
    const file = await createFiles({ pieceBytes: 1_000 }).open(path('big'))
    const first = file.read(0, 100)
    expect(first).toBeInstanceOf(Promise)
    await first
    expect(file.read(100, 100)).toBeInstanceOf(Uint8Array)
    expect(file.read(600, 100)).toBeInstanceOf(Uint8Array)
    await until(() => file.read(1_000, 100) instanceof Uint8Array)
    await file.close()
  })
  test('of an empty file is nothing', async () => {
    const file = await fileContent(path('empty'))
    expect([file.size, (await file.read(0, 512)).length]).toEqual([0, 0])
    await file.close()
  })
  test('of a file that shrinks meanwhile is less, not garbage', async () => {
    await writeFile(path('shrinks'), bytes)
    const file = await fileContent(path('shrinks'))
    await writeFile(path('shrinks'), bytes.subarray(0, 100))
    expect(Buffer.from(await file.read(0, 512)).equals(bytes.subarray(0, 100))).toBe(true)
    expect(await file.read(100, 512)).toHaveLength(0)
    await file.close()
  })
})

describe('sharing', () => {
  test('who reads the same file later finds it in memory, also after all others have closed it', async () => {
    const all = createFiles()
    const one = await all.open(path('big'))
    await wholeOf(one)
    await one.close()
    const other = await all.open(path('big'))
    expect(other.read(0, 512)).toBeInstanceOf(Uint8Array)
    expect(other.read(bytes.length - 5, 512)).toHaveLength(5)
    await other.close()
    await other.close() // once more does no harm
    expect(all.kept).toBe(bytes.length)
  })
  test('a hundred who want the same piece at once read it once', async () => {
    const all = createFiles()
    const readers = await Promise.all(Array.from({ length: 100 }, () => all.open(path('big'))))
    const pieces = await Promise.all(readers.map(reader => reader.read(0, 1_000)))
    expect(new Set(pieces.map(piece => piece.buffer)).size).toBe(1)
    expect(all.kept).toBeLessThanOrEqual(1 << 19)
    await Promise.all(readers.map(reader => reader.close()))
  })
  test('a file that was replaced or written is another one; who has the old one open goes on with it', async () => {
    const all = createFiles()
    await writeFile(path('loader'), 'old')
    const old = await all.open(path('loader'))
    expect(String(await wholeOf(old))).toBe('old')
    await writeFile(path('loader.new'), 'new')
    await rename(path('loader.new'), path('loader'))
    const fresh = await all.open(path('loader'))
    expect([String(await wholeOf(old)), String(await wholeOf(fresh))]).toEqual(['old', 'new'])
    await writeFile(path('loader'), 'NEW') // same inode, same size
    await utimes(path('loader'), 1, 1)
    const written = await all.open(path('loader'))
    expect(String(await wholeOf(written))).toBe('NEW')
    for (const one of [old, fresh, written]) await one.close()
  })
})

describe('bounds', () => {
  test('the pieces of all files together stay within the memory they are given, and what is read often stays', async () => {
    const all = createFiles({ pieceBytes: 10_000, mostBytes: 200_000 })
    const [often, rarely] = [await all.open(path('big')), await all.open(path('other'))]
    await often.read(0, 1)
    for (let at = 0; at < rarely.size; at += 10_000) {
      await rarely.read(at, 10)
      expect(often.read(0, 1)).toBeInstanceOf(Uint8Array)
      expect(all.kept).toBeLessThanOrEqual(200_000)
    }
    await Promise.all([often.close(), rarely.close()])
  })
  test('two hundred readers at different places do not read in memory all at once', async () => {
    const all = createFiles({ pieceBytes: 4_000, mostBytes: 40_000 })
    const reader = await all.open(path('big'))
    const got = await Promise.all(Array.from({ length: 175 }, async (_, index) => Buffer.from(await reader.read(index * 4_000, 4_000)))) // what is read is good for its turn
    expect(Buffer.concat(got).equals(bytes.subarray(0, 700_000))).toBe(true)
    expect(all.kept).toBeLessThanOrEqual(40_000)
    await reader.close()
  })
  test('the memory of a piece that had to go is used again, once nobody can be looking at it', async () => {
    const all = createFiles({ pieceBytes: 4_000, mostBytes: 4_000 })
    const reader = await all.open(path('big'))
    const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })
    const memory = new Set<ArrayBufferLike>()
    for (let at = 0; at < 400_000; at += 4_000) {
      const piece = await reader.read(at, 4_000)
      expect(bytes.subarray(at, at + 4_000).equals(piece)).toBe(true)
      memory.add(piece.buffer)
      await turn()
    }
    expect(memory.size).toBeLessThanOrEqual(8) // and not a hundred
    await reader.close()
  })
  test('every descriptor is closed in the end', async () => {
    const open = async (): Promise<number> => (await Promise.all((await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))).filter(target => target.startsWith(files.path)).length
    const all = createFiles({ pieceBytes: 1_000 })
    const readers = await Promise.all(Array.from({ length: 20 }, (_, index) => all.open(path(index % 2 === 0 ? 'big' : 'other'))))
    await Promise.all(readers.map(reader => reader.read(0, 10)))
    expect(await open()).toBe(2)
    await Promise.all(readers.map(reader => reader.close()))
    expect(await open()).toBe(0)
  })
})

describe('what is no file', () => {
  test('one that is not there rejects', () => expect(fileContent(path('nothing'))).rejects.toMatchObject({ code: 'ENOENT' }))
  test('a folder and a device are refused', async () => {
    await expect(fileContent(files.path)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(fileContent('/dev/zero')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
  test('a pipe nobody writes to is refused at once', async () => {
    await promisify(execFile)('mkfifo', [path('pipe')])
    await expect(fileContent(path('pipe'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})
