/** What clients are told: the plan, operators' options by scope, in the order the client asks for; and what relays and clients select. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bootOf } from '../../../plugins/dhcp/v4/boot-file.ts'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import type { Step } from '../../../plugins/dhcp/v4/chain.ts'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { WantedEntry } from '../../../plugins/dhcp/manifest.ts'
import { readEncapsulated, subOption } from '../../../plugins/dhcp/options/area.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { encodeOption } from '../../../plugins/dhcp/options/registry.ts'
import { linkOf, relayInfoOf } from '../../../plugins/dhcp/options/relay.ts'
import { ToldBySubnet } from '../../../plugins/dhcp/options/told.ts'
import { ip } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { leaseReply, nakReply } from '../../../plugins/dhcp/v4/reply.ts'
import { subnetsFor } from '../../../plugins/dhcp/v4/segment.ts'
import type { Logger } from '../../../core/plugin.ts'
import { me, now, other, packetOf, segmentWith, viewOf } from './build.ts'
import type { Wire } from './build.ts'

const segment = segmentWith()
const [first, second] = segment.subnets
const set = (id: string, ...options: readonly (readonly [string | number, string | number])[]): WantedEntry => ({ kind: 'options', id, value: { options: options.map(([name, value]) => ({ code: typeof name === 'number' ? name : 0, data: encodeOption(name, value).toString('hex') })).map((one, index) => ({ ...one, code: one.code || codeOf(options[index]![0]) })) } })
const codeOf = (name: string | number) => ({ 'ntp-servers': 42, 'domain-name-servers': 6, 'domain-search': 119, 'classless-static-routes': 121, 'v6-only-preferred': 108, 'bootfile-name': 67, 'tftp-server-name': 66, 'host-name': 12, 'interface-mtu': 26, routers: 3, 'v4-captive-portal': 114 })[name] ?? Number(name)
const toldWith = (...entries: WantedEntry[]) => { const told = new ToldBySubnet(); told.apply(entries, [], true); return told }
const asking = (...codes: number[]) => [option.parameterList, Buffer.from(codes)] as const
const lease = { subnet: first!, address: parseIp('10.0.0.100'), hostname: null, seconds: 600 }
const offer = (told: ToldBySubnet, wire: Wire = {}, hostname: string | null = null): Packet => {
  const request = packetOf({ type: 'DISCOVER', ...wire })
  return leaseReply('OFFER', segment, request, { ...lease, hostname }, bootOf(request, segment.address, 5248), told.of(segment, first!, request.mac))
}
const hex = (packet: Packet, code: number) => packet.options.get(code)?.toString('hex')

describe('operators\' options', () => {
  it('the narrower scope counts, and each is kept by itself', () => {
    const told = toldWith(set('global', ['ntp-servers', '10.0.0.1'], ['v4-captive-portal', 'https://p/']), set('subnet:s1', ['ntp-servers', '10.0.0.2']), set(`mac:${me}`, ['ntp-servers', '10.0.0.3']), set('subnet:s2', ['ntp-servers', '10.0.0.4']))
    expect(hex(offer(told), 42)).toBe('0a000003')
    expect(hex(offer(told, { mac: other }), 42)).toBe('0a000002')
    expect(offer(told, { mac: other }).options.get(114)?.toString()).toBe('https://p/')
    expect(told.of(segment, second!, other).values.get(42)).toEqual(ip(parseIp('10.0.0.4')))
  })
  it('stand above the plan', () => { expect(hex(offer(toldWith(set('subnet:s1', ['domain-name-servers', '9.9.9.9'], ['routers', '10.0.0.254']))), 6)).toBe('09090909') })
  it('a change is in the next reply, and what is taken back is as before', () => {
    const told = toldWith(set('global', ['ntp-servers', '10.0.0.1']))
    expect(hex(offer(told), 42)).toBe('0a000001')
    told.apply([set('global', ['ntp-servers', '10.0.0.9'])], [], false)
    expect(hex(offer(told), 42)).toBe('0a000009')
    told.apply([], [{ kind: 'options', id: 'global' }], false)
    expect(offer(told).options.has(42)).toBe(false)
  })
  it('a new segment of the same subnets is told anew', () => {
    const told = toldWith()
    told.of(segment, first!, me)
    const changed = segmentWith()
    expect(told.of(changed, changed.subnets[0]!, me).values.get(option.dnsServers)).toHaveLength(8)
  })
  it('name the boot file and its server in the header too', () => {
    const told = toldWith(set(`mac:${me}`, ['bootfile-name', 'special.0'], ['tftp-server-name', '10.0.0.77']))
    const reply = offer(told, { vendor: 'PXEClient', options: [asking(66, 67)] })
    expect({ file: reply.file, next: ipText(reply.siaddr), option: reply.options.get(67)?.toString() }).toEqual({ file: 'special.0', next: '10.0.0.77', option: 'special.0' })
    expect(offer(told, { mac: other, vendor: 'PXEClient' }).file).toBe('undionly.kpxe')
  })
  it('a host name that an operator set stands above the machine\'s', () => {
    expect(offer(toldWith(), {}, 'sure-fox').options.get(12)?.toString()).toBe('sure-fox')
    expect(offer(toldWith(set('global', ['host-name', 'mine'])), {}, 'sure-fox').options.get(12)?.toString()).toBe('mine')
  })
})

describe('which options, in which order', () => {
  it('first what the client asks for, in its order; then the rest', () => {
    const told = toldWith(set('global', ['ntp-servers', '10.0.0.1'], [224, '0102']))
    expect([...offer(told, { options: [asking(42, 28, 99, 3, 42)] }).options.keys()]).toEqual([53, 54, 51, 58, 59, 42, 28, 3, 1, 6, 224])
  })
  it('MTU, IPv6-only and routes only to those that ask (RFC 8925 section 3.3, RFC 3442)', () => {
    const told = toldWith(set('global', ['interface-mtu', 1400], ['v6-only-preferred', 1800], ['classless-static-routes', '10.9.0.0/16 via 10.0.0.1']))
    const quiet = offer(told)
    for (const code of [26, 108, 121, 249]) expect(quiet.options.has(code)).toBe(false)
    const asked = offer(told, { options: [asking(108, 121, 26)] })
    expect([hex(asked, 108), hex(asked, 121), hex(asked, 26)]).toEqual(['00000708', '100a090a000001', '0578'])
  })
  it('Windows gets the routes by the number it asks for', () => {
    const told = toldWith(set('subnet:s1', ['classless-static-routes', '10.9.0.0/16 via 10.0.0.1']))
    expect(hex(offer(told, { options: [asking(249)] }), 249)).toBe('100a090a000001')
    expect(hex(offer(toldWith(set('global', ['classless-static-routes', '10.9.0.0/16 via 10.0.0.1'], [249, 'default via 10.0.0.1'])), { options: [asking(249)] }), 249)).toBe('000a000001')
  })
  it('what nobody asked for is what a small reply leaves out', () => {
    const told = toldWith(set('global', ...Array.from({ length: 20 }, (_, index) => [224 + index, 'ab'.repeat(40)] as const), ['domain-search', 'example.org']))
    const reply = decode(encode(offer(told, { options: [asking(119)] }), 548))
    expect(reply.options.has(119)).toBe(true)
    expect(reply.options.has(243)).toBe(false)
  })
})

describe('a reply that does not fit', () => {
  const long = toldWith(set('global', ...Array.from({ length: 7 }, (_, index) => [224 + index, 'ab'.repeat(60)] as const)))
  it('goes on in the fields file and sname, and says so (RFC 2131 section 4.1)', () => {
    const data = encode(offer(long), 548)
    expect(data.length).toBeLessThanOrEqual(548)
    const reply = decode(data)
    expect(reply.options.get(option.overload)?.[0]).toBe(3)
    expect(Array.from({ length: 7 }, (_, index) => reply.options.get(224 + index)?.length)).toEqual(Array(7).fill(60))
    expect([data[108], data[170], data[232], data[44]]).toEqual([228, 229, option.end, 230])
  })
  it('not where they name a file to boot', () => {
    const reply = decode(encode(offer(long, { vendor: 'PXEClient' }), 548))
    expect(reply.file).toBe('undionly.kpxe')
    expect(reply.options.get(option.overload)?.[0]).toBe(2)
  })
  it('to the last byte of a field, and not one further', () => {
    const filled = (file: number, sname: number) => decode(encode({ ...packetOf({}), options: new Map([[53, Buffer.of(2)], [224, Buffer.alloc(249, 1)], [225, Buffer.alloc(file, 2)], [226, Buffer.alloc(sname, 3)]]) }, 500)).options
    expect([...filled(125, 61).entries()].map(([code, value]) => [code, value.length])).toEqual([[53, 1], [224, 249], [option.overload, 1], [225, 125], [226, 61]])
    expect(filled(125, 62).has(226)).toBe(false)
    expect(filled(126, 61).has(225)).toBe(false)
  })
  it('property: within its limit, whatever there is; what is read again is what was written, from the front', () => {
    const bytes = (most: number) => fc.uint8Array({ maxLength: most }).map(value => Buffer.from(value))
    fc.assert(fc.property(fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 254 }).filter(code => code !== 52), bytes(300)), { maxLength: 30, selector: ([code]) => code }), fc.integer({ min: 300, max: 1500 }), fc.constantFrom('', 'boot'), (options, limit, file) => {
      const relay = options.find(([code]) => code === option.relay)?.[1].length ?? 0
      const data = encode({ ...packetOf({}), file, options: new Map(options) }, limit)
      expect(data.length).toBeLessThanOrEqual(Math.max(limit, 300, 241 + relay + 4))
      const read = decode(data)
      expect(read.file).toBe(file)
      for (const [code, value] of read.options) if (code !== option.overload) expect(value).toEqual(new Map(options).get(code))
    }), { numRuns: 500, seed: 21 })
  })
})

describe('relays', () => {
  const relayOption = (...parts: readonly (readonly number[])[]) => [option.relay, Buffer.concat(parts.map(([code = 0, ...value]) => Buffer.of(code, value.length, ...value)))] as const
  const via = (...parts: readonly (readonly number[])[]): Wire => ({ type: 'DISCOVER', giaddr: '10.0.1.9', options: [relayOption(...parts)] })
  it('select the link, sub-options in any order (RFC 3527)', () => {
    expect(subnetsFor(segment, packetOf(via([1, 9]))).map(({ id }) => id)).toEqual(['s2', 's1'])
    expect(subnetsFor(segment, packetOf(via([2, 7, 7], [5, 10, 0, 0, 1], [1, 9]))).map(({ id }) => id)).toEqual(['s1', 's2'])
    expect(subnetsFor(segment, packetOf(via([5, 10, 9, 0, 1])))).toEqual([])
  })
  it('a client selects a subnet itself, and hears which (RFC 3011); the relay\'s word counts more', () => {
    const request = packetOf({ type: 'DISCOVER', options: [[option.subnetSelection, Buffer.of(10, 0, 1, 0)]] })
    expect(subnetsFor(segment, request).map(({ id }) => id)).toEqual(['s2', 's1'])
    expect(hex(leaseReply('OFFER', segment, request, lease, undefined), 118)).toBe('0a000100')
    expect(subnetsFor(segment, packetOf({ type: 'DISCOVER', options: [[option.subnetSelection, Buffer.of(10, 9, 1, 0)]] }))).toEqual([])
    expect(linkOf(1, packetOf({ options: [[option.subnetSelection, Buffer.of(10, 0, 1, 0)], relayOption([5, 10, 0, 0, 1])] }).options)).toBe(parseIp('10.0.0.1'))
  })
  it('stand for the server where they say so (RFC 5107)', () => {
    const override = [11, 10, 0, 1, 9] as const
    const offered = leaseReply('OFFER', segment, packetOf(via(override)), lease, undefined)
    expect(hex(offered, 54)).toBe('0a000109')
    expect(hex(nakReply(segment, packetOf(via(override)), 'no'), 54)).toBe('0a000109')
    const request = (server: string, requested: string) => packetOf({ type: 'REQUEST', giaddr: '10.0.1.9', server, requested, options: [relayOption(override)] })
    const view = viewOf({ offers: [[me, '10.0.0.100']] })
    expect(decide(view, request('10.0.1.9', '10.0.0.100'), now)).toMatchObject({ kind: 'bind', refused: 'drop' })
    expect(decide(view, request('10.0.0.2', '10.0.0.100'), now)).toEqual({ kind: 'drop', reason: 'other-server' })
    // Another rack behind the same relay offered it: that one is meant, and this one does not refuse.
    expect(decide(viewOf(), request('10.0.1.9', '10.0.0.100'), now)).toEqual({ kind: 'drop', reason: 'other-server' })
  })
  it('a packet that came without a relay overrides nothing', () => {
    expect(hex(leaseReply('OFFER', segment, packetOf({ options: [relayOption([11, 10, 0, 1, 9])] }), lease, undefined), 54)).toBe('0a000002')
    expect(relayInfoOf(0, packetOf({ options: [relayOption([1, 9])] }).options)).toBeUndefined()
  })
  it('circuit and remote id', () => {
    expect(relayInfoOf(1, packetOf({ options: [relayOption([2, 0xab], [1, 1, 2])] }).options)).toEqual({ circuitId: '0102', remoteId: 'ab' })
    expect(relayInfoOf(1, packetOf({ options: [relayOption([5, 1, 2, 3, 4])] }).options)).toBeUndefined()
  })
  it('property: one sub-option is what all of them have for it', () => {
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.array(fc.constantFrom(0, 1, 2, 3, 255), { maxLength: 40 })), fc.integer({ min: 1, max: 254 }), (bytes, code) => {
      const value = Buffer.from(bytes)
      for (const wanted of [code, 1, 2, 3]) expect(subOption(value, wanted)).toEqual(readEncapsulated(value).get(wanted))
    }), { numRuns: 2000, seed: 22 })
  })
})

describe('rapid commit (RFC 4039)', () => {
  const chain = (rapidCommit = true) => new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, rapidCommit, log: {} as Logger })
  const wire: Wire = { type: 'DISCOVER', options: [[option.rapidCommit, Buffer.alloc(0)]] }
  const decided = (used: Chain, asked: Wire, free = ['10.0.0.105']) => {
    const step = used.open(segment, packetOf({ type: 'DISCOVER', ...asked })) as Step
    return { step, decision: used.decide(step, viewOf({ free }), now) }
  }
  it('binds what would be offered, and says so in the ACK', () => {
    const { step, decision } = decided(chain(), wire)
    expect(decision).toMatchObject({ kind: 'bind', address: parseIp('10.0.0.105'), refused: 'drop' })
    expect(hex(chain().lease('ACK', step, lease), option.rapidCommit)).toBe('')
  })
  it('only for those that ask, where it is on, and while there is something to give', () => {
    expect(decided(chain(), {}).decision.kind).toBe('offer')
    expect(decided(chain(false), wire).decision.kind).toBe('offer')
    expect(decided(chain(), wire, []).decision.kind).toBe('drop')
    const { step } = decided(chain(), {})
    expect(chain().lease('OFFER', step, lease).options.has(option.rapidCommit)).toBe(false)
  })
})
