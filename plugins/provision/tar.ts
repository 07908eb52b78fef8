/** Reads a tar archive of small text files (POSIX.1-2017, ustar interchange format): what a machine uploads. Pure. */
import { BedplateError } from '../../core/errors.ts'

const block = 512
const field = (header: Buffer, start: number, length: number): string => {
  const end = header.indexOf(0, start)
  return header.toString('latin1', start, end < 0 || end > start + length ? start + length : end)
}

/**
 * The regular files by name, without a leading `./`; other members are passed over. Bytes that are no UTF-8, and NUL, which a database text cannot hold, become U+FFFD.
 * @throws BedplateError INVALID_REQUEST for what is no tar, or more than `limit` files
 */
export function readTar (archive: Buffer, limit = 64): Record<string, string> {
  const files: Record<string, string> = Object.create(null) as Record<string, string>
  let count = 0
  for (let offset = 0; offset + block <= archive.length;) {
    const header = archive.subarray(offset, offset + block)
    if (header.every(byte => byte === 0)) break
    const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0)
    const size = Number.parseInt(field(header, 124, 12).trim() || '0', 8)
    if (Number.parseInt(field(header, 148, 8).trim(), 8) !== sum || !Number.isSafeInteger(size) || size < 0) throw new BedplateError('INVALID_REQUEST', { reason: `the upload is no tar archive (a wrong header at byte ${offset})` })
    const begin = offset + block
    if (begin + size > archive.length) throw new BedplateError('INVALID_REQUEST', { reason: `the upload ends in the middle of ${JSON.stringify(field(header, 0, 100))}` })
    const kind = header[156]
    if (kind === 0 || kind === 0x30) {
      if (++count > limit) throw new BedplateError('INVALID_REQUEST', { reason: `the upload holds more than ${limit} files` })
      files[field(header, 0, 100).replace(/^(\.\/)+/, '')] = archive.toString('utf8', begin, begin + size).replaceAll('\0', '\ufffd')
    }
    offset = begin + Math.ceil(size / block) * block
  }
  return { ...files }
}
