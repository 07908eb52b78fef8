/** An initrd with a file beside it in one: what comes after the initrd's own bytes, as the kernel unpacks it (its Documentation/driver-api/early-userspace/buffer-format). Pure. */

/**
 * A cpio archive (newc) of one file, around its content: zeros up to a multiple of four, since the kernel looks for an archive only there, then the header; and the end of the archive.
 * @param before bytes of what stands before it
 * @param size bytes of the file, less than 4 GiB: the format has eight hex digits for it
 */
export function archiveAround (name: string, size: number, before: number): { readonly head: Buffer, readonly tail: Buffer } {
  if (size >= 2 ** 32) throw new RangeError(`${name} has ${size} bytes, more than such an archive can hold`)
  return { head: Buffer.concat([Buffer.alloc(padding(before)), header(name, 0o100444, size)]), tail: Buffer.concat([Buffer.alloc(padding(size)), header('TRAILER!!!', 0, 0)]) }
}

const padding = (length: number): number => (4 - length % 4) % 4

function header (name: string, mode: number, size: number): Buffer {
  const words = [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length + 1, 0] // ino, mode, uid, gid, nlink, mtime, filesize, device and its kind twice, namesize, check
  const text = Buffer.from(`070701${words.map(word => word.toString(16).padStart(8, '0')).join('')}${name}\0`, 'latin1')
  return Buffer.concat([text, Buffer.alloc(padding(text.length))])
}
