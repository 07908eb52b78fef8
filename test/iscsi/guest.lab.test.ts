/** The Linux initiator: a machine whose firmware (iPXE) hands it its disk in an iBFT; it logs in to it, reads it, writes it, and logs in again with CHAP both ways and digests. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { ensurePackages } from '../lab/packages.ts'
import { guestImage } from './guest-image.ts'
import { guestPackages, host, startGuest } from './guest.ts'
import { startServing } from './serve.ts'

const name = (what: string): string => `iqn.2030-01.org.example:${what}`
const folder = mkdtempSync(join(tmpdir(), 'bedplate-guest-'))
afterAll(() => { rmSync(folder, { recursive: true }) })
const file = (what: string): string => join(folder, what)
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

it('reads and writes its disks, finds them by the iBFT, and proves itself', { timeout: 900_000 }, async () => {
  const say = (line: string): void => { process.stderr.write(`${line}\n`) }
  await ensurePackages([...guestPackages, 'cpio', 'binutils', 'dpkg'], say)
  const { kernel, initrd } = await guestImage(say)
  const content = randomBytes(16 << 20)
  writeFileSync(file('root'), content)
  writeFileSync(file('second'), Buffer.from(content).reverse())
  writeFileSync(file('data'), '')
  truncateSync(file('data'), 16 << 20)
  writeFileSync(file('secret'), 'correct-horse-battery\n')
  writeFileSync(file('mutual'), 'staple-and-more\n')
  const open = await startServing(['--iqn', name('root'), '--portal', '127.0.0.1:0', '--lun', `${file('root')}:ro`, '--lun', file('data')])
  const guarded = await startServing(['--iqn', name('second'), '--portal', '127.0.0.1:0', '--lun', `${file('second')}:ro`, '--chap-user', 'alice', '--chap-secret-file', file('secret'), '--mutual-user', 'disk', '--mutual-secret-file', file('mutual')])
  const [port, other] = [open, guarded].map(({ portals }) => portals[0]?.split(':')[1])
  const guest = await startGuest({
    directory: folder, files: { kernel, initrd },
    script: ['#!ipxe', `set initiator-iqn ${name('guest')}`, `sanhook iscsi:${host}::${port}:0:${name('root')} || shell`, `kernel http://${host}:PORT/kernel console=ttyS0 panic=1 second=${name('second')},${host},${other} initrd=initrd`, `initrd http://${host}:PORT/initrd`, 'boot', ''].join('\n')
  })
  try {
    await guest.says('guest: done', 800_000)
    const said = guest.serial().split('\n').flatMap(line => { const [, words] = /guest: (.*?)\r?$/.exec(line) ?? []; return words === undefined ? [] : [words] })
    expect(said).toEqual([
      `iBFT: ${name('root')}`, `LUN 0 of 16 MiB, read-only 1, sha256 ${sha256(content)}`, `LUN 1 written, sha256 ${sha256(content)}`,
      `second session, digests 1 1, sha256 ${sha256(Buffer.from(content).reverse())}`, 'done'
    ])
    expect(readFileSync(file('data')).equals(content)).toBe(true)
    expect([open.fate, guarded.fate]).toEqual([undefined, undefined])
  } finally {
    await guest.end()
    await Promise.all([open.end(), guarded.end()])
  }
})
