/** Several ranges in a subnet and several subnets on a VLAN, from the plan to what clients get: every dynamic address once, and never a reserved one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { packetOf } from './build.ts'
import type { Wire } from './build.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let [near, far] = ['', '']
const memory = new Memory()
beforeAll(async () => {
  region = await openRegion({ reserveSize: 0 })
  near = await region.subnet('10.0.0.0/24', ['10.0.0.10', '10.0.0.14'], { gateway: '10.0.0.1' })
  for (const [kind, start, end] of [['reserved', '10.0.0.15', '10.0.0.19'], ['dynamic', '10.0.0.20', '10.0.0.22'], ['reserved', '10.0.0.2', '10.0.0.9']]) await region.call('POST', '/network/ranges', { subnetId: near, kind, start, end })
  far = await region.subnet('10.1.0.0/24', ['10.1.0.5', '10.1.0.8'])
  await region.attach('rack-a', { eth1: ['10.0.0.100/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  memory.apply(await region.wanted('rack-a'), [], true, Date.now())
})
afterAll(() => region.close())

const ask = (wire: Wire) => {
  const [segment] = memory.segments.values()
  return decide(memory.view(segment!, Date.now()), packetOf(wire), Date.now())
}
/** What one client gets, as a rack and its region do it; undefined: nothing is left. */
async function lease (number: number): Promise<string | undefined> {
  const mac = macOf(number)
  let offer = ask({ type: 'DISCOVER', mac })
  if (offer.kind === 'drop') {
    for (const subnet of [near, far]) memory.grant(subnet, (await region.grant('rack-a', subnet)).map(parseIp), Date.now())
    offer = ask({ type: 'DISCOVER', mac })
  }
  if (offer.kind !== 'offer') return undefined
  memory.offer(offer.address, offer.subnet.id, mac, Date.now())
  const decision = ask({ type: 'REQUEST', mac, server: '10.0.0.100', requested: ipText(offer.address) })
  if (decision.kind !== 'bind') return undefined
  const address = ipText(decision.address)
  const [answer] = await region.bind('rack-a', { address, client: mac, subnet: decision.subnet.id })
  expect(answer?.stored).toBe(true)
  memory.bound({ subnet: decision.subnet.id, client: mac, clientId: null, address: decision.address, expires: Date.now() + 600_000, number: answer?.number ?? null })
  return address
}

describe('clients that nobody knows', () => {
  it('get every address of every dynamic range once, those of the rack\'s own subnet first, and then nothing', async () => {
    const given: string[] = []
    for (let number = 1; number <= 20; number++) {
      const address = await lease(number)
      if (address !== undefined) given.push(address)
    }
    const range = (prefix: string, from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${prefix}.${from + index}`)
    expect(new Set(given).size).toBe(given.length)
    expect(given.slice(0, 8).sort()).toEqual([...range('10.0.0', 10, 14), ...range('10.0.0', 20, 22)])
    expect(given.slice(8).sort()).toEqual(range('10.1.0', 5, 8))
  })
  it('are refused a reserved address they ask to keep', () => {
    for (const address of ['10.0.0.15', '10.0.0.19', '10.0.0.5']) {
      expect(ask({ type: 'REQUEST', mac: macOf(99), ciaddr: address })).toMatchObject({ kind: 'nak' })
      expect(ask({ type: 'REQUEST', mac: macOf(99), server: '10.0.0.100', requested: address })).toMatchObject({ kind: 'nak' })
    }
  })
})

describe('clients with an address of their own', () => {
  it('get it outside the ranges and inside a reserved one', async () => {
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: near, kind: 'reserved', mac: macOf(50), address: '10.0.0.16' }))
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: far, kind: 'sticky', mac: macOf(51), address: '10.1.0.200', owner: 'm51' }))
    memory.apply(await region.wanted('rack-a'), [], true, Date.now())
    expect(await lease(50)).toBe('10.0.0.16')
    expect(await lease(51)).toBe('10.1.0.200')
  })
})
