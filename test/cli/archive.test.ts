/** Archives as other programs make them, and as nobody should. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { extract, readHeader } from '../../cli/archive.ts'
import { Failure } from '../../cli/failure.ts'
import { openBench } from './cli.kit.ts'
import { files, writeImage } from './image.kit.ts'

let folder: string
let count = 0
let tar: Buffer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-'))
  await writeImage(join(folder, 'image'))
  await writeFile(join(folder, 'image', 'empty'), '')
  await promisify(execFile)('tar', ['-C', join(folder, 'image'), '-cf', join(folder, 'gnu.tar'), '.'])
  tar = await readFile(join(folder, 'gnu.tar'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const names = ['empty', 'image.json', 'initrd.img', 'root.squashfs', 'vmlinuz']
const target = async (): Promise<string> => { const path = join(folder, `out-${count++}`); await mkdir(path); return path }
async function unpacked (name: string, content: Buffer): Promise<string> {
  const path = join(folder, `${count++}-${name}`)
  await writeFile(path, content)
  const to = await target()
  await extract(path, to, () => {})
  return to
}
/** A header with a right checksum. */
function header (name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100, 'latin1')
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  block.write(type, 156, 'latin1')
  block.write('ustar\u000000', 257, 'latin1')
  block.fill(' ', 148, 156)
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
const padded = (content: Buffer): Buffer => Buffer.concat([content, Buffer.alloc((512 - content.length % 512) % 512)])
const end = Buffer.alloc(1024)

describe('an archive', () => {
  it.each([['plain', 'x.tar', (data: Buffer) => data], ['gzip', 'x.tar.gz', gzipSync], ['gzip, in short', 'x.tgz', gzipSync], ['zstd', 'x.tar.zst', zstdCompressSync]] as const)('made by tar (%s) is unpacked byte for byte', async (_, name, compress) => {
    const to = await unpacked(name, compress(tar) as Buffer)
    expect((await readdir(to)).sort()).toEqual(names)
    for (const [file, content] of Object.entries(files)) expect((await readFile(join(to, file))).equals(content)).toBe(true)
  })

  it.each(['v7', 'ustar', 'gnu', 'posix'])('is read in the format %s', async format => {
    const path = join(folder, `${format}.tar`)
    await promisify(execFile)('tar', [`--format=${format}`, '-C', folder, '-cf', path, 'image'])
    const to = await target()
    await extract(path, to, () => {})
    expect((await readdir(to)).sort()).toEqual(names)
  })

  it('tells how far it is, and when it is through', async () => {
    const told: [number, boolean][] = []
    await extract(join(folder, 'gnu.tar'), await target(), (read, last) => { told.push([read, last]) })
    expect(told.at(-1)).toEqual([tar.length, true])
    expect(told.length).toBeGreaterThan(1)
    expect(told.slice(0, -1).every(([, last]) => !last)).toBe(true)
  })

  it('is imported like a folder, leaving nothing behind', async () => {
    const bench = await openBench()
    try {
      const before = (await readdir(tmpdir())).filter(name => name.startsWith('bedplate-import-'))
      await writeFile(join(folder, 'image.tar.zst'), zstdCompressSync(tar))
      expect(await bench.bedplate(['image', 'import', join(folder, 'image.tar.zst')])).toMatchObject({ code: 0, out: expect.stringContaining('debian-13 is imported') })
      await writeFile(join(folder, 'half.tar'), tar.subarray(0, 100_000))
      expect(await bench.bedplate(['image', 'import', join(folder, 'half.tar')])).toMatchObject({ code: 1, err: expect.stringContaining('half.tar cannot be unpacked: It ends in the middle of a file.') })
      expect((await readdir(tmpdir())).filter(name => name.startsWith('bedplate-import-'))).toEqual(before)
    } finally { await bench.close() }
  })
})

describe('what is in an archive', () => {
  it('never lands outside the folder', async () => {
    const evil = Buffer.concat(['../evil', '/etc/evil2', 'a/../../evil3', '..', '.', 'x/'].flatMap(name => [header(name, 3), padded(Buffer.from('bad'))]).concat(end))
    const to = await unpacked('evil.tar', evil)
    expect((await readdir(to)).sort()).toEqual(['evil', 'evil2', 'evil3'])
  })

  it('is files only: links, folders and devices are left out', async () => {
    await symlink('/etc/passwd', join(folder, 'image', 'link')).catch(() => {})
    const to = await unpacked('links.tar', Buffer.concat([header('link', 0, '2'), header('hard', 0, '1'), header('dir', 0, '5'), header('device', 0, '3'), header('attributes', 5, 'x'), padded(Buffer.from('12 a=b')), header('file', 1), padded(Buffer.from('y')), end]))
    expect(await readdir(to)).toEqual(['file'])
  })

  it('may not be there twice', async () => {
    await expect(unpacked('twice.tar', Buffer.concat([header('a', 0), header('b/a', 0), end]))).rejects.toThrow(/EEXIST/)
  })

  it('may be as large as GNU writes it', () => {
    const block = header('big', 0)
    block.fill(0, 124, 136).writeUInt8(0x80, 124)
    block.writeBigUInt64BE(20n * 2n ** 30n, 128)
    block.fill(' ', 148, 156)
    block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    expect(readHeader(block)).toEqual({ name: 'big', size: 20 * 2 ** 30, type: '0' })
  })
})

describe('damage', () => {
  it.each([['nothing', Buffer.alloc(0)], ['text', Buffer.from('this is no archive'.repeat(100))], ['a header alone', header('a', 10)], ['half a header', header('a', 10).subarray(0, 300)], ['too little content', Buffer.concat([header('a', 2000), Buffer.alloc(512)])]])('%s is refused with a sentence', async (name, content) => {
    if (content.length === 0) expect(await readdir(await unpacked('empty.tar', content))).toEqual([]) // an archive of nothing
    else await expect(unpacked('damaged.tar', content)).rejects.toThrow(/cannot be unpacked: It (is not a tar archive|ends in the middle)/)
    expect(name).not.toBe('')
  })

  it('of compressed archives is refused, too', async () => {
    await expect(unpacked('cut.tar.gz', gzipSync(tar).subarray(0, 2000))).rejects.toThrow(Failure)
    await expect(unpacked('no.tar.zst', tar)).rejects.toThrow(Failure)
  })

  it('of a header throws nothing but a Failure', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), fc.nat(511), fc.nat(255), (random, at, value) => {
      const changed = header('name', 100)
      changed[at] = value
      for (const block of [Buffer.from(random), changed]) {
        try { expect(readHeader(block)?.size).toBeGreaterThanOrEqual(0) } catch (error) { expect(error).toBeInstanceOf(Failure) }
      }
    }), { numRuns: 500 })
  })
})
