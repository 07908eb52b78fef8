/** A real relay, ISC's dhcrelay, between a client's wire and the rack's: addresses, the relay's port, and an extension past it. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Wish } from '../../../plugins/dhcp/manifest.ts'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { TestSegment } from './segment.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox', dhcrelay: 'isc-dhcp-relay' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

const mac = '02:00:00:00:00:71'
/** The rack serves 192.0.2.0/24 on its wire, and 198.51.100.0/24 behind the relay. */
async function serve () {
  const pools: Record<string, string[]> = { s1: ['192.0.2.100'], far: ['198.51.100.100', '198.51.100.101'] }
  const wishes: Wish[] = []
  const memory = memoryRegion()
  const region = { ...memory, grant: (subnet: string) => pools[subnet]?.splice(0) ?? [], bind: (asked: readonly Wish[]) => { wishes.push(...asked); return memory.bind(asked) } }
  const rack = await segment.rack('192.0.2.2/24', region)
  const entry = segmentEntry('192.0.2.2')
  if (entry.kind !== 'segment') throw new Error('no segment')
  const [near] = entry.value.subnets
  await rack.apply([{ ...entry, value: { ...entry.value, subnets: [near!, { ...near!, id: 'far', cidr: '198.51.100.0/24', gateway: '198.51.100.1', dynamic: [{ start: '198.51.100.100', end: '198.51.100.199' }], link: '2' }] } }], true)
  await rack.ask('start')
  return { rack, wishes }
}

describe('a client behind a relay', () => {
  it('gets an address of its own wire, with the relay\'s port on its binding, and extends it past the relay', async () => {
    const { rack, wishes } = await serve()
    const router = await segment.client('02:00:00:00:00:70')
    const far = await segment.network.namespace()
    await router.namespace.exec(['ip', 'addr', 'add', '192.0.2.9/24', 'dev', 'eth0'])
    await segment.network.cable({ namespace: router.namespace, name: 'far0', addresses: ['198.51.100.1/24'] }, { namespace: far, name: 'eth0', mac })
    await router.namespace.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    await rack.namespace.exec(['ip', 'route', 'add', '198.51.100.0/24', 'via', '192.0.2.9'])
    router.namespace.spawn(['dhcrelay', '-4', '-d', '-a', '-id', 'far0', '-iu', 'eth0', '192.0.2.2'], { stdio: 'ignore' })
    await until(async () => (await router.namespace.exec(['ss', '-ulnp'])).stdout.includes(':67'), { what: 'the relay listens' })

    const log = join(segment.folder, 'far.log')
    await writeFile(log, '')
    const client = far.spawn(['busybox', 'udhcpc', '-f', '-i', 'eth0', '-s', join(segment.folder, 'script'), '-t', '20', '-T', '1'], { env: { ...process.env, LOG: log }, stdio: 'ignore' })
    const events = async () => (await readFile(log, 'utf8')).split('\n')
    const bound = await until(async () => (await events()).find(event => event.startsWith('bound ')), { timeout: 30_000, what: 'the client has an address' })
    expect(bound).toContain('bound 198.51.100.100 server=192.0.2.2')
    expect(wishes[0]?.relay).toEqual({ circuitId: Buffer.from('far0').toString('hex'), remoteId: null })

    await far.exec(['ip', 'route', 'add', 'default', 'via', '198.51.100.1'])
    client.kill('SIGUSR1') // renew now: unicast, past the relay
    await until(async () => (await events()).some(event => event.startsWith('renew 198.51.100.100')), { timeout: 30_000, what: 'the lease is extended' })
    expect(wishes.at(-1)).toMatchObject({ address: '198.51.100.100', subnet: 'far' })
    expect(wishes.at(-1)?.relay).toBeUndefined()
  })

  it('and one on the rack\'s wire never gets an address of the other, even when its own are used up', async () => {
    const { rack } = await serve()
    const first = await segment.client('02:00:00:00:00:01')
    first.udhcpc('-q')
    await until(async () => (await first.events()).some(event => event.startsWith('bound 192.0.2.100')), { timeout: 30_000, what: 'the first client has an address' })
    const second = await segment.client('02:00:00:00:00:02')
    second.udhcpc('-q', '-n')
    await until(async () => Number(/dropped\{reason="no-address"\} (\d+)/.exec(String(await rack.ask('metrics')))?.[1] ?? 0) >= 3, { timeout: 30_000, what: 'the second was refused' })
    expect((await second.events()).filter(event => event.startsWith('bound'))).toEqual([])
  })
})
