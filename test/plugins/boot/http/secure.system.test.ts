/** HTTPS of a real daemon in a network of its own, looked at with curl from the host beside it, which has nothing but what `bedplate ca show` prints. As root. */
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createNetwork, requirePrograms } from '../../../kit/network.ts'
import type { Namespace, TestNetwork } from '../../../kit/network.ts'
import { scratch } from '../../../kit/scratch.ts'
import { until } from '../../../kit/wait.ts'

const program = join(import.meta.dirname, '../../../../bin/bedplate')
const [address, later] = ['10.99.7.1', '10.99.7.77']
let folder: string
let network: TestNetwork
let [server, client]: Namespace[] = []
beforeAll(async () => {
  requirePrograms({ curl: 'curl', openssl: 'openssl' })
  folder = await mkdtemp(join(scratch(), 'bedplate-secure-'))
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'loader.efi'), 'MZ loader')
  network = await createNetwork()
  server = await network.namespace()
  client = await network.namespace()
  await network.cable({ namespace: server, name: 'eth0', addresses: [`${address}/24`] }, { namespace: client, name: 'eth0', addresses: ['10.99.7.2/24'] })
  await writeFile(join(folder, 'config.yaml'), JSON.stringify({ dataDirectory: join(folder, 'data'), hostname: 'both', log: { level: 'warn' }, boot: { loaderDirectories: [folder] } }))
  server.spawn([program, 'run', '--config', join(folder, 'config.yaml')], { stdio: 'ignore' })
  await until(async () => (await server!.exec(['curl', '-sf', '-o', '/dev/null', 'http://127.0.0.1:5240/readyz'])).code === 0, { timeout: 60_000, interval: 200, what: 'the daemon to be ready' })
}, 90_000)
afterAll(async () => {
  await network?.destroy()
  await rm(folder, { recursive: true, force: true })
})

const url = (at: string) => `https://${at}:5249/boot/loaders/loader.efi`
const curl = (...args: string[]) => client!.exec(['curl', '-sS', '-m', '10', ...args])

test('firmware that has the authority gets loaders at the rack\'s address, and at one that comes later; others do not trust it', async () => {
  const shown = await server!.exec([program, 'ca', 'show', '--token', (await readFile(join(folder, 'data', 'admin.token'), 'utf8')).trim()])
  expect(shown.stderr).toBe('')
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, shown.stdout)
  await until(async () => (await curl('-o', '/dev/null', '--cacert', ca, url(address))).code === 0, { timeout: 30_000, interval: 200, what: 'HTTPS' })
  expect((await curl('--cacert', ca, url(address))).stdout).toBe('MZ loader')
  expect((await curl('--cacert', ca, '--tls-max', '1.2', url(address))).stdout).toBe('MZ loader')
  expect((await curl('--cacert', ca, '-I', url(address))).stdout).toContain(`etag: "${createHash('sha256').update('MZ loader').digest('hex')}"`)
  expect((await curl('--cacert', ca, '--tls-max', '1.1', url(address))).code).not.toBe(0)
  expect(await curl(url(address))).toMatchObject({ code: 60, stderr: expect.stringContaining('certificate') })
  expect((await curl('--cacert', ca, `https://${address}:5249/boot/ipxe/52:54:00:00:00:01`)).stdout).toMatch(/^#!ipxe/)

  await server!.exec(['ip', 'addr', 'add', `${later}/24`, 'dev', 'eth0'])
  await until(async () => (await curl('-o', '/dev/null', '--cacert', ca, url(later))).code === 0, { timeout: 30_000, interval: 200, what: 'the certificate to name the new address' })
  expect((await curl('--cacert', ca, url(address))).stdout).toBe('MZ loader')
}, 90_000)
