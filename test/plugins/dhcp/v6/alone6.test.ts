/** A rack that no region answers, and IPv6: it extends what it knows, from its journal, until its time is over, and gives nothing new. Over a real PostgreSQL. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { createLogger } from '../../../../core/log.ts'
import { createMetrics } from '../../../../core/metrics.ts'
import { openJournal } from '../../../../plugins/dhcp/alone/journal-file.ts'
import { createResponder } from '../../../../plugins/dhcp/rack/responder.ts'
import { Limits } from '../../../../plugins/dhcp/rack/limits.ts'
import type { Responder } from '../../../../plugins/dhcp/rack/responder.ts'
import { ip6Text } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { encode6, iasOf } from '../../../../plugins/dhcp/v6/packet6.ts'
import { unwrapReply } from '../../../../plugins/dhcp/v6/relay6.ts'
import { Server6 } from '../../../../plugins/dhcp/v6/server6.ts'
import { manualClock } from '../../../kit/clock.ts'
import type { ManualClock } from '../../../kit/clock.ts'
import { scratch } from '../../../kit/scratch.ts'
import { until } from '../../../kit/wait.ts'
import { openRegion } from '../region.kit.ts'
import type { Region } from '../region.kit.ts'
import { duidLl, message } from './build6.ts'
import type { Wire6 } from './build6.ts'

/** Rack rack-a: the responder's wishes and journal, and the server of IPv6 over them. */
interface Rack6 {
  readonly responder: Responder
  readonly clock: ManualClock
  cut: boolean
  /** The addresses and lifetimes of the answer; undefined when there is none by the time all is quiet. */
  say(wire: Wire6): Promise<readonly (readonly [string, number])[] | undefined>
  pull(): Promise<void>
  passes(condition: () => unknown, step?: number): Promise<void>
  close(): Promise<void>
}
let region: Region
let subnet: string
let rack: Rack6
const [one, two] = [duidLl('02:00:00:00:00:01'), duidLl('02:00:00:00:00:02')]
const address = '2001:db8:1::1:5'

async function openRack (): Promise<Rack6> {
  const directory = mkdtempSync(join(scratch(), 'bedplate-rack6-'))
  const clock = manualClock(Date.now())
  const caller = { controller: 'rack-a', signal: new AbortController().signal }
  const open = new Set<Promise<unknown>>()
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (rack6.cut) throw new BedplateError('LINK_DOWN', { controller: 'a region' })
    const under = work()
    open.add(under)
    try { return structuredClone(await under) } finally { open.delete(under) }
  }
  const { rpc } = region.running
  const memory = new Memory6()
  const [log, metrics] = [createLogger('silent'), createMetrics()]
  const responder = createResponder({
    config: { rackHttpPort: 5248, firmwareLeaseSeconds: 120, quarantineSeconds: 600, blockSize: 8, reserveSize: 4, newClientPoolSeconds: 60, newClientsPerSecond: 1000, newClientsPerPort: 1000, newClientsPortBurst: 1000 },
    log, clock, boot: { now: () => 1e6 + clock.monotonic(), id: 'boot 1' }, metrics, report: () => {}, journal: () => openJournal(directory, () => {}), six: memory,
    region: { bind: params => call(() => rpc.bind(structuredClone(params), caller)), grant: params => call(() => rpc.grant(params, caller)), sync: params => call(() => rpc.sync(structuredClone(params), caller)) }
  })
  const server = new Server6({ memory, limits: new Limits(), wishes: responder.wishes, traffic: responder.traffic, clock, log, httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120, report: () => {} })
  const rack6: Rack6 = {
    responder, clock, cut: false,
    async say (wire) {
      const [segment] = memory.segments.values()
      const heard: (readonly (readonly [string, number])[])[] = []
      const toServer = wire.type === 'RENEW' || wire.type === 'REQUEST'
      const data = encode6(message({ ...wire, ...toServer ? { server: Buffer.from(segment?.server ?? '', 'hex') } : {} }))
      server.receive('eth0', data, reply => { heard.push(iasOf(unwrapReply(Buffer.from(reply)).message.options).flatMap(({ addresses }) => addresses.map(({ address, valid }) => [ip6Text(address), valid] as const))) }, 'fe80::1%eth0', 546)
      let quiet = 0
      await until(async () => { await clock.advance(0); quiet = open.size === 0 ? quiet + 1 : 0; return heard.length > 0 || quiet > 3 }, { interval: 1 })
      return heard[0]
    },
    async pull () {
      const put = structuredClone(await region.wanted('rack-a'))
      memory.apply(put, [], true, clock.now())
      responder.apply({ put, remove: [] }, true)
    },
    passes: (condition, step = 0) => until(async () => { await clock.advance(step); return condition() }, { interval: 1, what: String(condition) }).then(() => {}),
    async close () {
      const stopped = responder.stop()
      await rack6.passes(() => open.size === 0)
      await stopped
      rmSync(directory, { recursive: true })
    }
  }
  await rack6.pull()
  responder.start()
  return rack6
}
const ends = async () => (await region.db.query<{ left: number, mac: string }>(`select extract(epoch from expires - now())::float as left, mac from dhcp.address where address = $1`, [address]))[0]
/** Its last word to the regions has been answered, and its wanted state shows the standing. */
const settled = async () => {
  await rack.passes(() => rack.responder.status().knownFor > 0 || rack.pull())
}

beforeEach(async () => {
  region = await openRegion()
  subnet = await region.subnet('2001:db8:1::/64', ['2001:db8:1::1:0', '2001:db8:1::1:ffff'])
  await region.attach('rack-a', { eth0: ['2001:db8:1::2/64'] })
  await region.attach('rack-b', { eth0: ['2001:db8:1::3/64'] })
  expect((await region.call('PUT', '/dhcp/vlans/1', { enabled: true, mode: 'off', v6: 'stateful' })).status).toBe(200)
  rack = await openRack()
  expect(await rack.say({ type: 'REQUEST', client: one, ias: [[1, address]] })).toEqual([[address, 600]])
  await rack.pull()
  await settled()
})
afterEach(async () => {
  await rack.close()
  await region.close()
})

describe('cut off', () => {
  it('a lease it knows is extended, and delivered when a region is there again', async () => {
    await region.db.query(`update dhcp.address set expires = now() + interval '100 seconds'`)
    rack.cut = true
    expect(await rack.say({ type: 'RENEW', client: one, ias: [[1, address]] })).toEqual([[address, 600]])
    expect(rack.responder.status().undelivered).toBe(1)
    expect((await ends())?.left).toBeLessThan(101)
    rack.cut = false
    await rack.passes(() => rack.responder.status().undelivered === 0, 1000)
    expect((await ends())?.left).toBeGreaterThan(500)
  })
  it('a client that asks anew gets what it had; a new one gets nothing', async () => {
    rack.cut = true
    expect(await rack.say({ type: 'REQUEST', client: one, ias: [[1]] })).toEqual([[address, 600]])
    expect(await rack.say({ type: 'REQUEST', client: two, ias: [[1]] })).toBeUndefined()
    expect(await rack.say({ type: 'REQUEST', client: two, ias: [[1, address]] })).toBeUndefined()
  })
  it('leases get shorter towards the end of its right, and then it is silent', async () => {
    rack.cut = true
    await rack.say({ type: 'RENEW', client: one, ias: [[1, address]] }) // finds that nobody answers
    const left = rack.responder.status().knownFor
    await rack.clock.advance(left - 100_000)
    expect(await rack.say({ type: 'RENEW', client: one, ias: [[1, address]], xid: 2 })).toEqual([[address, 100]])
    await rack.clock.advance(50_000)
    expect(await rack.say({ type: 'RENEW', client: one, ias: [[1, address]], xid: 3 })).toBeUndefined()
  })
})

describe('an address that changes hands', () => {
  const wish = () => region.bind('rack-b', { address, subnet, client: 'somebody/else', clientId: 'somebody/else' })
  it('does so when every rack that was told has forgotten its client, and not before', async () => {
    await region.wanted('rack-b')
    await region.db.query(`update dhcp.address set expires = now() - interval '11 seconds'`)
    expect(await wish()).toMatchObject([{ stored: false }])
    await rack.pull()
    expect(await rack.say({ type: 'RENEW', client: two, ias: [[1, address]], xid: 2 })).not.toEqual([[address, 600]])
    await rack.passes(async () => (await region.db.query<{ waits: string[] }>('select waits_for as waits from dhcp.address where address = $1', [address]))[0]?.waits.join() === 'rack-b', 100)
    expect(await wish()).toMatchObject([{ stored: false }])
    const round = (await region.wanted('rack-b')).find(({ kind }) => kind === 'retiring')
    if (round?.kind !== 'retiring') throw new Error('rack-b is asked to forget')
    await region.sync('rack-b', { forgotten: [{ address: round.id, round: round.value.round }] })
    expect(await wish()).toMatchObject([{ stored: true }])
  })
  it('not while a rack that knows its client is cut off and may extend the lease', async () => {
    await region.db.query(`update dhcp.address set expires = now() - interval '11 seconds'`)
    rack.cut = true
    expect(await rack.say({ type: 'RENEW', client: one, ias: [[1, address]] })).toEqual([[address, 600]])
    expect(await wish()).toMatchObject([{ stored: false }])
    expect(await wish()).toMatchObject([{ stored: false }])
    rack.cut = false
    await rack.passes(() => rack.responder.status().undelivered === 0, 1000)
    expect(await ends()).toMatchObject({ mac: `${one.toString('hex')}/00000001` })
    expect((await ends())?.left).toBeGreaterThan(500)
  })
})
