/** What TFTP reads from, and the folder of loaders. */
import { randomBytes } from 'node:crypto'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileContent, memoryContent } from '../../../plugins/boot/tftp/content.ts'
import { createLoaders, plainName } from '../../../plugins/boot/firmware/loaders.ts'
import { folder } from './rig.ts'

const bytes = randomBytes(700_001)
let files: Awaited<ReturnType<typeof folder>>
beforeAll(async () => { files = await folder({ big: bytes, empty: Buffer.alloc(0) }) })
afterAll(() => files.remove())

describe('a file read ahead', () => {
  test('gives the same bytes as memory, wherever and however much is read', async () => {
    const file = await fileContent(join(files.path, 'big'))
    const memory = memoryContent(bytes)
    try {
      expect(file.size).toBe(memory.size)
      await fc.assert(fc.asyncProperty(fc.nat(710_000), fc.nat(300_000), async (offset, length) => {
        expect(Buffer.from(await file.read(offset, length)).equals(Buffer.from(await memory.read(offset, length)))).toBe(true)
      }), { numRuns: 200 })
    } finally { await file.close() }
  })
  test('what was read ahead is given at once, without the disk', async () => {
    const file = await fileContent(join(files.path, 'big'))
    const first = file.read(0, 512)
    expect(first).toBeInstanceOf(Promise)
    await first
    expect(file.read(512, 512)).toBeInstanceOf(Uint8Array)
    await file.close()
  })
  test('an empty file has nothing to read', async () => {
    const file = await fileContent(join(files.path, 'empty'))
    expect([file.size, (await file.read(0, 512)).length]).toEqual([0, 0])
    await file.close()
  })
  test('a file that shrinks while it is read gives less, not garbage', async () => {
    const path = join(files.path, 'shrinks')
    await writeFile(path, bytes)
    const file = await fileContent(path)
    await writeFile(path, bytes.subarray(0, 100))
    expect(Buffer.from(await file.read(0, 512)).equals(bytes.subarray(0, 100))).toBe(true)
    await file.close()
  })
  test('one that is not there rejects', () => expect(fileContent(join(files.path, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' }))
})

describe('the folder of loaders', () => {
  test('files and links to files are known by their names, folders are not', async () => {
    const loaders = await folder({ 'undionly.kpxe': Buffer.from('x') })
    await mkdir(join(loaders.path, 'sub'))
    await symlink(join(files.path, 'big'), join(loaders.path, 'linked'))
    const list = createLoaders(loaders.path)
    expect(list.health().state).toBe('degraded')
    await list.scan()
    expect([list.path('undionly.kpxe'), list.path('linked'), list.path('sub'), list.path('sub/x'), list.path('')].map(path => path !== undefined)).toEqual([true, true, false, false, false])
    expect(list.health()).toEqual({ state: 'running' })
    await loaders.remove()
  })
  test('a folder that is missing or holds no iPXE is degraded with the command that mends it, until it does', async () => {
    const parent = await folder({})
    const path = join(parent.path, 'ipxe')
    const list = createLoaders(path)
    await list.scan()
    expect(list.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('apt-get install ipxe') })
    await mkdir(path)
    await list.scan()
    expect(list.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('There is no iPXE') })
    await writeFile(join(path, 'snponly.efi'), 'x')
    await list.scan()
    expect(list.health()).toEqual({ state: 'running' })
    await rm(path, { recursive: true })
    await list.scan()
    expect([list.health().state, list.path('snponly.efi')]).toEqual(['degraded', undefined])
    await parent.remove()
  })
  test.each(['toString', '__proto__', 'constructor', 'hasOwnProperty'])('%s is no loader', async name => {
    const list = createLoaders(files.path)
    await list.scan()
    expect(list.path(name)).toBeUndefined()
  })
  test('only slashes in front are taken off a name', () => expect(['/a', '///a', 'a', '/../a', 'a/'].map(plainName)).toEqual(['a', 'a', 'a', '../a', 'a/']))
})
