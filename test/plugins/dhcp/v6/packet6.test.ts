/** DHCPv6's codec: what it writes it reads back, and nothing that comes in does more harm than one dropped packet. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { bootOf6 } from '../../../../plugins/dhcp/v6/boot6.ts'
import { architecture6, asksFor6, duidOf, elapsedOf, hostname6, macOf6, userClasses6, vendorClass6 } from '../../../../plugins/dhcp/v6/client6.ts'
import { decide6 } from '../../../../plugins/dhcp/v6/decision6.ts'
import { duidOfUuid, macInDuid, readDuid } from '../../../../plugins/dhcp/v6/duid.ts'
import { ip6Text, macInAddress, parseIp6, parsePrefix6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { readOptions6, readStrings, writeNames, writeOptions6, writeStrings } from '../../../../plugins/dhcp/v6/options6.ts'
import type { Option6 } from '../../../../plugins/dhcp/v6/options6.ts'
import { decode6, encode6, iaOption, iasOf, otherIas, statusOf, statusOption } from '../../../../plugins/dhcp/v6/packet6.ts'
import { forwarded, linkOf6, macSeen, mostRelays, ownPort, unwrap, unwrapReply, wrap } from '../../../../plugins/dhcp/v6/relay6.ts'
import type { Relay6 } from '../../../../plugins/dhcp/v6/relay6.ts'
import { confirmReply6, endReply6, informReply6, leaseReply6 } from '../../../../plugins/dhcp/v6/reply6.ts'
import { datagram, message, now, opaque, relayed, viewOf } from './build6.ts'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength }).map(array => Buffer.from(array))
const ip = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(array => Buffer.from(array).toString('hex'))
const option: fc.Arbitrary<Option6> = fc.record({ code: fc.oneof(fc.integer({ min: 1, max: 135 }), fc.integer({ min: 0, max: 0xffff })).filter(code => code !== 9), value: bytes(300) })
const packet = fc.record({ type: fc.integer({ min: 0, max: 255 }).filter(type => type !== 12 && type !== 13), xid: fc.integer({ min: 0, max: 0xffffff }), options: fc.array(option, { maxLength: 12 }) })
const relay: fc.Arbitrary<Relay6> = fc.record({ hops: fc.integer({ min: 0, max: 255 }), link: ip, peer: ip, options: fc.array(option, { maxLength: 4 }) })
const plain = (options: readonly Option6[]) => options.map(({ code, value }) => [code, value.toString('hex')])

/** Everything that looks at a datagram from outside. */
function everyReader (data: Buffer): void {
  const found = unwrap(data)
  const { relays, message: { options } } = found
  for (const { value } of options) { readStrings(value); readStrings(value, 4) }
  duidOf(options); elapsedOf(options); hostname6(options); userClasses6(options); vendorClass6(options); architecture6(options); asksFor6(options, 23); iasOf(options); otherIas(options); statusOf(options)
  linkOf6(relays); macSeen(relays); ownPort(relays); macOf6(found, opaque)
  const view = viewOf()
  const decision = decide6(view, found, opaque, now)
  const boot = bootOf6(options, view.segment.address, 5248, macOf6(found, opaque))
  if (decision.kind === 'lease') unwrapReply(wrap({ relays, message: leaseReply6(view.segment, found.message, decision, () => 600, boot) }))
  for (const reply of [confirmReply6(view.segment, found.message, true), endReply6(view.segment, found.message, [1]), informReply6(view.segment, found.message, view.segment.subnets[0], 600, boot)]) unwrapReply(wrap({ relays, message: reply }))
}
/** Reads bytes from the network as a server does; gives the kind of the refusal, if any. */
function swallow (data: Buffer): string | undefined {
  try {
    everyReader(data)
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect(error).toMatchObject({ code: 'PACKET_INVALID', details: { kind: expect.stringMatching(/^[a-z-]+$/) } })
    return (error as BedplateError).details.kind as string
  }
}

describe('what is written is read back', () => {
  it('messages', () => {
    fc.assert(fc.property(packet, one => {
      const read = decode6(encode6(one))
      expect({ ...read, options: plain(read.options) }).toEqual({ ...one, options: plain(one.options) })
    }), { numRuns: 500, seed: 1 })
  })
  it('messages in up to nine relays, and the way back with their interface ids', () => {
    fc.assert(fc.property(packet, fc.array(relay, { maxLength: mostRelays + 1 }), (one, relays) => {
      const read = unwrap(forwarded({ relays, message: one }))
      expect(read.relays.map(({ hops, link, peer }) => ({ hops, link, peer }))).toEqual(relays.map(({ hops, link, peer }) => ({ hops, link, peer })))
      expect(read.message).toEqual(decode6(encode6(one)))
      const back = unwrapReply(wrap({ relays: read.relays, message: one }))
      expect(back.relays.map(({ options }) => plain(options.filter(({ code }) => code !== 9)))).toEqual(relays.map(({ options }) => plain(options.filter(({ code }) => code === 18 || code === 135))))
    }), { numRuns: 200, seed: 2 })
  })
  it('identity associations with their status', () => {
    const ia = fc.record({ iaid: u32, t1: u32, t2: u32, addresses: fc.array(fc.record({ address: ip, preferred: u32, valid: u32 }), { maxLength: 8 }) })
    fc.assert(fc.property(fc.array(ia, { maxLength: 8 }), ias => {
      const read = iasOf(readOptions6(writeOptions6(ias.map(one => iaOption(one, statusOption('NoBinding', 'no')))), 0))
      expect(read).toEqual(ias.map(one => ({ ...one, status: { code: 3, message: 'no' } })))
    }), { numRuns: 300, seed: 3 })
  })
  it('addresses as text, as PostgreSQL and RFC 5952 write them', () => {
    fc.assert(fc.property(ip, one => { expect(parseIp6(ip6Text(one))).toBe(one) }), { numRuns: 500, seed: 4 })
    const sparse = fc.array(fc.constantFrom('0000', '0000', '0001', 'ffff', 'c000'), { minLength: 8, maxLength: 8 }).map(words => words.join(''))
    fc.assert(fc.property(sparse, one => { expect(parseIp6(ip6Text(one))).toBe(one) }), { numRuns: 500, seed: 5 })
    for (const text of ['::', '::1', '2001:db8::1', 'fe80::1:0:0:1', '2001:db8:0:1:1:1:1:1', '::ffff:192.0.2.1', '::192.0.2.1', '1::', '2001:0:0:1::1']) expect(ip6Text(parseIp6(text))).toBe(text)
    for (const text of ['', '1.2.3.4', '2001:db8::g', 'fe80::1%eth0', '1:2:3:4:5:6:7:8:9', '2001:db8::/64']) expect(() => parseIp6(text)).toThrow(BedplateError)
    expect(parsePrefix6('2001:db8::42/120')).toEqual({ first: parseIp6('2001:db8::'), last: parseIp6('2001:db8::ff') })
    expect(() => parsePrefix6('2001:db8::/129')).toThrow(BedplateError)
  })
  it('lists of strings, and names', () => {
    expect(readStrings(writeStrings(Buffer.from('iPXE'), Buffer.alloc(0), Buffer.from('x'))).map(String)).toEqual(['iPXE', '', 'x'])
    expect(writeNames(['example.org', 'a.']).toString('latin1')).toBe('\x07example\x03org\x00\x01a\x00')
    expect(writeNames(['x'.repeat(64), `${'y.'.repeat(130)}z`, 'a..b']).length).toBe(0)
  })
})

describe('DUIDs', () => {
  it.each([
    ['0001000129f5c0de525400000001', { kind: 'llt', hardware: 1, time: 0x29f5c0de, mac: '52:54:00:00:00:01' }],
    ['00030001525400000001', { kind: 'll', hardware: 1, mac: '52:54:00:00:00:01' }],
    ['00030020000000000000000000000000000000000000000a', { kind: 'll', hardware: 32, mac: undefined }],
    ['00030001ffffffffffff', { kind: 'll', hardware: 1, mac: undefined }],
    ['0002000000090cc084d303000912', { kind: 'en', enterprise: 9, id: '0cc084d303000912' }],
    ['000400112233445566778899aabbccddeeff', { kind: 'uuid', uuid: '00112233-4455-6677-8899-aabbccddeeff' }],
    ['00040011', { kind: 'other', type: 4 }],
    ['000100', { kind: 'other', type: 1 }],
    ['ffff00', { kind: 'other', type: 0xffff }]
  ])('%s', (hex, read) => { expect(readDuid(Buffer.from(hex, 'hex'))).toEqual(read) })
  it('too short or too long is malformed', () => {
    expect(() => readDuid(Buffer.alloc(2))).toThrow(BedplateError)
    expect(() => readDuid(Buffer.alloc(131))).toThrow(BedplateError)
    expect(macInDuid(Buffer.alloc(130))).toBeUndefined()
  })
  it('one of a UUID is read as such', () => { expect(readDuid(duidOfUuid('00112233-4455-6677-8899-aabbccddeeff'))).toMatchObject({ uuid: '00112233-4455-6677-8899-aabbccddeeff' }) })
  it('a link-local address tells the MAC it is made of', () => {
    expect(macInAddress(parseIp6('fe80::5054:ff:fe00:1'))).toBe('52:54:00:00:00:01')
    for (const text of ['fe80::1', '2001:db8::5054:ff:fe00:1', 'fe80::ffff:ffff:feff:ffff']) expect(macInAddress(parseIp6(text))).toBeUndefined()
  })
})

describe('hostile bytes', () => {
  it('any bytes: an answer or PACKET_INVALID, nothing else', () => {
    fc.assert(fc.property(bytes(400), data => { swallow(data) }), { numRuns: 2000, seed: 6 })
    fc.assert(fc.property(fc.integer({ min: 1, max: 13 }), bytes(400, 3), (type, data) => { swallow(Buffer.concat([Buffer.of(type), data])) }), { numRuns: 2000, seed: 7 })
  })
  it('good messages with a few bytes turned', () => {
    const good = [
      forwarded(datagram({ type: 'SOLICIT', ias: [[1, '2001:db8:1::1:5']], asks: [23, 24, 59] })),
      forwarded(datagram({ type: 'RENEW', ias: [[1, '2001:db8:1::1:5'], [2]] }, relayed({ link: '2001:db8:1::1', options: [{ code: 18, value: Buffer.from('eth0') }] }), relayed()))
    ]
    fc.assert(fc.property(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }), fc.nat(), (data, turns, cut) => {
      const bad = Buffer.from(data)
      for (const [at, value] of turns) bad[at % bad.length] = value
      swallow(bad)
      swallow(bad.subarray(0, cut % bad.length))
    }), { numRuns: 3000, seed: 8 })
  })
  it('what is refused, by name', () => {
    const deep = (depth: number) => forwarded(datagram({ type: 'SOLICIT' }, ...Array.from({ length: depth }, () => relayed())))
    const ias = (count: number) => encode6(message({ type: 'SOLICIT', ias: Array.from({ length: count }, (_, iaid) => [iaid] as [number]) }))
    expect(swallow(Buffer.alloc(3))).toBe('short')
    expect(swallow(Buffer.of(12, 0, 0, 0))).toBe('short')
    expect(swallow(deep(mostRelays + 1))).toBeUndefined()
    expect(swallow(deep(mostRelays + 2))).toBe('relay-depth')
    expect(swallow(Buffer.concat([Buffer.of(12), Buffer.alloc(33)]))).toBe('relay-empty')
    expect(swallow(Buffer.of(1, 0, 0, 0, 0, 1, 0))).toBe('option-truncated')
    expect(swallow(Buffer.of(1, 0, 0, 0, 0, 1, 0, 9, 1))).toBe('option-truncated')
    expect(swallow(Buffer.concat([Buffer.of(1, 0, 0, 0), ...Array.from({ length: 257 }, () => Buffer.of(0, 200, 0, 0))]))).toBe('options')
    expect(swallow(ias(16))).toBeUndefined()
    expect(swallow(ias(17))).toBe('ias')
    expect(swallow(encode6(message({ type: 'SOLICIT', options: [{ code: 3, value: Buffer.alloc(11) }] })))).toBe('ia')
    expect(swallow(encode6(message({ type: 'SOLICIT', options: [{ code: 3, value: Buffer.concat([Buffer.alloc(12), Buffer.of(0, 5, 0, 3, 1, 2, 3)]) }] })))).toBe('ia-address')
    expect(swallow(encode6(message({ type: 'SOLICIT', client: Buffer.of(1) })))).toBe('duid')
    expect(() => writeOptions6([{ code: 1, value: Buffer.alloc(65_536) }])).toThrow(BedplateError)
  })
  it('bytes behind the datagram in the same memory change nothing', () => {
    fc.assert(fc.property(bytes(200, 1), bytes(200, 200), (data, behind) => {
      const read = (view: Buffer) => { try { return JSON.stringify(unwrap(view)) } catch (error) { return String(error) } }
      expect(read(Buffer.concat([data, behind]).subarray(0, data.length))).toBe(read(data))
    }), { numRuns: 500, seed: 9 })
  })
})
