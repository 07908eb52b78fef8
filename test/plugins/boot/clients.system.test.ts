/** The clients people really have: tftp-hpa, atftp, curl and the `tftp` package, against our servers; every byte compared. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../../kit/wait.ts'
import { fakeFiles } from './fakes.ts'
import { folder, rackHalf, tftpServer } from './rig.ts'

const run = promisify(execFile)
const files = { 'small.bin': randomBytes(700), 'even.bin': randomBytes(1468 * 40), 'loader.efi': randomBytes(1_000_001), 'empty.bin': Buffer.alloc(0), 'wraps.bin': randomBytes(512 * 66_000 + 3) }
const hash = 'a'.repeat(64)
let source: Awaited<ReturnType<typeof folder>>
let target: Awaited<ReturnType<typeof folder>>
let tftp: Awaited<ReturnType<typeof tftpServer>>
let rack: Awaited<ReturnType<typeof rackHalf>>
beforeAll(async () => {
  source = await folder(files)
  target = await folder({})
  tftp = await tftpServer(source.path, { addresses: () => ['127.0.0.1', '127.0.0.2', '::1'] })
  rack = await rackHalf(fakeFiles({ [hash]: join(source.path, 'loader.efi') }).store, { loaderDirectory: source.path })
})
afterAll(async () => {
  await tftp?.server.stop()
  await rack?.close()
  await source?.remove()
  await target?.remove()
})
let count = 0
const fresh = () => join(target.path, String(count++))
const same = async (path: string, name: keyof typeof files) => expect((await readFile(path)).equals(files[name])).toBe(true)

describe('tftp-hpa', () => {
  test.each(Object.keys(files) as (keyof typeof files)[])('gets %s', async name => {
    const path = fresh()
    await run('tftp', ['-m', 'binary', '127.0.0.1', String(tftp.port), '-c', 'get', name, path])
    await same(path, name)
  })
  test('over IPv6', async () => {
    const path = fresh()
    await run('tftp', ['-6', '-m', 'binary', '::1', String(tftp.port), '-c', 'get', 'loader.efi', path])
    await same(path, 'loader.efi')
  })
  test('may not put', async () => {
    const { stdout, stderr } = await run('tftp', ['-m', 'binary', '127.0.0.1', String(tftp.port), '-c', 'put', join(source.path, 'small.bin'), 'new.bin'])
    expect(stdout + stderr).toContain('read-only')
    expect(await readdir(source.path)).not.toContain('new.bin')
  })
  test('is told when there is no such file', async () => {
    const { stdout, stderr } = await run('tftp', ['-m', 'binary', '127.0.0.1', String(tftp.port), '-c', 'get', '../../../../etc/passwd', fresh()])
    expect(stdout + stderr).toContain('File not found')
  })
})

describe('atftp', () => {
  test.each([[{}], [{ blksize: 1468 }], [{ windowsize: 16 }], [{ blksize: 1468, windowsize: 16, timeout: 2 }], [{ blksize: 8, windowsize: 64 }], [{ blksize: 65464, windowsize: 4 }]])('gets a file with the options %j', async options => {
    const path = fresh()
    await run('atftp', [...Object.entries(options).flatMap(([name, value]) => ['--option', `${name} ${value}`]), '-g', '-r', 'loader.efi', '-l', path, '127.0.0.2', String(tftp.port)])
    await same(path, 'loader.efi')
  })
  test('past 65,535 blocks in windows', async () => {
    const path = fresh()
    await run('atftp', ['--option', 'windowsize 32', '-g', '-r', 'wraps.bin', '-l', path, '127.0.0.1', String(tftp.port)])
    await same(path, 'wraps.bin')
  })
})

describe('curl', () => {
  test.each(['127.0.0.1', '[::1]'])('gets a file by TFTP from %s', async host => {
    const path = fresh()
    await run('curl', ['-sS', '--tftp-blksize', '1428', `tftp://${host}:${tftp.port}/loader.efi`, '-o', path])
    await same(path, 'loader.efi')
  })
  test('gets a file by HTTP, and goes on with one broken off', async () => {
    const path = fresh()
    const url = `${rack.base}/boot/files/${hash}/vmlinuz`
    await run('curl', ['-sSf', '-r', '0-499999', url, '-o', path])
    await run('curl', ['-sSf', '-C', '-', url, '-o', path])
    await same(path, 'loader.efi')
    const { stdout } = await run('curl', ['-sSfI', url])
    expect(stdout).toContain(`content-length: ${files['loader.efi'].length}`)
  })
  test('gets nothing outside by HTTP however it writes the path', async () => {
    for (const path of ['/boot/loaders/../../../../../../etc/passwd', '/boot/loaders/..%2f..%2f..%2fetc%2fpasswd', `/boot/files/${hash}/../../../../etc/passwd`, '//etc/passwd', '/boot//etc/passwd']) {
      const { stdout } = await run('curl', ['-sS', '--path-as-is', '-w', '\n%{http_code}', rack.base + path])
      expect(stdout).toMatch(/\n40[04]$/)
      expect(stdout).not.toContain('root:')
    }
  })
})

describe('the tftp package', () => {
  interface Client { get (remote: string, local: string, done: (error?: Error) => void): void }
  const { createClient } = createRequire(import.meta.url)('tftp') as { createClient (options: object): Client }
  test.each([[{ blockSize: 1468, windowSize: 4 }], [{ blockSize: 512, windowSize: 1 }], [{ blockSize: 1428, windowSize: 64 }]])('gets a file with %j', async options => {
    const path = fresh()
    const client = createClient({ host: '127.0.0.1', port: tftp.port, ...options })
    await new Promise<void>((resolve, reject) => { client.get('loader.efi', path, error => error === undefined || error === null ? resolve() : reject(error)) })
    await same(path, 'loader.efi')
  })
})

test('after all of them, no transfer is left open', () => until(() => tftp.server.transfers === 0))
