/** Real clients on a network of their own: a segment with IPv4 and IPv6, and a client behind a router whose far side is narrower. */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Served } from '../../../../plugins/boot/tftp/server.ts'
import { createNetwork } from '../../../kit/network.ts'
import type { Namespace, TestNetwork } from '../../../kit/network.ts'
import { until } from '../../../kit/wait.ts'
import { folder } from '../rig.ts'

const files = { 'loader.efi': randomBytes(3_000_001), 'small.bin': randomBytes(700), 'even.bin': randomBytes(1468 * 40) }
let network: TestNetwork
let near: Namespace
let far: Namespace
let server: Namespace
let process_: ChildProcess
let source: Awaited<ReturnType<typeof folder>>
let target: Awaited<ReturnType<typeof folder>>
const served: Served[] = []

beforeAll(async () => {
  [source, target] = [await folder(files), await folder({})]
  network = await createNetwork()
  const [middle, router] = [await network.namespace(), await network.namespace()]
  ;[server, near, far] = [await network.namespace(), await network.namespace(), await network.namespace()]
  await network.bridge(middle, 'br0')
  await network.cable({ namespace: server, name: 'eth0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] }, { namespace: middle, name: 'p-server', bridge: 'br0' })
  await network.cable({ namespace: near, name: 'eth0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] }, { namespace: middle, name: 'p-near', bridge: 'br0' })
  await network.cable({ namespace: router, name: 'eth0', addresses: ['192.0.2.3/24', '2001:db8::3/64'] }, { namespace: middle, name: 'p-router', bridge: 'br0' })
  await network.cable({ namespace: router, name: 'eth1', addresses: ['198.51.100.1/24', '2001:db8:1::1/64'] }, { namespace: far, name: 'eth0', addresses: ['198.51.100.2/24', '2001:db8:1::2/64'] })
  for (const command of [['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'], ['ip', 'link', 'set', 'eth1', 'mtu', '1300']]) await ok(router, command)
  for (const command of [['ip', 'link', 'set', 'eth0', 'mtu', '1300'], ['ip', 'route', 'add', 'default', 'via', '198.51.100.1'], ['ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1']]) await ok(far, command)
  for (const command of [['ip', 'route', 'add', '198.51.100.0/24', 'via', '192.0.2.3'], ['ip', '-6', 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8::3']]) await ok(server, command)
  for (const namespace of [server, near, router, far]) await until(async () => !(await namespace.exec(['ip', '-6', 'address', 'show', 'tentative'])).stdout.includes('inet6'), { timeout: 15_000, what: 'addresses to be usable' })
  process_ = server.node(join(import.meta.dirname, 'server-process.ts'), [source.path])
  const listening = new Promise<readonly string[]>(resolve => { process_.on('message', (message: Served | { readonly listening: readonly string[] }) => { if ('listening' in message) resolve(message.listening); else served.push(message) }) })
  expect(await listening).toEqual(expect.arrayContaining(['192.0.2.1', '2001:db8::1']))
})
afterAll(async () => {
  await network?.destroy()
  await source?.remove()
  await target?.remove()
})
beforeEach(() => { served.length = 0 })

async function ok (namespace: Namespace, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await namespace.exec(command, { timeout: 60_000 })
  expect({ command: command.join(' '), code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ command: command.join(' '), code: 0, stderr: '' })
  return stdout
}
let count = 0
const fresh = () => join(target.path, String(count++))
const same = async (path: string, name: keyof typeof files) => { expect((await readFile(path)).equals(files[name])).toBe(true) }
/** What the server said of the one transfer there was. */
const told = async (): Promise<Served> => { await until(() => served.length === 1); return served[0]! }

describe('on the segment', () => {
  test.each(Object.keys(files) as (keyof typeof files)[])('atftp gets %s in windows of 16', async name => {
    const path = fresh()
    await ok(near, ['atftp', '--option', 'blksize 1468', '--option', 'windowsize 16', '-g', '-r', name, '-l', path, '192.0.2.1', '69'])
    await same(path, name)
    expect(await told()).toMatchObject({ address: '192.0.2.2', name, bytes: files[name].length, failure: null })
  })
  test('requests from port 0, where nobody can be answered, are passed over', async () => {
    const sender = near.node(join(import.meta.dirname, 'port-zero.ts'), ['192.0.2.1'])
    expect(await new Promise(resolve => { sender.once('exit', resolve) })).toBe(0)
    const path = fresh()
    await ok(near, ['atftp', '-g', '-r', 'small.bin', '-l', path, '192.0.2.1', '69'])
    await same(path, 'small.bin')
    expect(process_.exitCode).toBe(null)
  })
  test('blocks larger than the segment carries go as fragments', async () => {
    const path = fresh()
    await ok(near, ['atftp', '--option', 'blksize 8192', '--option', 'windowsize 8', '-g', '-r', 'loader.efi', '-l', path, '192.0.2.1', '69'])
    await same(path, 'loader.efi')
    expect(await told()).toMatchObject({ failure: null })
  })
  test('tftp-hpa by IPv4', async () => {
    const path = fresh()
    await ok(near, ['tftp', '-m', 'binary', '192.0.2.1', '-c', 'get', 'loader.efi', path])
    await same(path, 'loader.efi')
  })
  test('tftp-hpa by IPv6', async () => {
    const path = fresh()
    await ok(near, ['tftp', '-6', '-m', 'binary', '2001:db8::1', '-c', 'get', 'loader.efi', path])
    await same(path, 'loader.efi')
    expect(await told()).toMatchObject({ address: '2001:db8::2', failure: null })
  })
  test('busybox, with large blocks and with plain ones', async () => {
    for (const options of [['-b', '1468'], ['-b', '512'], []]) {
      const path = fresh()
      await ok(near, ['busybox', 'tftp', '-g', ...options, '-r', 'loader.efi', '-l', path, '192.0.2.1'])
      await same(path, 'loader.efi')
    }
  })
  test('curl by IPv6 from the link\'s own addresses', async () => {
    const [, local = ''] = /inet6 (fe80::[0-9a-f:]+)\//.exec(await ok(server, ['ip', '-6', 'address', 'show', 'dev', 'eth0', 'scope', 'link'])) ?? []
    const path = fresh()
    await ok(near, ['curl', '-sS', '--tftp-blksize', '1428', `tftp://[${local}%25eth0]/loader.efi`, '-o', path])
    await same(path, 'loader.efi')
    expect((await told()).address).toMatch(/^fe80::.*%eth0$/)
  })
  test('busybox cannot put', async () => {
    const { code, stderr } = await near.exec(['busybox', 'tftp', '-p', '-l', join(source.path, 'small.bin'), '-r', 'new.bin', '192.0.2.1'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('read-only') })
  })
})

describe('behind a router whose far side carries less', () => {
  test.each(['1468', '1200'])('atftp in windows of 16 with blocks of %s', async blockSize => {
    const path = fresh()
    await ok(far, ['atftp', '--option', `blksize ${blockSize}`, '--option', 'windowsize 16', '-g', '-r', 'loader.efi', '-l', path, '192.0.2.1', '69'])
    await same(path, 'loader.efi')
    expect(await told()).toMatchObject({ address: '198.51.100.2', failure: null })
  })
  test('curl by IPv6 with blocks it has to have in fragments', async () => {
    const path = fresh()
    await ok(far, ['curl', '-sS', '--tftp-blksize', '1428', 'tftp://[2001:db8::1]/loader.efi', '-o', path])
    await same(path, 'loader.efi')
    expect(await told()).toMatchObject({ address: '2001:db8:1::2', failure: null })
  })
})

test('many at once from both sides, every byte compared', async () => {
  const all = await Promise.all(Array.from({ length: 24 }, async (_, index) => {
    const path = fresh()
    await ok(index % 3 === 0 ? far : near, ['curl', '-sS', '--tftp-blksize', index % 2 === 0 ? '1428' : '1024', index % 4 < 2 ? 'tftp://192.0.2.1/loader.efi' : 'tftp://[2001:db8::1]/loader.efi', '-o', path])
    return readFile(path)
  }))
  expect(all.every(bytes => bytes.equals(files['loader.efi']))).toBe(true)
  await until(() => served.length === 24)
  expect(served.every(({ failure, bytes }) => failure === null && bytes === files['loader.efi'].length)).toBe(true)
})
