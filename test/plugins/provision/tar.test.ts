/** Reading tar: what the real tool writes in each of its formats, and what nobody should be able to break it with. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { readTar } from '../../../plugins/provision/tar.ts'
import { archive, member, realTar } from './archive.ts'

const refused = (bytes: Buffer, limit?: number): string => {
  try { readTar(bytes, limit) } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect((error as BedplateError).code).toBe('INVALID_REQUEST')
    return (error as BedplateError).message
  }
  throw new TypeError('it was taken')
}

describe('archives of the real tar', () => {
  const files = { 'cmdline': 'BOOTIF=01-52-54-00-00-00-07 quiet\n', 'empty': '', 'lscpu.json': '{"lscpu":[]}', 'block': 'x'.repeat(512), 'more': 'ü'.repeat(700) }
  test.each([['gnu'], ['ustar'], ['v7'], ['posix'], ['oldgnu']])('format %s', async format => {
    expect(readTar(await realTar(files, [`--format=${format}`]))).toEqual(files)
  })
  test('a leading ./ is not part of the name; folders are passed over, what is in them is not', async () => {
    expect(readTar(await realTar({ 'a': '1', 'sub/b': '2' }, [], ['.']))).toEqual({ 'a': '1', 'sub/b': '2' })
  })
  test('links, long names and extended headers are passed over without losing the rest', async () => {
    const long = 'n'.repeat(150)
    const found = readTar(await realTar({ [long]: 'long', plain: 'kept' }, ['--format=gnu', '--mtime=2020-01-01'], [long, 'plain']))
    expect(found.plain).toBe('kept')
    expect(found[long.slice(0, 100)]).toBe('long')
    expect(Object.keys(found)).toHaveLength(2)
  })
  test('an archive of nothing holds nothing', async () => {
    expect(readTar(await realTar({}, ['-T', '/dev/null'], []))).toEqual({})
  })
  test('bytes that are no UTF-8, and NUL, become U+FFFD, and the result can be kept as JSON by a database', async () => {
    const { binary } = readTar(await realTar({ binary: Uint8Array.from([0x61, 0xff, 0x00, 0x62]) }))
    expect(binary).toBe('a\ufffd\ufffdb')
  })
})

describe('archives made by hand', () => {
  test('old kinds of regular files count as such, others do not', () => {
    const content = Buffer.from('x')
    expect(readTar(archive({ name: 'zero', kind: '0', content }, { name: 'nul', kind: '\0', content }, { name: 'link', kind: '2' }, { name: 'folder', kind: '5' }, { name: 'fifo', kind: '6' }))).toEqual({ zero: 'x', nul: 'x' })
  })
  test('the first empty block ends it, whatever follows', () => {
    expect(readTar(Buffer.concat([archive({ name: 'a' }), Buffer.alloc(512, 7)]))).toEqual({ a: '' })
  })
  test('an archive that was cut before its end blocks is read; one cut within a file is refused by that file\'s name', () => {
    expect(readTar(member({ name: 'a', content: Buffer.from('one') }))).toEqual({ a: 'one' })
    expect(refused(archive({ name: 'lshw.json', content: Buffer.alloc(2000) }).subarray(0, 1024))).toContain('ends in the middle of "lshw.json"')
  })
  test('of two files with one name the last counts, as when unpacked', () => {
    expect(readTar(archive({ name: 'a', content: Buffer.from('1') }, { name: './a', content: Buffer.from('2') }))).toEqual({ a: '2' })
  })
  test('a name with a meaning in the language is a name', () => {
    const files = readTar(archive({ name: '__proto__', content: Buffer.from('mine') }, { name: 'constructor', content: Buffer.from('c') }))
    expect(Object.keys(files)).toEqual(['__proto__', 'constructor'])
    expect(Object.getOwnPropertyDescriptor(files, '__proto__')?.value).toBe('mine')
    expect(({} as Record<string, unknown>).mine).toBeUndefined()
  })
  test.each([
    ['a wrong checksum', archive({ name: 'a', sum: '000001\0 ' })],
    ['no checksum', archive({ name: 'a', sum: '        ' })],
    ['a negative size', archive({ name: 'a', size: '-0000000001' })],
    ['a size in base 256', archive({ name: 'a', size: '\x80\0\0\0\0\0\0\0\x01\0\0\0' })],
    ['a size that is no number', archive({ name: 'a', size: 'many' })],
    ['JSON', Buffer.from(JSON.stringify({ a: 1 }).padEnd(600))],
    ['zip', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(600, 1)])]
  ])('%s is no tar', (_, bytes) => { expect(refused(bytes)).toMatch(/no tar archive \(a wrong header at byte 0\)/) })
  test('a size far past the end is refused without reserving it', () => {
    expect(refused(archive({ name: 'a', size: '77777777777' }))).toMatch(/ends in the middle/)
  })
  test('the error tells where', () => {
    expect(refused(Buffer.concat([member({ name: 'a', content: Buffer.alloc(3) }), Buffer.alloc(512, 1)]))).toContain('at byte 1024')
  })
  test('more files than the limit are refused, as many are taken', () => {
    const members = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `f${index}` }))
    expect(Object.keys(readTar(archive(...members(64))))).toHaveLength(64)
    expect(refused(archive(...members(65)))).toContain('more than 64 files')
    expect(refused(archive(...members(3)), 2)).toContain('more than 2 files')
    expect(refused(archive(...members(65).map(() => ({ name: 'same' }))))).toContain('more than 64 files')
  })
  test('less than one block is an empty archive', () => { for (const length of [0, 1, 511]) expect(readTar(Buffer.alloc(length, 1))).toEqual({}) })
})

describe('whatever is sent', () => {
  const tame = (bytes: Uint8Array): void => {
    let files: Record<string, string>
    try { files = readTar(Buffer.from(bytes)) } catch (error) {
      expect(error).toBeInstanceOf(BedplateError)
      expect((error as BedplateError).status).toBe(400)
      return
    }
    expect(Object.keys(files).length).toBeLessThanOrEqual(64)
    const characters = Object.values(files).reduce((total, text) => total + text.length, 0)
    expect(characters).toBeLessThanOrEqual(bytes.length)
    expect(Object.values(files).every(text => text.isWellFormed() && !text.includes('\0'))).toBe(true)
  }
  test('bytes without sense are taken or refused, never a failure', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), tame), { numRuns: 300 })
  })
  test('headers with right checksums and hostile fields likewise', () => {
    const Field = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)), maxLength: 12 })
    const Hostile = fc.record({ name: fc.string({ unit: 'binary', maxLength: 100 }), content: fc.uint8Array({ maxLength: 1100 }), kind: fc.constantFrom('0', '\0', '5', 'L', 'x', 'g', 'S'), size: fc.option(Field, { nil: undefined }) }, { requiredKeys: ['name', 'content', 'kind'] })
    fc.assert(fc.property(fc.array(Hostile, { maxLength: 6 }), members => {
      tame(archive(...members.map(({ size, ...rest }) => ({ ...rest, ...(size === undefined ? {} : { size }) }))))
    }), { numRuns: 300 })
  })
  test('an archive with one byte changed, or cut anywhere, likewise', () => {
    const whole = archive({ name: 'a', content: Buffer.from('hello') }, { name: 'b', content: Buffer.alloc(600, 0x62) })
    fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
      const bent = Buffer.from(whole)
      bent[at] = byte
      tame(bent)
      tame(whole.subarray(0, length))
    }), { numRuns: 300 })
  })
  test('what goes in comes out', () => {
    const Name = fc.stringMatching(/^[a-z0-9_]{1,60}$/)
    fc.assert(fc.property(fc.dictionary(Name, fc.string({ unit: 'grapheme', maxLength: 800 }).map(text => text.replaceAll('\0', '')), { maxKeys: 10, noNullPrototype: true }), files => {
      expect(readTar(archive(...Object.entries(files).map(([name, text]) => ({ name, content: Buffer.from(text) }))))).toEqual(files)
    }), { numRuns: 200 })
  })
  test('eight mebibytes of empty headers are refused quickly', () => {
    const many = Buffer.concat(Array.from({ length: (8 << 20) / 512 }, () => member({ name: 'd', kind: '5' })))
    const start = process.cpuUsage()
    expect(readTar(many)).toEqual({})
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(3000)
  })
})
