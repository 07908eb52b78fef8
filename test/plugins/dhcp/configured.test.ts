/** What operators set, in the packets of a rack: from the API through the region's database into replies. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { packetOf } from './build.ts'
import type { Wire } from './build.ts'
import { openRack } from './rack.kit.ts'
import type { RackKit } from './rack.kit.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let rack: RackKit
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'], { gateway: '10.0.0.1' })
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  rack = await openRack(region, 'rack-a')
  rack.responder.refill()
  await rack.passes(() => rack.responder.memory.freeCount(subnet) > 0)
})
afterAll(async () => { await rack?.close(); await region.close() })

const put = async (path: string, body: object) => {
  const { status, body: answer } = await region.call('PUT', `/dhcp${path}`, body)
  expect([status, answer?.detail]).toEqual([200, undefined])
  await rack.pull()
}
/** The whole answer to a packet. */
async function answer (wire: Wire): Promise<Packet | undefined> {
  const [segment] = rack.responder.memory.segments.values()
  let heard: Packet | undefined
  rack.responder.receive(segment!, encode(packetOf(wire)), data => { heard = decode(Buffer.from(data)) })
  await rack.passes(() => heard !== undefined)
  return heard
}
const told = async (code: number, mac: string) => (await answer({ type: 'DISCOVER', mac, options: [[option.parameterList, Buffer.of(code)]] }))?.options.get(code)?.toString('hex')

describe('options', () => {
  it('are told as they were set, a machine\'s above the subnet\'s above everybody\'s above the plan', async () => {
    const router = async () => [await told(3, macOf(1)), await told(3, macOf(2))]
    expect(await router()).toEqual(['0a000001', '0a000001'])
    await put('/options/global/routers', { value: '10.0.0.11' })
    expect(await router()).toEqual(['0a00000b', '0a00000b'])
    await put(`/options/subnet:${subnet}/routers`, { value: '10.0.0.12' })
    expect(await router()).toEqual(['0a00000c', '0a00000c'])
    await put(`/options/mac:${macOf(1)}/routers`, { value: '10.0.0.13' })
    expect(await router()).toEqual(['0a00000d', '0a00000c'])
    for (const scope of ['global', `subnet:${subnet}`, `mac:${macOf(1)}`]) expect((await region.call('DELETE', `/dhcp/options/${scope}/routers`)).status).toBe(204)
    await rack.pull()
    expect(await router()).toEqual(['0a000001', '0a000001'])
  })
  it('of the subnet\'s settings, and its lease times, for firmware and for systems', async () => {
    await put(`/subnets/${subnet}`, { leaseSeconds: 1800, firmwareSeconds: 45, domain: 'lab.example', ntp: ['10.0.0.7'] })
    expect(await told(15, macOf(3))).toBe(Buffer.from('lab.example').toString('hex'))
    expect(await told(42, macOf(3))).toBe('0a000007')
    expect(await told(51, macOf(3))).toBe((1800).toString(16).padStart(8, '0'))
    expect((await answer({ type: 'DISCOVER', mac: macOf(3), vendor: 'PXEClient:Arch:00007:UNDI:003016' }))?.options.get(51)?.readUInt32BE()).toBe(45)
    await put(`/subnets/${subnet}`, {})
    expect(await told(15, macOf(3))).toBeUndefined()
  })
  it('send a machine to another boot server', async () => {
    await put(`/options/mac:${macOf(4)}/bootfile-name`, { value: 'phone.cfg' })
    await put(`/options/mac:${macOf(4)}/tftp-server-name`, { value: '10.0.0.80' })
    const reply = await answer({ type: 'DISCOVER', mac: macOf(4) })
    expect([reply?.file, ipText(reply?.siaddr ?? 0)]).toEqual(['phone.cfg', '10.0.0.80'])
  })
})

describe('an address of a client id', () => {
  const id = Buffer.from('01525400000001', 'hex')
  const sent = [[option.clientId, id]] as const
  it('is given to whoever sends the id, stored under it, and kept from the same machine without it', async () => {
    await put('/fixed/10.0.0.50', { clientId: id.toString('hex'), hostname: 'till' })
    for (const mac of [macOf(5), macOf(6)]) {
      expect(ipText((await answer({ type: 'DISCOVER', mac, options: sent }))?.yiaddr ?? 0)).toBe('10.0.0.50')
      const ack = await answer({ type: 'REQUEST', mac, server: '10.0.0.2', requested: '10.0.0.50', options: sent })
      expect([ack?.options.get(option.messageType)?.[0], ipText(ack?.yiaddr ?? 0), ack?.mac, ack?.options.get(option.hostname)?.toString()]).toEqual([5, '10.0.0.50', mac, 'till'])
    }
    expect((await region.call('GET', '/dhcp/leases?address=10.0.0.50')).body.items).toMatchObject([{ state: 'active', client: `id:${id.toString('hex')}`, clientId: id.toString('hex'), hostname: 'till' }])
    expect(ipText((await answer({ type: 'DISCOVER', mac: macOf(5) }))?.yiaddr ?? 0)).not.toBe('10.0.0.50')
    expect((await answer({ type: 'REQUEST', mac: macOf(5), ciaddr: '10.0.0.50' }))?.options.get(option.messageType)?.[0]).toBe(6)
  })
  it('is refused to it when it is taken back', async () => {
    expect((await region.call('DELETE', '/dhcp/fixed/10.0.0.50')).status).toBe(204)
    await rack.pull()
    expect((await answer({ type: 'REQUEST', mac: macOf(5), ciaddr: '10.0.0.50', options: sent }))?.options.get(option.messageType)?.[0]).toBe(6)
    expect(ipText((await answer({ type: 'DISCOVER', mac: macOf(6), options: sent }))?.yiaddr ?? 0)).toMatch(/^10\.0\.0\.1\d\d$/)
  })
})

describe('an operator\'s release', () => {
  it('ends the claim of a client that is gone; one that still asks has the address again, and nobody else gets it before', async () => {
    const given = await rack.join(macOf(7))
    expect(given?.type).toBe('ACK')
    expect((await region.call('DELETE', `/dhcp/leases/${given?.address}`)).status).toBe(204)
    await rack.pull()
    expect((await region.call('GET', `/dhcp/leases?address=${given?.address}`)).body.items).toMatchObject([{ state: 'retiring' }])
    expect((await region.bind('rack-a', { address: given!.address, client: macOf(8), subnet }))[0]?.stored).toBe(false)
    expect(await rack.extend(macOf(7), given!.address)).toMatchObject({ type: 'ACK', address: given?.address })
    expect((await region.call('GET', `/dhcp/leases?address=${given?.address}`)).body.items).toMatchObject([{ state: 'active', client: macOf(7) }])
  })
})
