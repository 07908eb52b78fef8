/** More clients at once than a rack has addresses in hand: they wait for the next block, and not for their own timers. The real rack half, the real region half over PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '../../../core/log.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { readU8 } from '../../../plugins/dhcp/options/values.ts'
import { Blocks } from '../../../plugins/dhcp/rack/blocks.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import { manualClock } from '../../kit/clock.ts'
import { packetOf } from './build.ts'
import { openRack } from './rack.kit.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
beforeAll(async () => { region = await openRegion({ reserveSize: 4 }) })
afterAll(() => region.close())

describe('a burst of new clients', () => {
  it('gets offers for all of them from blocks a fraction of its size, each another address, without anybody asking twice', async () => {
    region.controllers.add('burst')
    const { body: fabric } = await region.call('POST', '/network/fabrics', { name: 'burst' })
    const vlan = (await region.network.vlans(region.db)).find(({ fabricId }) => fabricId === fabric.id)?.id ?? ''
    await region.subnet('10.77.0.0/24', ['10.77.0.100', '10.77.0.199'], { vlanId: vlan })
    await region.attach('burst', { eth1: ['10.77.0.2/24'] })
    await region.call('PUT', `/dhcp/vlans/${vlan}`, { enabled: true })
    const rack = await openRack(region, 'burst')
    try {
      await rack.passes(() => rack.responder.memory.segments.size === 1)
      const [segment] = rack.responder.memory.segments.values()
      const offers: string[] = []
      for (let number = 1; number <= 60; number++) rack.responder.receive(segment!, encode(packetOf({ type: 'DISCOVER', mac: macOf(number) })), data => {
        const { options, yiaddr } = decode(Buffer.from(data))
        expect(readU8(options.get(option.messageType))).toBe(2)
        offers.push(ipText(yiaddr))
      })
      expect(offers.length).toBeLessThan(60)
      await rack.passes(() => offers.length === 60)
      expect(new Set(offers).size).toBe(60)
    } finally {
      await rack.close()
    }
  })
})

describe('who waits for a block', () => {
  const open = () => {
    const clock = manualClock(1_000_000)
    const calls: PromiseWithResolvers<{ addresses: string[] }>[] = []
    const blocks = new Blocks({ memory: new Memory(), low: 4, log: createLogger('silent'), clock, grant: () => {
      const call = Promise.withResolvers<{ addresses: string[] }>()
      calls.push(call)
      return call.promise
    } })
    const done: string[] = []
    return { clock, calls, blocks, done, wait: (client: string, word = client, subnets = ['1']) => blocks.wait(subnets, client, () => { done.push(word) }) }
  }
  it('does not wait where nothing is asked for', () => {
    const { wait } = open()
    expect(wait('a')).toBe(false)
  })
  it('goes on in the order of coming, each client once with its newest word, whichever of its subnets is asked for', async () => {
    const { blocks, calls, wait, done } = open()
    blocks.refill('1')
    expect([wait('a', 'old'), wait('b', 'b', ['9', '1']), wait('a', 'new')]).toEqual([true, true, true])
    calls[0]?.resolve({ addresses: ['10.0.0.5'] })
    await expect.poll(() => done).toEqual(['new', 'b'])
    expect(wait('c')).toBe(false)
  })
  it('goes on as well when the call fails or brings nothing: there may be something by now', async () => {
    const { blocks, calls, wait, done } = open()
    blocks.refill('1')
    blocks.refill('2')
    wait('a')
    wait('b', 'b', ['2'])
    calls[0]?.reject(new TypeError('no link'))
    calls[1]?.resolve({ addresses: [] })
    await expect.poll(() => done).toEqual(['a', 'b'])
  })
  it('is forgotten after two seconds, and when 512 wait already', async () => {
    const { blocks, calls, clock, wait, done } = open()
    blocks.refill('1')
    wait('early')
    await clock.advance(2000)
    for (let number = 1; number < 512; number++) expect(wait(`late ${number}`)).toBe(true)
    expect(wait('one too many')).toBe(false)
    expect(wait('late 1')).toBe(true)
    calls[0]?.resolve({ addresses: [] })
    await expect.poll(() => done.length).toBe(511)
    expect(done).not.toContain('early')
  })
})
