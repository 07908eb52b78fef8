/** Unpacks the plain files at the top of a tar archive (POSIX, GNU), gzip, zstd or neither. Links, folders and pax attributes are left out: an image needs none. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { Failure, sentenceOf } from './failure.ts'

const block = 512
export interface Entry { readonly name: string, readonly size: number, readonly type: string }

/** Reads one header block; undefined for a block of zeros, the archive's end. Throws Failure when it is no tar header. Pure. */
export function readHeader (header: Buffer): Entry | undefined {
  if (header.every(byte => byte === 0)) return undefined
  let sum = 0
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte // the checksum counts itself as spaces
  if (sum !== octal(header.subarray(148, 156))) throw new Failure('It is not a tar archive, or it is damaged.')
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header.subarray(345, 500)) : ''
  const name = text(header.subarray(0, 100))
  return { name: prefix === '' || header[262] === 32 ? name : `${prefix}/${name}`, size: size(header.subarray(124, 136)), type: String.fromCharCode(header[156] ?? 0) }
}
const text = (field: Buffer): string => field.toString('utf8', 0, field.indexOf(0) < 0 ? field.length : field.indexOf(0))
const octal = (field: Buffer): number => parseInt(text(field).trim() || '0', 8)
/** Octal, or base 256 when the first bit is set (GNU, for 8 GiB and more). */
function size (field: Buffer): number {
  const value = (field[0] ?? 0) & 0x80 ? field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0) : octal(field)
  if (!Number.isSafeInteger(value) || value < 0) throw new Failure('It is not a tar archive, or it is damaged.')
  return value
}

/** Writes each file into `folder` under its last name. `tell`: bytes of the archive read so far. Throws Failure. */
export async function extract (path: string, folder: string, tell: (read: number, last: boolean) => void): Promise<void> {
  const source = createReadStream(path, { highWaterMark: 1 << 18 })
  const decompress = /\.(tgz|gz)$/.test(path) ? createGunzip() : /\.(tzst|zst)$/.test(path) ? createZstdDecompress() : new PassThrough()
  let told = 0
  source.on('data', () => { if (source.bytesRead - told >= 1 << 22) tell(told = source.bytesRead, false) })
  try {
    await pipeline(source, decompress, data => unpack(data as AsyncIterable<Buffer>, folder))
  } catch (error) {
    throw new Failure(`${path} cannot be unpacked: ${sentenceOf(error)}`)
  }
  tell(source.bytesRead, true)
}

async function unpack (data: AsyncIterable<Buffer>, folder: string): Promise<void> {
  let held: Buffer = Buffer.alloc(0)
  let entry: Entry | undefined
  let left = 0 // of the entry's content and padding
  let file: FileHandle | undefined
  let content = 0 // of the entry's content alone
  let ended = false
  try {
    for await (const chunk of data) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      while (!ended) {
        if (entry === undefined) {
          if (held.length < block) break
          entry = readHeader(held.subarray(0, block))
          held = held.subarray(block)
          if (entry === undefined) { ended = true; break }
          content = entry.size
          left = Math.ceil(entry.size / block) * block
          const name = /(?:^|\/)([^/]+)$/.exec(entry.name)?.[1]
          if ((entry.type === '0' || entry.type === '\0') && name !== undefined && name !== '.' && name !== '..') file = await open(join(folder, name), 'wx')
        }
        const now = held.subarray(0, left)
        if (file !== undefined && content > 0) {
          const part = now.subarray(0, content)
          await file.writeFile(part)
          content -= part.length
        }
        left -= now.length
        held = held.subarray(now.length)
        if (left > 0) break
        await file?.close()
        file = entry = undefined
      }
      if (ended) held = Buffer.alloc(0)
    }
  } finally {
    await file?.close()
  }
  if (entry !== undefined || (!ended && held.length > 0)) throw new Failure('It ends in the middle of a file.')
}
