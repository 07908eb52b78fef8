/** Initiators by others: the tools of libiscsi, QEMU's own driver, and the BIOS calls of a machine that iPXE boots from the disk. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensurePackages } from '../lab/packages.ts'
import { bootSector } from './boot-sector.ts'
import { guestPackages, host, startGuest } from './guest.ts'
import { startServing } from './serve.ts'
import type { Serving } from './serve.ts'

const run = promisify(execFile)
const iqn = 'iqn.2030-01.org.example:disk'
const folder = mkdtempSync(join(tmpdir(), 'bedplate-initiators-'))
const [plain, secret, mutual, bootable] = ['plain', 'secret', 'mutual', 'bootable'].map(name => join(folder, name)) as [string, string, string, string]
const content = randomBytes(8 << 20)
let open: Serving
let guarded: Serving
beforeAll(async () => {
  await ensurePackages(['libiscsi-bin', 'qemu-utils', 'qemu-block-extra', ...guestPackages], line => { process.stderr.write(`${line}\n`) })
  writeFileSync(plain, content)
  writeFileSync(secret, 'correct horse battery\n')
  writeFileSync(mutual, 'staple and more of it\n')
  writeFileSync(bootable, Buffer.concat([bootSector, Buffer.from('these words were read over iSCSI\n\0')]))
  truncateSync(bootable, 64 << 20) // iPXE makes a geometry of it, which takes 8 MiB or more
  open = await startServing(['--iqn', iqn, '--portal', '127.0.0.1:0', '--lun', `${plain}:ro`, '--lun', `${plain}:cow`, '--lun', bootable])
  guarded = await startServing(['--iqn', iqn, '--portal', '127.0.0.1:0', '--lun', `${plain}:ro`, '--chap-user', 'alice', '--chap-secret-file', secret, '--mutual-user', 'disk', '--mutual-secret-file', mutual])
})
afterAll(async () => { await open?.end(); await guarded?.end(); rmSync(folder, { recursive: true }) })
const url = (lun: number, of = open, before = ''): string => `iscsi://${before}${of.portals[0]}/${iqn}/${lun}`

describe('libiscsi', () => {
  it('finds the target and its units', async () => {
    const { stdout } = await run('iscsi-ls', ['-s', `iscsi://${open.portals[0]}`])
    expect(stdout.split('\n').slice(0, 3).map(line => line.trim())).toEqual([`Target:${iqn} Portal:${open.portals[0]},1`, 'Lun:0    Type:DIRECT_ACCESS (Size:7M)', 'Lun:1    Type:DIRECT_ACCESS (Size:7M)'])
  })
  it.each([['Vendor:BEDPLATE', []], ['Page:0xb2 LOGICAL_BLOCK_PROVISIONING', ['-e', '1', '-c', '0']], ['Unit Serial Number:[', ['-e', '1', '-c', '128']], [`${iqn},t,0x0001`, ['-e', '1', '-c', '131']], ['maximum transfer length:65536', ['-e', '1', '-c', '176']]])('is told what it is: %s', async (words, args) => {
    const { stdout } = await run('iscsi-inq', [...args, url(0)])
    expect(stdout).toContain(words)
  })
  it('proves itself and has the target prove itself, with the right secrets alone', async () => {
    const env = { ...process.env, LIBISCSI_CHAP_USERNAME: 'alice', LIBISCSI_CHAP_PASSWORD: 'correct horse battery', LIBISCSI_CHAP_TARGET_USERNAME: 'disk', LIBISCSI_CHAP_TARGET_PASSWORD: 'staple and more of it' }
    expect((await run('iscsi-inq', [url(0, guarded)], { env })).stdout).toContain('BEDPLATE')
    await expect(run('iscsi-inq', [url(0, guarded)], { env: { ...env, LIBISCSI_CHAP_PASSWORD: 'wrong horse battery' } })).rejects.toThrow()
    await expect(run('iscsi-inq', [url(0, guarded)], { env: { ...env, LIBISCSI_CHAP_TARGET_PASSWORD: 'not what it has' } })).rejects.toThrow()
    await expect(run('iscsi-inq', [url(0, guarded)])).rejects.toThrow()
  })
})

describe('QEMU\'s driver', () => {
  const img = (...args: readonly string[]) => run('qemu-img', args, { timeout: 60_000 })
  it('reads every byte', async () => {
    const copy = join(folder, 'copy')
    await img('convert', '-O', 'raw', url(0), copy)
    expect(readFileSync(copy).equals(content)).toBe(true)
    await img('compare', '-f', 'raw', '-F', 'raw', url(0), plain)
  })
  it('writes every byte to its own copy, with holes', async () => {
    const other = join(folder, 'other')
    writeFileSync(other, Buffer.concat([Buffer.alloc(3 << 20), randomBytes(2 << 20), Buffer.alloc(3 << 20)]))
    await img('convert', '-n', '-f', 'raw', '-O', 'raw', other, url(1))
    await img('compare', '-f', 'raw', '-F', 'raw', url(1), other)
    expect(readFileSync(plain).equals(content)).toBe(true)
  })
  it('is refused where nothing can be written', async () => { await expect(img('convert', '-n', '-f', 'raw', '-O', 'raw', plain, url(0))).rejects.toThrow(/write.protect|read.only|permission/i) })
})

it('a machine that iPXE boots from the disk reads and writes it by its BIOS', { timeout: 400_000 }, async () => {
  const guest = await startGuest({ directory: folder, script: `#!ipxe\nsanboot --no-describe iscsi:${host}::${open.portals[0]?.split(':')[1]}:2:${iqn} || shell\n` })
  try {
    await guest.says('these words were read over iSCSI', 300_000)
    await guest.says('and written', 60_000)
    expect(readFileSync(bootable).subarray(1024, 1056).toString()).toBe('these words were read over iSCSI')
  } finally { await guest.end() }
})
