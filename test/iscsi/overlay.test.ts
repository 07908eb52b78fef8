/** The overlay: what it reads through, keeps, forgets and refuses. */
import fs, { mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { DiskError } from '../../iscsi/disk/disk.ts'
import type { Disk } from '../../iscsi/disk/disk.ts'
import { openFile } from '../../iscsi/disk/file.ts'
import { openOverlay } from '../../iscsi/disk/overlay.ts'
import { scratch } from '../kit/scratch.ts'

const folder = mkdtempSync(join(scratch(), 'bedplate-overlay-'))
const [base, path] = [join(folder, 'base'), join(folder, 'overlay')]
const size = 6 * 4096 + 1536 // its last piece is not whole
const piece = 4096
const content = (): Buffer => Buffer.from(Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8) * 13) & 255))
beforeEach(() => {
  for (const name of [path, `${path}.map`]) rmSync(name, { force: true })
  writeFileSync(base, content())
})
afterAll(() => { rmSync(folder, { recursive: true }) })

const open = (identity = 'one'): Disk => openOverlay({ base: openFile(base, { readOnly: true }), path, identity })
function readAll (disk: Disk): Buffer {
  const into = Buffer.alloc(size)
  disk.read(0, into, 0, size)
  return into
}
const using = <T>(work: (disk: Disk) => T, identity?: string): T => {
  const disk = open(identity)
  try { return work(disk) } finally { disk.close() }
}

describe('what was not written', () => {
  it('is read from the base, and the base is never changed', () => {
    using(disk => {
      expect(readAll(disk)).toEqual(content())
      disk.write(0, Buffer.alloc(size, 0xee))
      expect(readAll(disk)).toEqual(Buffer.alloc(size, 0xee))
    })
    expect(readFileSync(base)).toEqual(content())
  })
  it('of a piece that is written in part stays as it is in the base', () => using(disk => {
    for (const [at, length] of [[100, 10], [piece - 5, 10], [3 * piece, piece], [4 * piece + 512, 512], [size - 512, 512]] as const) disk.write(at, Buffer.alloc(length, 0xee))
    const expected = content()
    for (const [at, length] of [[100, 10], [piece - 5, 10], [3 * piece, piece], [4 * piece + 512, 512], [size - 512, 512]] as const) expected.fill(0xee, at, at + length)
    expect(readAll(disk)).toEqual(expected)
  }))
  it('and is then unmapped reads as zeros, not as the base', () => using(disk => {
    disk.discard(piece + 512, 2 * piece)
    const expected = content().fill(0, piece + 512, 3 * piece + 512)
    expect(readAll(disk)).toEqual(expected)
  }))
})

describe('any reads and writes', () => {
  const extent = fc.tuple(fc.nat(size - 1), fc.integer({ min: 1, max: 3 * piece })).map(([at, length]) => ({ at, length: Math.min(length, size - at) }))
  const step = fc.record({ kind: fc.constantFrom('write', 'discard', 'read', 'flush', 'again'), where: extent, value: fc.nat(255) })
  it('give what a plain disk would, also after it was closed and opened again', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 30 }), steps => {
      for (const name of [path, `${path}.map`]) rmSync(name, { force: true })
      const model = content()
      let disk = open()
      try {
        for (const { kind, where: { at, length }, value } of steps) {
          if (kind === 'write') { disk.write(at, Buffer.alloc(length, value)); model.fill(value, at, at + length) }
          if (kind === 'discard') { disk.discard(at, length); model.fill(0, at, at + length) }
          if (kind === 'flush') disk.flush()
          if (kind === 'again') { disk.close(); disk = open() }
          const into = Buffer.alloc(length + 2, 0x55)
          disk.read(at, into, 1, length)
          expect(into.subarray(1, length + 1).equals(model.subarray(at, at + length))).toBe(true)
          expect([into[0], into[length + 1]]).toEqual([0x55, 0x55])
        }
        expect(readAll(disk).equals(model)).toBe(true)
      } finally { disk.close() }
    }), { numRuns: 150 })
  })
})

describe('what was flushed survives the process', () => {
  it('and what was not is as it was before, piece by piece', () => {
    const disk = open()
    disk.write(0, Buffer.alloc(piece, 1))
    disk.flush()
    disk.write(piece, Buffer.alloc(piece, 2)) // and then the process dies: nothing is closed
    const expected = content().fill(1, 0, piece)
    using(again => { expect(readAll(again)).toEqual(expected) })
  })
  it('with the names: the folder is synchronised after the data was made, and after the map has taken its place', () => {
    const { fsyncSync, renameSync: rename } = fs
    const steps: string[] = []
    const plain = (name: string): string => name === folder ? 'the folder' : name.slice(path.length) || 'the data'
    Object.assign(fs, {
      fsyncSync (descriptor: number) { steps.push(`sync ${plain(readlinkSync(`/proc/self/fd/${descriptor}`))}`); fsyncSync(descriptor) },
      renameSync (from: string, to: string) { steps.push('rename'); rename(from, to) }
    })
    syncBuiltinESMExports()
    try {
      const disk = open()
      expect(steps.splice(0)).toEqual(['sync the folder'])
      disk.write(0, Buffer.alloc(512, 1))
      disk.flush()
      expect(steps.splice(0)).toEqual(['sync the data', 'sync .map.new', 'rename', 'sync the folder'])
      disk.close()
    } finally {
      Object.assign(fs, { fsyncSync, renameSync: rename })
      syncBuiltinESMExports()
    }
  })
  it('a map that was being written when it died is passed over', () => {
    using(disk => { disk.write(0, Buffer.alloc(512, 1)) })
    writeFileSync(`${path}.map.new`, 'half')
    using(disk => { expect(readAll(disk).subarray(0, 513)).toEqual(Buffer.concat([Buffer.alloc(512, 1), content().subarray(512, 513)])) })
  })
})

describe('an overlay is refused', () => {
  it.each<readonly [string, () => void, string, RegExp]>([
    ['of another image', () => {}, 'two', /is the map of another overlay/],
    ['when the image has another size', () => { truncateSync(base, size + 512) }, 'one', /is the map of another overlay/],
    ['when its map is cut off', () => { truncateSync(`${path}.map`, 32) }, 'one', /is cut off\. Remove it/],
    ['when its map is something else', () => { writeFileSync(`${path}.map`, Buffer.alloc(64)) }, 'one', /is the map of another overlay/]
  ])('%s, and nothing of it is lost', (_, harm, identity, words) => {
    using(disk => { disk.write(0, Buffer.alloc(512, 9)) })
    const before = readFileSync(path)
    harm()
    const descriptors = readdirSync('/proc/self/fd').length
    for (let round = 0; round < 10; round++) expect(() => open(identity)).toThrow(words)
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(descriptors + 10) // an initiator can try as often as it likes
    expect(readFileSync(path)).toEqual(before)
  })
  it('when its map cannot be written, and it is told at the flush', () => {
    const disk = open()
    disk.write(0, Buffer.alloc(512, 9))
    renameSync(folder, `${folder}-moved`)
    try { expect(() => { disk.flush() }).toThrow(/ENOENT/) } finally { renameSync(`${folder}-moved`, folder) }
    disk.close()
  })
  it('and is closed all the same when that is found out at its end', () => {
    const descriptors = readdirSync('/proc/self/fd').length
    const disk = open()
    disk.write(0, Buffer.alloc(512, 9))
    renameSync(folder, `${folder}-moved`)
    try { expect(() => { disk.close() }).toThrow(DiskError) } finally { renameSync(`${folder}-moved`, folder) }
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors)
  })
})

describe('a file', () => {
  it('that was cut while it is open fails to be read, and says so', () => {
    const disk = openFile(base, { readOnly: true })
    truncateSync(base, 512)
    expect(() => { disk.read(0, Buffer.alloc(1024), 0, 1024) }).toThrow('the file ends before its size')
    disk.close()
  })
  it('that is neither a file nor a block device is no disk', () => { expect(() => openFile('/dev/null', { readOnly: true })).toThrow('neither a file nor a block device') })
  it('that is read only cannot be written', () => {
    const disk = openFile(base, { readOnly: true })
    expect(() => { disk.write(0, Buffer.alloc(512)) }).toThrow(/EBADF/)
    disk.close()
  })
})
