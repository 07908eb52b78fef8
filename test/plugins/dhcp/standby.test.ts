/** A rack below a silent one: only the first clients wait. The pure part, and a second rack over a region on a real PostgreSQL. */
import { describe, expect, it } from 'vitest'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { Standby } from '../../../plugins/dhcp/rack/standby.ts'
import { openRack } from './rack.kit.ts'
import { macOf, openRegion } from './region.kit.ts'

describe('the silence of the racks above', () => {
  const after = (...events: readonly ('missed' | 'heard')[]) => {
    const standby = new Standby()
    for (const event of events) standby[event]('5')
    return standby
  }
  it.each<readonly [string, ('missed' | 'heard')[], boolean]>([
    ['nothing is known at first', [], false],
    ['two clients that asked again may have lost a packet', ['missed', 'missed'], false],
    ['three tell', ['missed', 'missed', 'missed'], true],
    ['one that took another rack\'s offer tells that it is there', ['missed', 'missed', 'missed', 'heard'], false],
    ['and the counting begins anew', ['missed', 'missed', 'heard', 'missed'], false]
  ])('%s', (_, events, ahead) => { expect(after(...events).ahead('5')).toBe(ahead) })
  it('is of one VLAN', () => { expect(after('missed', 'missed', 'missed').ahead('6')).toBe(false) })
  it('leaves one client in 64 to them, to find out whether they are back', () => {
    const standby = after('missed', 'missed', 'missed')
    expect(Array.from({ length: 128 }, () => standby.ahead('5')).flatMap((ahead, index) => ahead ? [] : [index + 1])).toEqual([64, 128])
  })
  it('is forgotten with the VLAN', () => {
    const standby = after('missed', 'missed', 'missed')
    standby.keep(new Map())
    expect(standby.ahead('5')).toBe(false)
  })
})

it('a second rack answers at once after three clients that had to ask again, until one takes the first rack\'s offer', async () => {
  const region = await openRegion()
  const subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.attach('rack-b', { eth1: ['10.0.0.3/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-a', 'rack-b'] })
  const rack = await openRack(region, 'rack-b')
  try {
    rack.responder.refill()
    await rack.passes(() => rack.responder.memory.freeCount(subnet) > 4)
    const ask = async (number: number) => (await rack.say({ type: 'DISCOVER', mac: macOf(number) }))?.type
    for (const number of [1, 2, 3]) expect([await ask(number), await ask(number)]).toEqual([undefined, 'OFFER'])
    expect(await ask(4)).toBe('OFFER')
    const rapid = (number: number) => rack.say({ type: 'DISCOVER', mac: macOf(number), options: [[option.rapidCommit, Buffer.alloc(0)]] })
    expect((await rapid(8))?.type).toBe('OFFER') // on a guess nothing is bound at once: the first rack may be doing the same
    expect((await rapid(8))?.type).toBe('ACK')
    await rack.say({ type: 'REQUEST', mac: macOf(5), requested: '10.0.0.149', server: '10.0.0.99' }) // of no rack of ours
    expect(await ask(6)).toBe('OFFER')
    await rack.say({ type: 'REQUEST', mac: macOf(5), requested: '10.0.0.149', server: '10.0.0.2' })
    expect(await ask(7)).toBe(undefined)
  } finally {
    await rack.close()
    await region.close()
  }
})
