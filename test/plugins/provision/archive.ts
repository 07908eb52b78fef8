/** Tar archives for tests: made by the real tar, and by hand where a real one would not make such a thing. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What `tar <options> -cf - <names>` prints in a folder with these files; `*` as a shell would expand it by default. */
export async function realTar (files: Readonly<Record<string, string | Uint8Array>>, options: readonly string[] = [], names: readonly string[] = Object.keys(files)): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-tar-'))
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), content)
    }
    const { stdout } = await run('tar', [...options, '-cf', '-', '--', ...names], { cwd: folder, encoding: 'buffer', maxBuffer: 64 << 20 })
    return stdout
  } finally { await rm(folder, { recursive: true }) }
}

export interface Member { readonly name: string, readonly content?: Uint8Array, readonly kind?: string, readonly size?: string, readonly sum?: string }
/** One member: header with a right checksum unless `sum` says another, content, padding. */
export function member ({ name, content = Buffer.alloc(0), kind = '0', size, sum }: Member): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100, 'latin1')
  header.write('0000644\0', 100, 'latin1')
  header.write(size ?? content.length.toString(8).padStart(11, '0'), 124, 12, 'latin1')
  header.write(kind, 156, 1, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  header.fill(0x20, 148, 156)
  const total = header.reduce((before, byte) => before + byte, 0)
  header.write(sum ?? `${total.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1')
  return Buffer.concat([header, content, Buffer.alloc((512 - content.length % 512) % 512)])
}
export const archive = (...members: readonly Member[]): Buffer => Buffer.concat([...members.map(member), Buffer.alloc(1024)])
