/**
 * A disk that reads from another and keeps what is written by itself, in a sparse file of the same size beside a map of the pieces that are in it.
 * What was flushed survives a crash: the map is written after the data it speaks of, and only then. A piece whose bit was lost is what it was before.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { DiskError } from './disk.ts'
import type { Disk } from './disk.ts'
import { openFile } from './file.ts'

/** Bytes of a piece: a block of most file systems, so that most writes fill whole ones and nothing need be copied up first. */
const piece = 4096
const magic = Buffer.from('BPOVL001')
const headLength = 32

export interface OverlayOptions {
  /** Closed with the overlay, and when there is to be none. */
  readonly base: Disk
  /** Of the data; the map is `path` + `.map`. Both are made when they are not there. */
  readonly path: string
  /** What the base is: an overlay of another one is refused, since its pieces mean nothing here. At most 16 bytes count. */
  readonly identity: string
}

/** Throws DiskError when it belongs to another base, and what the file system throws. */
export function openOverlay (options: OverlayOptions): Disk {
  try { return opened(options) } catch (error) { options.base.close(); throw error }
}

function opened ({ base, path, identity }: OverlayOptions): Disk {
  const { size } = base
  const pieces = Math.ceil(size / piece)
  const map = readMap(`${path}.map`, pieces, size, identity)
  if (!existsSync(path)) {
    closeSync(openSync(path, 'a'))
    syncFolder(path) // else a crash could leave the map without it
  }
  const sizing = openSync(path, 'r+')
  try { ftruncateSync(sizing, pieces * piece) } finally { closeSync(sizing) }
  const own = openFile(path, { readOnly: false })
  const scratch = Buffer.allocUnsafe(piece)
  let dirty = false
  const has = (index: number): boolean => ((map[index >> 3] ?? 0) & 1 << (index & 7)) !== 0
  const set = (index: number): void => { map[index >> 3] = (map[index >> 3] ?? 0) | 1 << (index & 7) }
  /** How many bytes from `offset` are all in the overlay or all not, at most `length`. */
  const run = (offset: number, length: number): { readonly here: boolean, readonly length: number } => {
    let index = Math.floor(offset / piece)
    const here = has(index)
    for (index++; index * piece < offset + length && has(index) === here;) index++
    return { here, length: Math.min(length, index * piece - offset) }
  }
  /** Makes the piece whole before a part of it is written. */
  const copyUp = (index: number): void => {
    if (has(index)) return
    const length = Math.min(piece, size - index * piece)
    base.read(index * piece, scratch, 0, length)
    own.write(index * piece, scratch.subarray(0, length))
  }

  return {
    size,
    read (offset, into, at, length) {
      for (let done = 0; done < length;) {
        const part = run(offset + done, length - done)
        const from = part.here ? own : base
        from.read(offset + done, into, at + done, part.length)
        done += part.length
      }
    },
    write (offset, data) {
      const [first, last] = [Math.floor(offset / piece), Math.floor((offset + data.length - 1) / piece)]
      if (offset % piece !== 0) copyUp(first)
      const end = offset + data.length
      if (end % piece !== 0 && end < size && (last !== first || offset % piece === 0)) copyUp(last)
      own.write(offset, data)
      for (let index = first; index <= last; index++) set(index)
      dirty = true
    },
    discard (offset, length) {
      const zeros = Buffer.alloc(Math.min(length, 1 << 20))
      for (let at = 0; at < length; at += zeros.length) this.write(offset + at, zeros.subarray(0, Math.min(zeros.length, length - at)))
    },
    mapped: offset => ({ mapped: true, length: size - offset }),
    flush () {
      own.flush()
      if (!dirty) return
      writeMap(`${path}.map`, map, size, identity)
      dirty = false
    },
    close () {
      try { this.flush() } finally { try { own.close() } finally { base.close() } }
    }
  }
}

const headOf = (size: number, identity: string): Buffer => {
  const head = Buffer.alloc(headLength)
  magic.copy(head)
  head.writeBigUInt64BE(BigInt(size), 8)
  head.write(identity.slice(0, 16), 16, 'latin1')
  return head
}

function readMap (path: string, pieces: number, size: number, identity: string): Buffer {
  const map = Buffer.alloc(Math.ceil(pieces / 8))
  if (!existsSync(path)) return map
  const head = Buffer.alloc(headLength)
  const descriptor = openSync(path, 'r')
  try {
    readSync(descriptor, head, 0, headLength, 0)
    if (!head.equals(headOf(size, identity))) throw new DiskError(`${path} is the map of another overlay: of another image, or of one of another size. Remove it and the file beside it to begin anew.`)
    if (readSync(descriptor, map, 0, map.length, headLength) !== map.length) throw new DiskError(`${path} is cut off. Remove it and the file beside it to begin anew.`)
  } finally {
    closeSync(descriptor)
  }
  return map
}

/** Beside the old one and then in its place, so that a crash leaves one of the two. */
function writeMap (path: string, map: Buffer, size: number, identity: string): void {
  try {
    const fresh = `${path}.new`
    const descriptor = openSync(fresh, 'w')
    try {
      const bytes = Buffer.concat([headOf(size, identity), map])
      for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done)
      fsyncSync(descriptor)
    } finally { closeSync(descriptor) }
    renameSync(fresh, path)
    syncFolder(path)
  } catch (error) { throw new DiskError(error instanceof Error ? error.message : String(error)) }
}

/** A name that is new, or another file's from now on, is on stable storage with its folder alone. */
function syncFolder (path: string): void {
  const descriptor = openSync(dirname(path), 'r')
  try { fsyncSync(descriptor) } finally { closeSync(descriptor) }
}
