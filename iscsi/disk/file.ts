/** A disk in a file, or a block device: read where it lies, written in place. */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { DiskError } from './disk.ts'
import type { Disk } from './disk.ts'

const words = (error: unknown): string => error instanceof Error ? error.message : String(error)
const zeros = Buffer.alloc(1 << 20)

/** Bytes. Of a block device the kernel tells it elsewhere, in sectors of 512. */
function sizeOf (descriptor: number): number {
  const status = fstatSync(descriptor)
  if (status.isFile()) return status.size
  if (!status.isBlockDevice()) throw new DiskError('it is neither a file nor a block device')
  const [major, minor] = [status.rdev >> 8 & 0xfff, status.rdev & 0xff | status.rdev >> 12 & 0xfff00]
  return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512
}

/** Throws what `open` throws, and DiskError for what can be no disk. */
export function openFile (path: string, { readOnly }: { readonly readOnly: boolean }): Disk {
  const descriptor = openSync(path, readOnly ? 'r' : 'r+')
  let size: number
  try { size = sizeOf(descriptor) } catch (error) { closeSync(descriptor); throw error }
  const write = (offset: number, data: Buffer, length: number): void => {
    try {
      for (let done = 0; done < length;) done += writeSync(descriptor, data, done, length - done, offset + done)
    } catch (error) { throw new DiskError(words(error)) }
  }
  return {
    size,
    read (offset, into, at, length) {
      try {
        for (let done = 0; done < length;) {
          const read = readSync(descriptor, into, at + done, length - done, offset + done)
          if (read === 0) throw new DiskError('the file ends before its size') // it was cut meanwhile
          done += read
        }
      } catch (error) { throw error instanceof DiskError ? error : new DiskError(words(error)) }
    },
    write: (offset, data) => { write(offset, data, data.length) },
    discard (offset, length) { for (let at = 0; at < length; at += zeros.length) write(offset + at, zeros, Math.min(zeros.length, length - at)) },
    mapped: offset => ({ mapped: true, length: size - offset }),
    flush () { try { fsyncSync(descriptor) } catch (error) { throw new DiskError(words(error)) } },
    close: () => { closeSync(descriptor) }
  }
}
