/** Others judge our advertisements: tcpdump reads them, and Debian's keepalived takes part in the same virtual routers, of IPv4 and IPv6, as the lesser and as the greater. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { requirePrograms } from '../../../kit/network.ts'
import { onceEvent, until } from '../../../kit/wait.ts'
import { addresses, createRoom, now } from './room.ts'
import type { Room } from './room.ts'

let room: Room
let folder: string
beforeAll(async () => {
  requirePrograms({ tcpdump: 'tcpdump', keepalived: 'keepalived' })
  folder = await mkdtemp(join(tmpdir(), 'bedplate-vrrp-'))
  room = await createRoom(2)
  for (const one of addresses) await room.holder(one)
})
afterAll(async () => {
  await room?.close()
  await rm(folder, { recursive: true, force: true })
})

test('tcpdump reads them whole, and finds their checksum right', async () => {
  const { stdout } = await room.client.exec(['timeout', '5', 'tcpdump', '-i', 'eth0', '-n', '-vv', '-c', '6', '--immediate-mode', 'ip proto 112 or ip6 proto 112'])
  const text = stdout.replaceAll(/\s+/g, ' ')
  expect(text).toMatch(/ttl 255.{0,80}192\.0\.2\.2 > 224\.0\.0\.18: VRRPv3, Advertisement, vrid 20, prio \d+, intvl 60cs, length 12, addrs: 192\.0\.2\.20/)
  expect(text).toMatch(/hlim 255.{0,80}fe80::ff:fe00:2 > ff02::12: .{0,60}VRRPv3, Advertisement, vrid 20, prio \d+, intvl 60cs, length 24, addrs: 2001:db8::14/)
  expect(text).not.toContain('bad vrrp cksum')
})

/** keepalived beside the client, in both virtual routers, with that priority. Gives what state it says it is in. */
async function keepalived (priority: number): Promise<{ state(): Promise<Readonly<Record<string, string>>>, log(): Promise<string>, stop(): Promise<void> }> {
  const file = (name: string): string => join(folder, name)
  const script = `#!/bin/sh\necho "$2 $3" >> ${file('states')}\n`
  await writeFile(file('notify'), script, { mode: 0o755 })
  await writeFile(file('states'), '')
  const instance = (name: string, address: string): string => `vrrp_instance ${name} {
  state BACKUP\n  interface eth0\n  virtual_router_id 20\n  priority ${priority}\n  advert_int 0.6\n  version 3\n  nopreempt\n  notify ${file('notify')}
  virtual_ipaddress {\n    ${address}\n  }\n}\n`
  await writeFile(file('conf'), `global_defs {\n  vrrp_version 3\n  script_user root\n  vrrp_check_unicast_src\n}\n${instance('four', '192.0.2.20/32')}${instance('six', '2001:db8::14/128')}`)
  const child = room.client.spawn(['keepalived', '-n', '-l', '-D', '-f', file('conf'), '-p', file('pid'), '-r', file('vrrp'), '-c', file('checkers')], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => { said += data.toString() })
  return {
    state: async () => Object.fromEntries((await readFile(file('states'), 'utf8')).trim().split('\n').map(line => line.split(' '))),
    log: async () => said,
    async stop () { const gone = onceEvent(child, 'exit'); child.kill('SIGTERM'); await gone }
  }
}

test('keepalived hears ours, and stays backup while they come; it takes over when they end, and ours leave it alone until it does', async () => {
  const other = await keepalived(50)
  try {
    await until(async () => { const state = await other.state(); return state.four === 'BACKUP' && state.six === 'BACKUP' }, { what: 'keepalived is backup' })
    const since = now()
    await until(() => now() - since > 4000)
    expect(await other.state(), await other.log()).toEqual({ four: 'BACKUP', six: 'BACKUP' })
    for (const rack of room.racks) await rack.tell({ what: 'stop' })
    await until(async () => { const state = await other.state(); return state.four === 'MASTER' && state.six === 'MASTER' }, { what: 'keepalived has taken over' })
    for (const rack of room.racks) await rack.start()
    const back = now()
    await until(() => now() - back > 4000)
    for (const rack of room.racks) {
      const { held, health } = await rack.tell({ what: 'health' })
      expect(held.filter(one => one !== addresses[2])).toEqual([])
      expect(health).toMatchObject({ state: 'degraded', reason: expect.stringContaining('also held by 02:00:00:00:00:99 on eth0, which is no rack of this VLAN') })
    }
  } finally { await other.stop() }
  for (const one of addresses) await room.holder(one, now())
})
