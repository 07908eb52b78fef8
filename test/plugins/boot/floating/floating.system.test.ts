/** Boot addresses on a segment of three racks and two VLANs: killed, stopped, cut off, unplugged and ended in turn; the outage as a client sees it, and where the addresses are as samplers see it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onceEvent, until } from '../../../kit/wait.ts'
import { addresses, createRoom, now } from './room.ts'
import type { Rack, Room } from './room.ts'

let room: Room
const table: string[] = []
const atMost = 4000 // ms without an answer: 2.1 s at most by the election's own times; the rest is for a machine that does much else
beforeAll(async () => { room = await createRoom(3) })
afterAll(async () => {
  await room?.close()
  if (table.length > 0) console.log(`\nboot addresses, as a client sees them:\n${table.join('\n')}\n`)
})

const holders = (): Promise<Rack[]> => Promise.all(addresses.map(one => room.holder(one)))

/** Does something to the rack that has the first address, and to all it has with it; gives it, once others answer at those, and what they are. */
async function after (what: string, fault: (holder: Rack) => Promise<unknown> | void, bound: number): Promise<{ readonly old: Rack, readonly moved: readonly string[] }> {
  const before = await holders()
  const [old] = before as [Rack]
  const moved = addresses.filter((_, index) => before[index] === old)
  const since = now()
  await fault(old)
  await until(async () => (await Promise.all(moved.map(one => room.holder(one, since + 50)))).every(rack => rack !== old), { interval: 5, what: 'other racks answer' })
  const outage = Math.max(...moved.map(one => room.outage(one, since)))
  table.push(`  ${what.padEnd(28)} ${old.name} with ${moved.length}: no answer for ${(outage / 1000).toFixed(2)} s`)
  expect(outage).toBeLessThan(bound)
  return { old, moved }
}

describe('the boot addresses of a segment', () => {
  test('are at one rack each, as addresses nothing goes out from, and that the kernel takes off within two seconds', async () => {
    const holder = await room.holder(addresses[0])
    for (const [ifname, local, prefixlen] of [['eth0', addresses[0], 32], ['eth0', addresses[1], 128], ['eth1', addresses[2], 32]] as const) {
      const { stdout } = await (await room.holder(local)).namespace.exec(['ip', '-j', 'addr'])
      const found = (JSON.parse(stdout) as { ifname: string, addr_info: { local: string, prefixlen: number, deprecated?: boolean, valid_life_time: number }[] }[]).flatMap(({ ifname, addr_info: list }) => list.map(one => ({ ifname, ...one })))
      const one = found.find(one => one.local === local)
      expect(one).toMatchObject({ ifname, prefixlen, deprecated: true })
      expect(one?.valid_life_time).toBeLessThanOrEqual(1)
    }
    expect((await holder.namespace.exec(['ip', 'route', 'get', '192.0.2.99'])).stdout).toMatch(/src 192\.0\.2\.[234] /)
    expect(room.overlaps()).toEqual([])
    for (const rack of room.racks) expect((await rack.tell({ what: 'health' })).health).toEqual({ state: 'running' })
  })

  test('move within 4 s when their rack is killed, and stay where they are when it is back', async () => {
    const { old } = await after('killed (SIGKILL)', rack => { rack.process.kill('SIGKILL') }, atMost)
    const before = await holders()
    await old.start()
    const since = now()
    await until(() => now() - since > 4000)
    expect(await holders()).toEqual(before)
    expect(old.has()).toBe(false)
    expect(room.overlaps()).toEqual([])
  })

  test('move within 4 s when their rack is stopped (SIGSTOP), and it has lost them when it goes on', async () => {
    const { old } = await after('stopped (SIGSTOP)', rack => { rack.process.kill('SIGSTOP') }, atMost)
    expect(old.has()).toBe(false)
    const before = await holders()
    old.process.kill('SIGCONT')
    const since = now()
    await until(() => now() - since > 3000)
    expect(await holders()).toEqual(before)
    expect(room.overlaps()).toEqual([])
  })

  test('move at once when their rack ends in order', async () => {
    const { old } = await after('ended in order', rack => rack.tell({ what: 'stop' }), 1000)
    expect((await old.tell({ what: 'health' })).health).toMatchObject({ state: 'off' })
    await old.start()
    expect(room.overlaps()).toEqual([])
  })

  test('move within 4 s when their rack is cut off with its carrier; both sides have them, and within an interval of its return only one', async () => {
    const { old, moved } = await after('cut off, carrier there', rack => rack.cable('out'), atMost)
    expect(old.has()).toBe(true) // its side of the network is served, too
    const since = now()
    await old.cable('in')
    const open = (): number => room.stretches.filter(({ until, address }) => until === undefined && moved.includes(address)).length
    await until(() => open() === moved.length && now() - since > 1000)
    const shared = Math.max(...room.stretches.flatMap(({ until }) => until !== undefined && until > since ? [until - since] : []))
    table.push(`  ${'its return'.padEnd(28)} ${moved.length} of them at two racks for ${(shared / 1000).toFixed(2)} s`)
    expect(shared).toBeLessThan(800)
    for (const one of moved) await room.holder(one, now())
    room.stretches.splice(0, room.stretches.length, ...room.stretches.filter(({ until }) => until === undefined))
  })

  test('move within 4 s when the cable of their rack is pulled, and the rack says so', async () => {
    const { old } = await after('unplugged', rack => rack.cable('unplugged'), atMost)
    expect(old.has()).toBe(false)
    expect((await old.tell({ what: 'health' })).health).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no carrier') })
    await old.cable('in')
    await until(async () => (await old.tell({ what: 'health' })).health.state === 'running')
    expect(room.overlaps()).toEqual([])
  })

  test('are changed and taken away without a restart', async () => {
    await Promise.all(room.racks.map(rack => rack.tell({ what: 'want', entries: room.entries(rack, entry => ({ ...entry, addresses: entry.addresses.map(one => one.address === addresses[0] ? { ...one, address: '192.0.2.21', vrid: 21 } : one) })) })))
    const [holder] = await until(async () => { const found: Rack[] = []; for (const rack of room.racks) if ((await rack.tell({ what: 'health' })).held.includes('192.0.2.21')) found.push(rack); return found.length > 0 ? found : undefined })
    expect((await room.client.exec(['ping', '-c1', '-W1', '192.0.2.21'])).code).toBe(0)
    expect((await holder!.namespace.exec(['ip', 'addr'])).stdout).not.toContain('192.0.2.20/32')
    await Promise.all(room.racks.map(rack => rack.tell({ what: 'want', entries: [] })))
    await until(async () => (await Promise.all(room.racks.map(rack => rack.namespace.exec(['ip', 'addr'])))).every(({ stdout }) => !stdout.includes('/32 ') && !stdout.includes('2001:db8::14')))
    expect((await room.racks[0]!.tell({ what: 'health' })).health).toMatchObject({ state: 'off' })
    await Promise.all(room.racks.map(rack => rack.tell({ what: 'want', entries: room.entries(rack) })))
    for (const one of addresses) await room.holder(one, now())
  })

  test('are not taken where another machine has one: its MAC is named, and it is taken when that one is gone', async () => {
    for (const rack of room.racks) await rack.tell({ what: 'stop' })
    await room.client.exec(['ip', 'addr', 'add', '192.0.2.20/32', 'dev', 'eth0'])
    for (const rack of room.racks) await rack.start()
    const { health } = await until(async () => { const word = await room.racks[0]!.tell({ what: 'health' }); return word.health.state === 'degraded' ? word : undefined })
    expect(health.reason).toContain('192.0.2.20 is in use on eth0 by 02:00:00:00:00:99')
    await room.holder(addresses[2], now())
    for (const rack of room.racks) expect((await rack.tell({ what: 'health' })).held).not.toContain('192.0.2.20')
    await room.client.exec(['ip', 'addr', 'del', '192.0.2.20/32', 'dev', 'eth0'])
    await room.holder(addresses[0], now())
    await until(async () => (await Promise.all(room.racks.map(rack => rack.tell({ what: 'health' })))).every(({ health: { state } }) => state === 'running'), { timeout: 30_000 })
    expect(room.overlaps()).toEqual([])
  })

  test('cannot be held without the privilege, which is said; the others go on', async () => {
    const [first] = room.racks
    const script = `const { openFrames } = await import('${import.meta.dirname}/../../../../core/address/socket.ts'); await openFrames(2, 0x0800, 112).catch(error => console.log(error.code, error.message))`
    const { stdout, stderr } = await first!.namespace.exec(['setpriv', '--bounding-set', '-net_admin,-net_raw', process.execPath, '--input-type=module', '-e', script])
    expect(stderr + stdout).toMatch(/^PRIVILEGE_MISSING .*CAP_NET_ADMIN and CAP_NET_RAW/)
  })
})

describe('with two racks', () => {
  test('the second serves when the first is killed, and the first when the second is', async () => {
    await room.racks[2]!.tell({ what: 'stop' })
    for (const what of ['one of two killed', 'the other of two killed']) {
      const { old } = await after(what, rack => { rack.process.kill('SIGKILL') }, atMost)
      if (old.process.exitCode === null && old.process.signalCode === null) await onceEvent(old.process, 'exit')
      await old.start()
    }
    expect(room.overlaps()).toEqual([])
  })
})
