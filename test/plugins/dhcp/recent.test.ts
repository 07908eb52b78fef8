/** What was acknowledged lately, by beats; and what that means for a RELEASE. */
import { expect, it } from 'vitest'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { Recent } from '../../../plugins/dhcp/rack/recent.ts'
import { openRack } from './rack.kit.ts'
import { macOf, openRegion } from './region.kit.ts'

it('an address is there for six beats, and begins anew when it is acknowledged again', () => {
  const recent = new Recent()
  const beats = (count: number) => { for (let beat = 0; beat < count; beat++) recent.beat() }
  recent.add(1)
  beats(5)
  recent.add(2)
  expect([1, 2].map(address => recent.has(address))).toEqual([true, true])
  beats(1)
  expect([1, 2].map(address => recent.has(address))).toEqual([false, true])
  recent.add(2)
  beats(5)
  expect(recent.has(2)).toBe(true)
  beats(1)
  expect(recent.has(2)).toBe(false)
})

it('a RELEASE right after the ACK is passed over, since it may be one of the lease before; later it counts, though not after a standstill that the client\'s packets waited through', async () => {
  const region = await openRegion()
  const subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.109'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-a'] })
  const rack = await openRack(region, 'rack-a')
  try {
    rack.responder.refill()
    await rack.passes(() => rack.responder.memory.freeCount(subnet) > 0)
    const lease = await rack.join(macOf(1))
    const release = async () => {
      await rack.say({ type: 'RELEASE', mac: macOf(1), ciaddr: lease?.address ?? '', server: '10.0.0.2' })
      return rack.facts.filter(({ kind }) => kind === 'released').length
    }
    expect(await release()).toBe(0)
    await rack.clock.pause(60_000)
    expect(await release()).toBe(0)
    await rack.passes(() => rack.clock.monotonic() > 70_000, 1000)
    expect(await release()).toBe(1)
  } finally {
    await rack.close()
    await region.close()
  }
})

it('a service that was stopped and started again counts beats as before', async () => {
  const region = await openRegion()
  const subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.109'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-a'] })
  const rack = await openRack(region, 'rack-a')
  try {
    await rack.responder.stop()
    rack.responder.start()
    rack.responder.refill()
    await rack.passes(() => rack.responder.memory.freeCount(subnet) > 0)
    const lease = await rack.join(macOf(1))
    const { recent } = rack.responder.memory
    const address = parseIp(lease?.address ?? '')
    expect(recent.has(address)).toBe(true)
    await rack.passes(() => rack.clock.monotonic() > 10_000, 1000)
    expect(recent.has(address)).toBe(false)
  } finally {
    await rack.close()
    await region.close()
  }
})
