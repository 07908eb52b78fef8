/** What `encode` writes, byte by byte: held to a slow one that writes down the format, at its limit and one byte beyond, and for every length of hardware address. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { packetOf } from './build.ts'

type Entry = readonly [code: number, value: Buffer]

/** A message and its options as RFC 2131 section 2 draws them. */
function drawn ({ op, htype, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, mac, sname, file, options }: Packet): Buffer {
  const number = (bytes: number, value: number): Buffer => Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex')
  const field = (bytes: number, value: Buffer): Buffer => Buffer.concat([value, Buffer.alloc(bytes - value.length)])
  const chaddr = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const written = ([code, value]: Entry): Buffer => {
    const parts = [Buffer.concat([Buffer.of(code, Math.min(255, value.length)), value.subarray(0, 255)])]
    return value.length <= 255 ? parts[0]! : Buffer.concat([...parts, written([code, value.subarray(255)])])
  }
  const real = [...options].filter(([code]) => code !== option.pad && code !== option.end)
  const ordered = [...real.filter(([code]) => code !== option.relay), ...real.filter(([code]) => code === option.relay)]
  const all = Buffer.concat([
    Buffer.of(op, htype, chaddr.length, hops), number(4, xid), number(2, secs), number(2, flags), number(4, ciaddr), number(4, yiaddr), number(4, siaddr), number(4, giaddr),
    field(16, chaddr), field(64, Buffer.from(sname, 'latin1')), field(128, Buffer.from(file, 'latin1')), Buffer.of(0x63, 0x82, 0x53, 0x63), ...ordered.map(written), Buffer.of(option.end)
  ])
  return field(Math.max(300, all.length), all)
}

const byte = fc.nat(255)
const u32 = fc.nat(0xffffffff)
const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' }).map(data => Buffer.from(data))
const printable = (maxLength: number) => fc.string({ unit: fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code)), maxLength, size: 'max' })
const lengths = fc.oneof({ weight: 4, arbitrary: bytes(20) }, { weight: 1, arbitrary: bytes(255) }, { weight: 1, arbitrary: bytes(600) })
const plainOption = fc.tuple(fc.integer({ min: 0, max: 255 }).filter(code => code !== option.overload && code !== option.relay), lengths)
const relayOption = fc.tuple(fc.constant<number>(option.relay), bytes(255))
const options = fc.tuple(fc.array(plainOption, { maxLength: 16, size: 'max' }), fc.option(relayOption), fc.nat(16)).map(([list, relay, at]) => new Map<number, Buffer>(relay === null ? list : [...list.slice(0, at), relay, ...list.slice(at)]))
const macs = fc.uint8Array({ maxLength: 16, size: 'max' }).map(data => [...data].map(value => value.toString(16).padStart(2, '0')).join(':'))
const packets: fc.Arbitrary<Packet> = fc.record({
  op: fc.constantFrom(1, 2), htype: byte, hops: byte, xid: u32, secs: fc.nat(0xffff), flags: fc.nat(0xffff), ciaddr: u32, yiaddr: u32, siaddr: u32, giaddr: u32, mac: macs, sname: printable(63), file: printable(127), options
})
/** As it is read again: pad and end options were never options. */
const read = (packet: Packet) => ({ ...packet, options: new Map([...packet.options].filter(([code]) => code !== option.pad && code !== option.end).sort(([one], [two]) => one - two).map(([code, value]) => [code, value.toString('hex')])) })

describe('a message that fits', () => {
  it('is written as the format is drawn, and read back the same', () => {
    fc.assert(fc.property(packets, packet => {
      const data = encode(packet)
      expect(data.equals(drawn(packet))).toBe(true)
      expect(read(decode(data))).toEqual(read(packet))
    }), { numRuns: 1500, seed: 11 })
  })
  it('exactly is written the same as without a limit', () => {
    fc.assert(fc.property(packets, packet => {
      const whole = encode(packet)
      expect(encode(packet, Math.max(300, whole.length)).equals(whole)).toBe(true)
    }), { numRuns: 500, seed: 12 })
  })
  it('is in memory of its own: the one before is not written over', () => {
    const first = encode(packetOf({ type: 'DISCOVER' }))
    const copy = Buffer.from(first)
    encode(packetOf({ type: 'REQUEST', mac: 'ff:ff:ff:ff:ff:ff', options: [[option.vendorClass, Buffer.alloc(200, 0xff)]] }))
    expect(first.equals(copy)).toBe(true)
  })
  it.each([['pad', option.pad], ['end', option.end]])('has no option called %s, wherever it stands', (_name, code) => {
    const [type, host] = [[option.messageType, Buffer.of(1)], [option.hostname, Buffer.from('a')]] as const
    const plain = encode({ ...packetOf({}), options: new Map<number, Buffer>([type, host]) })
    const none = [code, Buffer.alloc(300, 7)] as const
    for (const list of [[none, type, host], [type, none, host], [type, host, none]]) {
      for (const limit of [undefined, 300]) expect(encode({ ...packetOf({}), options: new Map<number, Buffer>(list) }, limit).equals(plain)).toBe(true)
    }
  })
})

describe('at its limit', () => {
  const type: Entry = [option.messageType, Buffer.of(2)]
  const filling: Entry = [option.vendorClass, Buffer.alloc(200, 1)]
  const last: Entry = [option.hostname, Buffer.alloc(40, 2)]
  const relay: Entry = [option.relay, Buffer.of(1, 2, 3, 4)]
  const full = { sname: 's'.repeat(63), file: 'f'.repeat(127) }
  const codes = (data: Buffer): number[] => [...decode(data).options.keys()]

  describe.each<readonly [string, readonly Entry[], readonly number[]]>([['without a relay', [type, filling, last], []], ['with a relay\'s option', [relay, type, filling, last], [option.relay]]])('%s', (_case, list, tail) => {
    const packet = (more: Partial<Packet> = {}): Packet => ({ ...packetOf({}), ...more, options: new Map(list) })
    const size = 240 + list.reduce((sum, [, { length }]) => sum + 2 + length, 0) + 1
    it('all options are in their place', () => {
      const data = encode(packet(), size)
      expect([data.length, codes(data)]).toEqual([size, [type[0], filling[0], last[0], ...tail]])
      expect(data.equals(drawn(packet()))).toBe(true)
    })
    it('one byte beyond, the last one goes into an empty field, and nothing is lost', () => {
      const data = encode(packet(), size - 1)
      expect(data.length).toBeLessThan(size)
      expect(data[108]).toBe(last[0])
      const { options } = decode(data)
      expect([...options.keys()]).toEqual([type[0], filling[0], option.overload, ...tail, last[0]])
      for (const [code, value] of list) expect(options.get(code)).toEqual(value)
    })
    it('one byte beyond with both fields in use, the last one is left out', () => {
      const data = encode(packet(full), size - 1)
      expect(data.equals(drawn({ ...packet(full), options: new Map(list.filter(([code]) => code !== last[0])) }))).toBe(true)
    })
  })
  it('one byte beyond, no message is longer than its limit, and what is in it is whole', () => {
    fc.assert(fc.property(packets, packet => {
      const relay = packet.options.get(option.relay)
      const smallest = Math.max(300, 241 + (relay === undefined ? 0 : relay.length + 2))
      const limit = Math.max(smallest, encode(packet).length - 1)
      const data = encode(packet, limit)
      expect(data.length).toBeLessThanOrEqual(limit)
      const { options } = decode(data)
      expect(options.get(option.relay)?.toString('hex')).toBe(relay?.toString('hex'))
      for (const [code, value] of options) if (code !== option.overload) expect(value.toString('hex')).toBe(packet.options.get(code)?.toString('hex'))
    }), { numRuns: 500, seed: 13 })
  })
})

describe('a hardware address', () => {
  const text = (length: number, first = 0xa0): string => Array.from({ length }, (_, index) => ((first + 0x1b * index) % 256).toString(16).padStart(2, '0')).join(':')
  it.each(Array.from({ length: 17 }, (_, length) => [length]))('of %i bytes is written and read as it is', length => {
    const data = encode(packetOf({ mac: text(length) }))
    expect([data[2], data.toString('hex', 28, 44)]).toEqual([length, text(length).replaceAll(':', '').padEnd(32, '0')])
    expect(decode(data).mac).toBe(text(length))
  })
  it('in upper case is the same one', () => { expect(decode(encode(packetOf({ mac: '0A:1B:2C:DD:EE:FF' }))).mac).toBe('0a:1b:2c:dd:ee:ff') })
  it('of more than sixteen bytes is cut to its field', () => { expect(decode(encode(packetOf({ mac: text(20) }))).mac).toBe(text(16)) })
  it('has each byte in both its digits', () => {
    for (let value = 0; value < 256; value++) for (const length of [5, 6, 7]) {
      const mac = Array.from({ length }, (_, index) => ((value + index) % 256).toString(16).padStart(2, '0')).join(':')
      expect(decode(encode(packetOf({ mac }))).mac).toBe(mac)
    }
  })
})
