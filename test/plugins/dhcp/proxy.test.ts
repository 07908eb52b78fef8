/** ProxyDHCP: what captured firmware and boot loaders get where somebody else gives the addresses. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { everybody, ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, text, u16, u8 } from '../../../plugins/dhcp/options/values.ts'
import { broadcastFlag, decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { bootOf } from '../../../plugins/dhcp/v4/boot-file.ts'
import { proxyAnswer } from '../../../plugins/dhcp/proxy/proxy.ts'
import type { Arrival, Booting } from '../../../plugins/dhcp/proxy/proxy.ts'
import { createDice } from '../../sim/dice.ts'
import { readCorpus } from '../../fuzz/dhcp/corpus.ts'
import { mutate } from '../../fuzz/dhcp/mutation.ts'
import { packetOf, segmentWith } from './build.ts'

const segment = { ...segmentWith(), mode: 'proxy' as const }
const here: Arrival = { port: 67, from: '0.0.0.0', fromPort: 68 }
const asked: Arrival = { port: 4011, from: '10.0.0.130', fromPort: 68 }
const captured = (name: string): Packet => decode(readCorpus().find(seed => seed.name === name)?.data ?? Buffer.of())
const bootFrom: Booting = ({ address }, packet) => bootOf(packet, address, 5248)
const answer = (packet: Packet, arrival = here) => {
  const found = proxyAnswer(segment, packet, bootFrom, arrival)
  if (typeof found === 'string') return found
  const { reply, to, type } = found
  const read = decode(encode(reply))
  return {
    type, to: `${ipText(to.address)}:${to.port}`, your: ipText(read.yiaddr), next: ipText(read.siaddr), file: read.file, option67: read.options.get(option.bootFile)?.toString() ?? '',
    class: read.options.get(option.vendorClass)?.toString() ?? '', menu: read.options.get(option.vendor)?.toString('hex') ?? '', lease: read.options.has(option.leaseTime), packet: read
  }
}
const bios = packetOf({ type: 'DISCOVER', vendor: 'PXEClient:Arch:00000:UNDI:002001', options: [[option.architecture, u16(0)], [option.machineId, Buffer.alloc(17, 5)]] })
const none = { your: '0.0.0.0', next: '10.0.0.2', lease: false }

describe('a DISCOVER on port 67', () => {
  it('of a BIOS: its file in the offer, and that nobody need be asked', () => {
    expect(answer(bios)).toMatchObject({ ...none, type: 'OFFER', to: '255.255.255.255:68', file: 'undionly.kpxe', option67: 'undionly.kpxe', class: 'PXEClient', menu: '060108ff' })
  })
  it('of UEFI firmware (OVMF): no file, so that it asks on port 4011', () => {
    expect(answer(captured('ovmf'))).toMatchObject({ ...none, type: 'OFFER', to: '255.255.255.255:68', file: '', option67: '', class: 'PXEClient', menu: '' })
  })
  it('of iPXE: its script', () => {
    const script = 'http://10.0.0.2:5248/boot/ipxe/52-54-00-00-00-21'
    expect(answer(captured('ipxe-on-bios'))).toMatchObject({ ...none, type: 'OFFER', file: script, option67: script, class: 'PXEClient', menu: '060108ff' })
  })
  it('of UEFI HTTP boot: the URL of the loader', () => {
    const url = 'http://10.0.0.2:5248/boot/loaders/ipxe.efi'
    expect(answer(packetOf({ type: 'DISCOVER', vendor: 'HTTPClient:Arch:00016:UNDI:003001', options: [[option.architecture, u16(16)]] }))).toMatchObject({ ...none, type: 'OFFER', option67: url, class: 'HTTPClient', menu: '' })
  })
  it('gives back what belongs to the exchange', () => {
    const relay = Buffer.of(1, 2, 7, 7)
    const { packet, to } = answer({ ...bios, giaddr: parseIp('10.0.0.9'), flags: 0, options: new Map([...bios.options, [option.relay, relay], [option.clientId, Buffer.of(1, 2, 3)]]) }) as Exclude<ReturnType<typeof answer>, string>
    expect(to).toBe('10.0.0.9:67')
    expect(packet).toMatchObject({ op: 2, xid: bios.xid, mac: bios.mac, flags: broadcastFlag, giaddr: parseIp('10.0.0.9') })
    expect(packet.options.get(option.relay)).toEqual(relay)
    expect(packet.options.get(option.clientId)).toEqual(Buffer.of(1, 2, 3))
    expect(packet.options.get(option.machineId)).toEqual(Buffer.alloc(17, 5))
    expect(packet.options.get(option.serverId)).toEqual(ip(parseIp('10.0.0.2')))
  })
})

describe('a question on port 4011', () => {
  const request = (packet: Packet): Packet => ({ ...packet, ciaddr: parseIp('10.0.0.130'), options: new Map([...packet.options, [option.messageType, u8(messageType.REQUEST)]]) })
  it('of UEFI firmware is answered to where it came from, with the file', () => {
    expect(answer(request(captured('ovmf')), asked)).toMatchObject({ ...none, type: 'ACK', to: '10.0.0.130:68', file: 'ipxe.efi', option67: 'ipxe.efi', class: 'PXEClient' })
    expect(answer(request(captured('ovmf')), { ...asked, fromPort: 4011 })).toMatchObject({ to: '10.0.0.130:4011' })
  })
  it('may be an INFORM, on either port', () => {
    const inform = { ...request(bios), options: new Map([...bios.options, [option.messageType, u8(messageType.INFORM)]]) }
    expect(answer(inform, asked)).toMatchObject({ type: 'ACK', to: '10.0.0.130:68', file: 'undionly.kpxe' })
    expect(answer(inform)).toMatchObject({ type: 'ACK', to: '10.0.0.130:68' })
  })
  it('to another boot server is not answered', () => { expect(answer({ ...request(bios), options: new Map([...request(bios).options, [option.serverId, ip(parseIp('10.0.0.3'))]]) }, asked)).toBe('other-server') })
  it('is none when it is a DISCOVER', () => { expect(answer(bios, asked)).toBe('not-for-a-proxy') })
})

describe('silence', () => {
  it.each(['udhcpc', 'dhclient', 'windows-pe'])('for %s, which boots nothing', name => { expect(answer(captured(name))).toBe('not-booting') })
  it.each(['ovmf-takes-an-offer', 'ipxe-takes-an-offer', 'udhcpc-takes-an-offer'])('for %s: that is for whoever gives the address', name => { expect(answer(captured(name))).toBe('not-for-a-proxy') })
  it('for firmware there is no file for', () => { expect(answer(packetOf({ type: 'DISCOVER', vendor: 'PXEClient:Arch:00010', options: [[option.architecture, u16(10)]] }))).toBe('no-boot-file') })
  it('for what comes from another segment, and for replies', () => {
    expect(answer({ ...bios, giaddr: parseIp('192.0.2.1') })).toBe('foreign-relay')
    expect(answer({ ...bios, op: 2 })).toBe('not-a-request')
    expect(answer({ ...bios, mac: '' })).toBe('hardware')
  })
  it('for UEFI\'s class in another\'s mouth there is no crash', () => { expect(answer(packetOf({ type: 'DISCOVER', vendor: 'PXEClient', options: [[option.vendorClass, text('PXEClientX')], [option.architecture, Buffer.of(1)]] }))).toMatchObject({ type: 'OFFER' }) })
})

it('never promises an address, whatever comes in, and every answer can be read', () => {
  const corpus = readCorpus().map(({ data }) => data)
  fc.assert(fc.property(fc.integer(), fc.boolean(), (seed, port67) => {
    const dice = createDice(seed)
    const data = mutate(dice.pick(corpus), dice.pick(corpus), dice)
    let packet: Packet
    try { packet = decode(data) } catch { return }
    const found = proxyAnswer(segment, packet, bootFrom, port67 ? here : asked)
    if (typeof found === 'string') return
    const read = decode(encode(found.reply))
    expect(read).toMatchObject({ op: 2, yiaddr: 0, xid: packet.xid, mac: packet.mac })
    expect(read.options.has(option.leaseTime)).toBe(false)
    expect(found.to.address === everybody || found.to.address === packet.giaddr || found.to.address === packet.ciaddr || found.to.address === parseIp(asked.from)).toBe(true)
  }), { numRuns: 5000 })
})
