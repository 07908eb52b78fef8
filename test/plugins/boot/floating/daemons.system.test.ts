/** Three whole controllers, each region and rack, on one database and one segment: a boot address comes by itself, is what firmware is told, serves TFTP and HTTP, and outlives the rack that has it. */
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSecretKey } from '../../../../core/secrets.ts'
import { testDatabase } from '../../../kit/database.ts'
import type { TestDatabase } from '../../../kit/database.ts'
import { until } from '../../../kit/wait.ts'
import { createRoom, now } from '../../../vip/room.ts'
import type { Region, Room } from '../../../vip/room.ts'

interface Shown { readonly setting: string, readonly address: string | null, readonly holder: string | null, readonly problem: string | null }

let db: TestDatabase
let room: Room
let home: string
let token: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'boot-address-'))
  await chmod(home, 0o755)
  db = await testDatabase()
  const key = join(home, 'secret.key')
  await loadSecretKey(key)
  await mkdir(join(home, 'loaders'))
  await writeFile(join(home, 'loaders', 'undionly.kpxe'), 'a loader\n')
  room = await createRoom(db, {
    asked: ':5248/boot/loaders/undionly.kpxe',
    async command (name) {
      const dataDirectory = join(home, name)
      await mkdir(dataDirectory)
      await cp(key, join(dataDirectory, 'secret.key'))
      const config = { roles: ['region', 'rack'], hostname: name, dataDirectory, database: { hosts: ['10.77.0.2'], name: db.options.database, user: db.options.user }, network: { scanSeconds: 1 }, boot: { loaderDirectory: join(home, 'loaders') } }
      await writeFile(join(home, `${name}.yaml`), JSON.stringify(config)) // JSON is YAML
      return [join(import.meta.dirname, '../../../../core/main.ts'), 'run', '--config', join(home, `${name}.yaml`)]
    },
    started: region => until(async () => (await ask(region, 'GET', '/readyz', undefined, '')).status === 'ready', { timeout: 90_000, interval: 300, what: `${region.name} is ready` })
  })
  token = await until(async () => (await Promise.all(room.regions.map(({ name }) => readFile(join(home, name, 'admin.token'), 'utf8').catch(() => '')))).find(text => text !== '')?.trim())
}, 200_000)
afterAll(async () => {
  await room?.close()
  await db?.drop()
  await rm(home, { recursive: true, force: true })
})

/** A request to a region's API, made on its own host. */
async function ask (region: Region, method: string, path: string, body?: object, prefix = '/api/v1'): Promise<any> {
  const script = `fetch('http://127.0.0.1:5240${prefix}${path}', { method: '${method}', headers: { authorization: 'Bearer ${token}', ...${body === undefined ? '{}' : "{ 'content-type': 'application/json' }"} }, body: ${body === undefined ? 'undefined' : JSON.stringify(JSON.stringify(body))} }).then(answer => answer.text()).then(text => console.log(text), () => {})`
  return JSON.parse((await region.namespace.exec([process.execPath, '-e', script])).stdout || '{}')
}
const [first, second] = [() => room.regions[0]!, () => room.regions[1]!]
const holders = (): Region[] => room.regions.filter(({ name }) => room.stretches.some(({ by, until }) => by === name && until === undefined))

test('with DHCP on and three racks, a boot address is set aside by itself, and one of them has it', async () => {
  const { id } = await ask(first(), 'POST', '/network/subnets', { vlanId: '1', cidr: '10.77.0.0/24' })
  await ask(first(), 'POST', '/network/ranges', { subnetId: id, kind: 'dynamic', start: '10.77.0.100', end: '10.77.0.150' })
  await ask(first(), 'POST', '/network/subnets', { vlanId: '1', cidr: 'fd77::/64' })
  const served = await until(async () => { const vlan = await ask(first(), 'PUT', '/dhcp/vlans/1', { enabled: true, v6: 'stateless' }); return vlan.serving?.length === 3 ? vlan : undefined }, { timeout: 30_000, interval: 500, what: 'three racks serve the VLAN' })
  expect(served.serving).toHaveLength(3)
  const [v4, v6] = await until(async () => { const vlan: { v4: Shown, v6: Shown } = await ask(second(), 'GET', '/boot/vlans/1'); return vlan.v4?.holder && vlan.v6.holder ? [vlan.v4, vlan.v6] : undefined }, { timeout: 30_000, interval: 500, what: 'both addresses are with a rack' })
  expect(v4).toMatchObject({ setting: 'auto', address: '10.77.0.1', problem: null })
  expect(v6).toMatchObject({ setting: 'auto', address: 'fd77::1', problem: null })
})

test('another by hand is held instead, without a restart', async () => {
  const vlan = await ask(second(), 'PUT', '/boot/vlans/1', { v4: '10.77.0.10', v6: 'fd77::10' })
  expect(vlan).toMatchObject({ v4: { address: '10.77.0.10' }, v6: { address: 'fd77::10' } })
  await until(() => room.answers.slice(-8).every(({ by }) => by === 'a loader\n'), { timeout: 15_000, what: 'the rack answers at both' })
  await until(async () => !(await Promise.all(room.regions.map(region => region.namespace.exec(['ip', 'addr'])))).some(({ stdout }) => stdout.includes('10.77.0.1/32')), { what: 'the one before is gone' })
})

test('firmware is told the boot address as next server, and a rack\'s own as its DHCP server; TFTP answers there', async () => {
  const script = join(home, 'script')
  await writeFile(script, `#!/bin/sh\n[ "$1" = bound ] && env > ${join(home, 'bound')}\nexit 0\n`, { mode: 0o755 })
  const { stderr } = await room.client.exec(['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-s', script, '-V', 'PXEClient:Arch:00000', '-O', 'tftp', '-x', '0x5d:0000'])
  const told = await readFile(join(home, 'bound'), 'utf8').catch(() => stderr)
  expect(told).toMatch(/^siaddr=10\.77\.0\.10$/m)
  expect(told).toMatch(/^tftp=10\.77\.0\.10$/m)
  expect(told).toMatch(/^serverid=10\.77\.0\.1[123]$/m)
  expect(told).toMatch(/^boot_file=undionly\.kpxe$/m)
  await fetchByTftp()
})
const fetchByTftp = async (): Promise<void> => {
  await room.client.exec(['tftp', '-m', 'binary', '10.77.0.10', '-c', 'get', 'undionly.kpxe', join(home, 'got')], { timeout: 15_000 })
  expect(await readFile(join(home, 'got'), 'utf8')).toBe('a loader\n')
  await rm(join(home, 'got'))
}

test.each([['killed', 'SIGKILL', 4000], ['stopped', 'SIGSTOP', 4000], ['ended in order', 'SIGTERM', 2000]] as const)('HTTP and TFTP answer there again in time after its rack was %s', async (what, signal, bound) => {
  const [one] = await until(() => { const found = holders(); return found.length === 1 ? found : undefined }, { timeout: 20_000, what: 'one rack has both' }).catch(() => holders())
  const since = now()
  one!.signal(signal)
  await until(() => holders().some(rack => rack !== one) && !holders().includes(one!), { what: 'another rack has them' })
  await until(() => now() - since > bound)
  const outage = room.outage(since, '')
  console.log(`${what}: from ${one!.name}, no answer for ${(outage / 1000).toFixed(2)} s`)
  expect(outage).toBeLessThan(bound)
  await fetchByTftp()
  if (signal === 'SIGSTOP') one!.signal('SIGCONT')
  else {
    await until(() => one!.process.exitCode !== null || one!.process.signalCode !== null, { timeout: 30_000 })
    await one!.start()
  }
}, 200_000)

test('turned off, nobody has it, and firmware is told the rack itself', async () => {
  await ask(room.regions[2]!, 'PUT', '/boot/vlans/1', { v4: 'none', v6: 'none' })
  await until(() => holders().length === 0, { timeout: 15_000, what: 'no rack has it' })
  await rm(join(home, 'bound'), { force: true })
  await room.client.exec(['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-s', join(home, 'script'), '-V', 'PXEClient:Arch:00000', '-x', '0x5d:0000'])
  expect(await readFile(join(home, 'bound'), 'utf8')).toMatch(/^siaddr=10\.77\.0\.1[123]$/m)
})
