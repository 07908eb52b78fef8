/** VRRP's advertisements: byte for byte as RFC 9568 lays them out, and every reason to pass one over. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checksum, pseudoHeader6 } from '../../../../core/address/announcement.ts'
import { advertisement, readAdvertisement } from '../../../../plugins/boot/floating/packet.ts'
import type { Heard } from '../../../../plugins/boot/floating/packet.ts'

const of = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const mac = of('020000000001')
const four = { vrid: 20, priority: 130, interval: 600, addresses: [of('c0000214')] }
const source4 = of('c0000202')
const source6 = of('fe80 0000 0000 0000 0000 00ff fe00 0001')
const six = { ...four, addresses: [of('20010db8 00000000 00000000 00000014')] }

describe('an advertisement', () => {
  test('of IPv4 goes to 224.0.0.18 with a TTL of 255, and its checksum covers a pseudo header, as keepalived and tcpdump want it', () => {
    const frame = advertisement(four, mac, source4)
    expect(hex(frame.subarray(0, 14))).toBe('01005e000012' + '020000000001' + '0800')
    expect(hex(frame.subarray(14, 24))).toBe('45c0' + '0020' + '0000' + '0000' + 'ff70')
    expect(checksum(frame.subarray(14, 34))).toBe(0)
    expect(hex(frame.subarray(26, 34))).toBe('c0000202' + 'e0000012')
    expect(hex(frame.subarray(34, 40))).toBe('31' + '14' + '82' + '01' + '003c')
    expect(hex(frame.subarray(42))).toBe('c0000214')
    expect(checksum([...frame.subarray(26, 34), 0, 112, 0, 12], frame.subarray(34))).toBe(0)
  })
  test('of IPv6 goes to ff02::12 with a hop limit of 255, and its checksum covers the pseudo header', () => {
    const frame = advertisement(six, mac, source6)
    expect(hex(frame.subarray(0, 14))).toBe('333300000012' + '020000000001' + '86dd')
    expect(hex(frame.subarray(14, 22))).toBe('6c000000' + '0018' + '70' + 'ff')
    expect(hex(frame.subarray(38, 54))).toBe('ff020000000000000000000000000012')
    const message = frame.subarray(54)
    expect(checksum(pseudoHeader6(source6, frame.subarray(38, 54), message.length, 112), message)).toBe(0)
  })
  const address = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  test.each([4, 16] as const)('with addresses of %i bytes is read as it was written, also when the frame is filled up', length => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 4095 }), fc.array(address(length), { minLength: 1, maxLength: 5 }), address(length), address(6), fc.nat(40), (vrid, priority, centiseconds, addresses, source, sender, more) => {
      const frame = advertisement({ vrid, priority, interval: centiseconds * 10, addresses }, sender, source)
      expect(readAdvertisement(Uint8Array.of(...frame, ...new Uint8Array(more)))).toEqual({ family: length === 4 ? 4 : 6, mac: sender, source, vrid, priority, interval: centiseconds * 10, addresses })
    }), { numRuns: 200, seed: 1 })
  })
  test('says no longer interval than its field holds', () => {
    expect((readAdvertisement(advertisement({ ...four, interval: 99_999 }, mac, source4)) as Heard).interval).toBe(40_950)
  })
  test('of IPv4 is also taken with a checksum over the message alone, as RFC 9568 has it', () => {
    const frame = advertisement(four, mac, source4)
    frame.set([0, 0], 40)
    const sum = checksum(frame.subarray(34))
    frame.set([sum >> 8, sum & 0xff], 40)
    expect(readAdvertisement(frame)).toMatchObject({ vrid: 20, priority: 130 })
  })
})

describe('what is passed over', () => {
  /** The frame with some bytes replaced, and the checksum of its message made right again where `again`. */
  const broken = (frame: Uint8Array, changes: Readonly<Record<number, number>>, again = true): Uint8Array => {
    const made = Uint8Array.from(frame, (byte, index) => changes[index] ?? byte)
    if (!again) return made
    made.set([0, 0], 40)
    const sum = checksum(made.subarray(34))
    made.set([sum >> 8, sum & 0xff], 40)
    return made
  }
  const frame4 = advertisement(four, mac, source4)
  const frame6 = advertisement(six, mac, source6)
  test.each([
    ['another protocol', broken(frame4, { 23: 17 }), 'not-vrrp'],
    ['another EtherType', broken(frame4, { 12: 8, 13: 6 }), 'not-vrrp'],
    ['no IPv4', broken(frame4, { 14: 0x55 }), 'not-vrrp'],
    ['what came through a router', broken(frame4, { 22: 254 }), 'ttl'],
    ['what came through a router of IPv6', broken(frame6, { 21: 254 }, false), 'ttl'],
    ['a fragment', broken(frame4, { 20: 0x20 }), 'fragment'],
    ['a header shorter than one', broken(frame4, { 14: 0x44 }), 'truncated'],
    ['a datagram longer than the frame', broken(frame4, { 17: 200 }), 'truncated'],
    ['a datagram of IPv6 longer than the frame', broken(frame6, { 19: 200 }, false), 'truncated'],
    ['version 2', broken(frame4, { 34: 0x21 }), 'version'],
    ['another type', broken(frame4, { 34: 0x32 }), 'type'],
    ['no virtual router', broken(frame4, { 35: 0 }), 'vrid'],
    ['no address', broken(frame4, { 37: 0 }), 'length'],
    ['more addresses than there are', broken(frame4, { 37: 2 }), 'length'],
    ['a wrong checksum', broken(frame4, { 36: 131 }, false), 'checksum'],
    ['a wrong checksum of IPv6', broken(frame6, { 56: 131 }, false), 'checksum'],
    ['nothing', new Uint8Array(), 'not-vrrp']
  ])('%s', (_, frame, fault) => { expect(readAdvertisement(frame)).toBe(fault) })

  test('any bytes are read or passed over, never a throw, and never an address of another length', () => {
    const seeds = fc.constantFrom(frame4, frame6)
    fc.assert(fc.property(seeds, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }), fc.nat(90), (seed, changes, length) => {
      const frame = seed.slice(0, Math.max(0, length))
      for (const [at, byte] of changes) if (at < frame.length) frame[at] = byte
      const read = readAdvertisement(frame)
      if (typeof read !== 'string') for (const one of read.addresses) expect(one).toHaveLength(read.family === 4 ? 4 : 16)
    }), { numRuns: 5000, seed: 1 })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), bytes => { expect(readAdvertisement(bytes)).toBeDefined() }), { numRuns: 1000, seed: 1 })
  })
})
