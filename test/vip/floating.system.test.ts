/** The floating address in a room of three regions: killed, stopped, cut off and ended in turn, watched by a client on the segment and by samplers in every namespace. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { onceEvent, until } from '../kit/wait.ts'
import { createRoom, now } from './room.ts'
import type { Region, Room } from './room.ts'

let db: TestDatabase
let room: Room
const table: string[] = []
beforeAll(async () => {
  db = await testDatabase()
  room = await createRoom(db)
})
afterAll(async () => {
  await room?.close()
  await db?.drop()
  if (table.length > 0) console.log(`\nfloating address, as its client sees it:\n${table.join('\n')}\n`)
})

/** Does something to the holder; gives the next one, once the client reached it at every address. */
async function after (what: string, fault: (holder: Region) => Promise<void> | void, bound: number): Promise<{ readonly old: Region, readonly next: Region }> {
  const old = await room.holder()
  const since = now()
  await fault(old)
  const next = await until(async () => {
    const found = await room.holder(since)
    return found === old ? undefined : found
  }, { timeout: 15_000, interval: 5, what: 'another region answers' })
  const outage = room.outage(since, next.name)
  table.push(`  ${what.padEnd(44)} ${old.name} → ${next.name}  no answer for ${(outage / 1000).toFixed(2)} s`)
  expect(outage).toBeLessThan(bound)
  expect(room.overlaps()).toEqual([])
  return { old, next }
}
const has = (region: Region): boolean => room.stretches.some(one => one.by === region.name && one.until === undefined)

describe('the floating address', () => {
  test('is on one region, as an address that nothing goes out from, and that the kernel takes off', async () => {
    const holder = await room.holder()
    const { stdout } = await holder.namespace.exec(['ip', '-j', 'addr', 'show', 'dev', 'eth0'])
    const [{ addr_info: found = [] } = {}] = JSON.parse(stdout) as { addr_info: { local: string, prefixlen: number, deprecated?: boolean, valid_life_time: number }[] }[]
    for (const [local, prefixlen] of [['10.77.0.10', 32], ['fd77::10', 128]] as const) expect(found.find(one => one.local === local)).toMatchObject({ prefixlen, deprecated: true })
    for (const one of found.filter(({ prefixlen }) => prefixlen === 32 || prefixlen === 128)) expect(one.valid_life_time).toBeLessThanOrEqual(2)
    expect((await holder.namespace.exec(['ip', 'route', 'get', '10.77.0.99'])).stdout).toMatch(/src 10\.77\.0\.1[123] /)
    expect((await holder.namespace.exec(['ip', 'route', 'get', 'fd77::99'])).stdout).toMatch(/src fd77::1[123] /)
  })

  test('is refused without the privilege, with the remedy', async () => {
    const [region] = room.regions
    for (const [file, call] of [['interface', 'openInterfaces().then(interfaces => interfaces.remove({ text: "10.77.0.10", family: 4, bytes: Uint8Array.of(10, 77, 0, 10), prefix: 24 }, 2))'], ['socket', 'openFrames(2, 0)']] as const) {
      const script = `const { openInterfaces, openFrames } = await import('${import.meta.dirname}/../../core/address/${file}.ts'); await ${call}.catch(error => console.log(error.code, error.message))`
      const { stdout, stderr } = await region!.namespace.exec(['setpriv', '--bounding-set', '-net_admin,-net_raw', process.execPath, '--input-type=module', '-e', script])
      expect(stderr + stdout).toMatch(/^PRIVILEGE_MISSING .*CAP_NET_ADMIN and CAP_NET_RAW/)
    }
  })

  test('moves within 3 s when its holder is killed', async () => {
    const { old } = await after('killed (SIGKILL)', holder => { holder.signal('SIGKILL') }, 3000)
    await old.start()
  })

  test('moves within 3 s when its holder is stopped (SIGSTOP), and does not come back with it', async () => {
    const { old, next } = await after('stopped (SIGSTOP)', holder => { holder.signal('SIGSTOP') }, 3000)
    const since = now()
    old.signal('SIGCONT')
    await until(() => now() - since > 1500)
    expect(await room.holder(since)).toBe(next)
    expect(has(old)).toBe(false)
    expect(room.overlaps()).toEqual([])
    expect((await old.health()).held).toBe(false)
  })

  test('moves at once when its holder ends in order', async () => {
    const { old } = await after('ended in order', holder => { holder.tell('stop') }, 2000)
    if (old.process.exitCode === null) await onceEvent(old.process, 'exit')
    await old.start()
  })

  test('moves within 3 s when its holder is cut off from everything, with its carrier', async () => {
    const { old } = await after('cut off from database and peers', holder => holder.cable('out'), 3000)
    await until(() => !has(old))
    await old.cable('in')
  })

  test('moves within 3 s when its holder\'s cable is unplugged', async () => {
    const { old } = await after('unplugged', holder => holder.cable('unplugged'), 3000)
    await old.cable('in')
  })

  test('moves when its holder is no longer ready', async () => {
    const { old } = await after('not ready', holder => { holder.tell('unready') }, 3000)
    old.tell('ready')
  })

  test('is not put on where another machine has it: its MAC is named, and it is taken once that one is gone', async () => {
    const [first = await room.holder(), ...others] = room.regions
    for (const region of others) region.tell('unready')
    await until(() => !others.some(has))
    first.tell('unready')
    await until(() => !has(first))
    await room.client.exec(['ip', 'addr', 'add', '10.77.0.10/32', 'dev', 'eth0'])
    first.tell('ready')
    const { health, held } = await until(async () => { const seen = await first.health(); return seen.health.state === 'degraded' ? seen : undefined })
    expect(held).toBe(false)
    expect(health.reason).toContain('10.77.0.10 is in use on eth0 by 02:00:00:00:00:99')
    await room.client.exec(['ip', 'addr', 'del', '10.77.0.10/32', 'dev', 'eth0'])
    await room.client.exec(['ip', 'addr', 'add', 'fd77::10/128', 'dev', 'eth0', 'nodad'])
    first.tell('unready')
    await until(() => !has(first))
    first.tell('ready')
    expect((await until(async () => { const seen = await first.health(); return seen.health.reason?.includes('fd77') === true ? seen : undefined })).health.reason).toContain('fd77::10 is in use on eth0 by 02:00:00:00:00:99')
    await room.client.exec(['ip', 'addr', 'del', 'fd77::10/128', 'dev', 'eth0'])
    expect(await room.holder(now())).toBe(first)
    for (const region of others) region.tell('ready')
  })

  test('stays where it is while the database answers late', async () => {
    const holder = await room.holder()
    const since = now()
    for (const ms of [300, 0, 300, 300]) {
      room.late(ms)
      const from = now()
      await until(() => now() - from > 1500)
    }
    room.late(0)
    const answers = room.answers.filter(({ at }) => at > since)
    expect(new Set(answers.map(({ by }) => by))).toEqual(new Set([holder.name]))
    expect(room.overlaps()).toEqual([])
  })
})
