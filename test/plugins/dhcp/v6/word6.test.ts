/** A client's last word at several racks that are one server, over a real PostgreSQL: what lay in the socket of a rack that was paused ends nothing that was made since. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../../core/log.ts'
import { Limits } from '../../../../plugins/dhcp/rack/limits.ts'
import type { Message6Type } from '../../../../plugins/dhcp/v6/codes6.ts'
import { Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { encode6 } from '../../../../plugins/dhcp/v6/packet6.ts'
import { Server6 } from '../../../../plugins/dhcp/v6/server6.ts'
import { manualClock } from '../../../kit/clock.ts'
import { openRegion } from '../region.kit.ts'
import type { Region } from '../region.kit.ts'
import { duidLl, message } from './build6.ts'

interface Rack {
  readonly memory: Memory6
  readonly lulls: { count: number }
  /** It reads a message of the client, and what follows from it has reached the database. */
  reads(type: Message6Type): Promise<void>
  /** It reads its wanted state. */
  isTold(): Promise<void>
  readonly replies: number
}
const address = '2001:db8:1::1:5'
const client = duidLl('02:00:00:00:00:01')
let region: Region
let [a, b]: Rack[] = []

function openRack (name: string): Rack {
  const memory = new Memory6()
  const lulls = { count: 0, heard: () => {}, watch: () => {} }
  const work: Promise<unknown>[] = []
  let replies = 0
  const server = new Server6({
    memory, lulls, limits: new Limits(), clock: manualClock(Date.now()), log: createLogger('silent'), httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120,
    traffic: { received: () => {}, sent: () => {}, dropped: () => {}, bound: () => {} },
    wishes: { ask: (wish, settle) => { work.push(region.bind(name, wish).then(([answer]) => { settle(answer) })) } },
    report: (kind, body) => { work.push(region.fact(name, kind, body)) }
  })
  return {
    memory, lulls,
    get replies () { return replies },
    async reads (type) {
      const [segment] = memory.segments.values()
      const toServer = type !== 'REBIND' && type !== 'SOLICIT'
      const wire = encode6(message({ type, client, server: toServer ? Buffer.from(segment?.server ?? '', 'hex') : null, elapsed: 500, ias: [[1, address]] }))
      server.receive('eth0', wire, () => { replies++ }, 'fe80::1%eth0', 546)
      while (work.length > 0) await Promise.all(work.splice(0))
    },
    isTold: async () => { memory.apply(await region.wanted(name), [], true, Date.now()) }
  }
}
const stands = async () => (await region.db.query<{ stands: boolean }>('select mac is not null and expires > now() as stands from dhcp.address where address = $1', [address]))[0]?.stands

beforeAll(async () => {
  region = await openRegion()
  await region.subnet('2001:db8:1::/64', ['2001:db8:1::1:0', '2001:db8:1::1:ffff'])
  await region.attach('rack-a', { eth0: ['2001:db8:1::2/64'] })
  await region.attach('rack-b', { eth0: ['2001:db8:1::3/64'] })
  expect((await region.call('PUT', '/dhcp/vlans/1', { enabled: true, mode: 'off', v6: 'stateful' })).status).toBe(200)
})
afterAll(async () => { await region.close() })
beforeEach(async () => {
  await region.db.query('delete from dhcp.address')
  ;[a, b] = [openRack('rack-a'), openRack('rack-b')]
  for (const rack of [a, b]) await rack?.isTold()
})

type Step = readonly ['a' | 'b', Message6Type | 'lull' | 'told']
const once: readonly Step[] = [['b', 'REQUEST'], ['b', 'lull'], ['a', 'told']] // rack b gave it, and both know
describe.each(['RELEASE', 'DECLINE'] as const)('%s', word => {
  it.each<[string, readonly Step[], 'ends' | 'stands']>([
    ['at both racks ends what one of them gave', [...once, ['a', word], ['b', word]], 'ends'],
    ['at both racks ends what both extended', [...once, ['a', 'RENEW'], ['b', 'RENEW'], ['a', 'lull'], ['b', 'lull'], ['a', 'told'], ['b', 'told'], ['a', word], ['b', word]], 'ends'],
    ['at both racks ends what both extended, the news under way', [...once, ['a', 'RENEW'], ['b', 'RENEW'], ['a', 'lull'], ['b', 'lull'], ['a', word], ['b', word]], 'ends'],
    ['twice is once', [...once, ['b', word], ['b', word]], 'ends'],
    ['ends nothing where its rack does not hear it: the lease runs out', [...once, ['a', 'lull'], ['a', word]], 'stands'],
    ['read late ends nothing that another rack made since', [...once, ['a', word], ['a', 'REQUEST'], ['b', word]], 'stands'],
    ['nor when the news were faster than the socket', [...once, ['a', word], ['a', 'REQUEST'], ['b', 'told'], ['b', 'lull'], ['b', word]], 'stands'],
    ['nor when what lay before it in the socket was stored anew', [...once, ['a', word], ['a', 'REQUEST'], ['b', 'RENEW'], ['b', word]], 'stands'],
    ['nor when that was stored anew after the news', [...once, ['a', word], ['a', 'REQUEST'], ['b', 'told'], ['b', 'RENEW'], ['b', word]], 'stands']
  ])('%s', async (_what, steps, outcome) => {
    for (const [name, step] of steps) {
      const rack = (name === 'a' ? a : b) as Rack
      if (step === 'lull') rack.lulls.count++
      else if (step === 'told') await rack.isTold()
      else {
        const before = rack.replies
        await rack.reads(step)
        expect(rack.replies).toBe(before + 1) // whatever comes of it
      }
    }
    expect(await stands()).toBe(outcome === 'stands')
  })
})
