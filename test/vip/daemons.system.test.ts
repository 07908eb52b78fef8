/** Three whole regions on one database with the floating address: what they say of it, and that the API answers there whichever dies. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSecretKey } from '../../core/secrets.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { createRoom, floating, now } from './room.ts'
import type { Region, Room } from './room.ts'

let db: TestDatabase
let room: Room
let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'vip-'))
  db = await testDatabase()
  const key = join(home, 'secret.key')
  await loadSecretKey(key)
  room = await createRoom(db, {
    asked: ':5240/livez',
    async command (name) {
      const dataDirectory = join(home, name)
      await mkdir(dataDirectory)
      await cp(key, join(dataDirectory, 'secret.key'))
      const config = { roles: ['region'], hostname: name, dataDirectory, database: { hosts: ['10.77.0.2'], name: db.options.database, user: db.options.user }, vip: { addresses: floating } }
      await writeFile(join(home, `${name}.yaml`), JSON.stringify(config)) // JSON is YAML
      return [join(import.meta.dirname, '../../core/main.ts'), 'run', '--config', join(home, `${name}.yaml`)]
    },
    started: region => until(async () => (await ready(region)).status === 'ready', { timeout: 60_000, interval: 200, what: `${region.name} is ready` })
  })
})
afterAll(async () => {
  await room?.close()
  await db?.drop()
  await rm(home, { recursive: true, force: true })
})

const read = async (region: Region, path: string): Promise<string> =>
  (await region.namespace.exec([process.execPath, '-e', `fetch('http://127.0.0.1:5240${path}').then(answer => answer.text()).then(text => console.log(text), () => {})`])).stdout
const ready = async (region: Region): Promise<{ status?: string, vip?: unknown, notReady?: unknown }> => JSON.parse(await read(region, '/readyz') || '{}')
/** Who has the address now, seen from outside. */
const holder = (but?: Region): Promise<Region> => until(() => room.regions.find(region => region !== but && room.stretches.some(({ by, until }) => by === region.name && until === undefined)), { what: 'a region has the address' })

test('each says whether it holds the address, and one does', async () => {
  const one = await holder()
  for (const region of room.regions) {
    await until(async () => JSON.stringify((await ready(region)).vip) === JSON.stringify({ addresses: floating, holder: region === one }), { interval: 200, what: `${region.name} says who holds the address` })
    expect(await read(region, '/metrics')).toContain(`bedplate_vip_held ${region === one ? 1 : 0}`)
  }
})

test.each([['killed', 'SIGKILL', 3000], ['stopped', 'SIGSTOP', 3000], ['ended in order', 'SIGTERM', 2000]] as const)('the API answers there again in time after its region was %s', async (what, signal, bound) => {
  const one = await holder()
  await until(() => room.answers.at(-1)?.by !== undefined)
  const since = now()
  one.signal(signal)
  const next = await holder(one)
  await until(() => room.answers.some(({ at, by }) => at > since + 50 && by !== undefined))
  await until(() => now() - since > bound)
  const outage = room.outage(since, '')
  console.log(`${what}: ${one.name} → ${next.name}, no answer for ${(outage / 1000).toFixed(2)} s`)
  expect(outage).toBeLessThan(bound)
  expect(room.overlaps()).toEqual([])
  if (signal === 'SIGSTOP') one.signal('SIGCONT')
  else {
    await until(() => one.process.exitCode !== null || one.process.signalCode !== null, { timeout: 30_000 })
    await one.start()
  }
})

test('a rack with the setting, and an address that cannot be, are refused at the start by a sentence', async () => {
  const [region] = room.regions
  const run = async (...args: string[]) => (await region?.namespace.exec([process.execPath, join(import.meta.dirname, '../../core/main.ts'), 'run', '--data-directory', join(home, 'none'), ...args]))?.stderr
  expect(await run('--roles', 'rack', '--vip-addresses', '10.77.0.10/24')).toContain('$.vip: only a region can have the floating address')
  expect(await run('--roles', 'region', '--vip-addresses', '10.77.0.10,10.77.0.255/24')).toMatch(/\$\.vip\.addresses\[0\].*\n.*\$\.vip\.addresses\[1\].*broadcast/)
})
