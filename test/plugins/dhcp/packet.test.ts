/** The codec: what it writes it reads back, and nothing that comes in does more harm than one dropped packet. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { readEncapsulated } from '../../../plugins/dhcp/options/area.ts'
import { architectureOf, asksFor, clientIdOf, hostnameOf, ipxeOf, maxSizeOf, userClassesOf, vendorClassOf } from '../../../plugins/dhcp/options/client.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { linkOf } from '../../../plugins/dhcp/options/relay.ts'
import { readIp, readText, readU16, readU8 } from '../../../plugins/dhcp/options/values.ts'
import { bootOf } from '../../../plugins/dhcp/v4/boot-file.ts'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { informReply, leaseReply, nakReply } from '../../../plugins/dhcp/v4/reply.ts'
import { now, packetOf, viewOf } from './build.ts'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const byte = fc.integer({ min: 0, max: 255 })
const printable = (maxLength: number) => fc.string({ unit: fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code)), maxLength })
const packet: fc.Arbitrary<Packet> = fc.record({
  op: fc.constantFrom(1, 2), htype: byte, hops: byte, xid: u32, secs: fc.integer({ min: 0, max: 0xffff }), flags: fc.integer({ min: 0, max: 0xffff }),
  ciaddr: u32, yiaddr: u32, siaddr: u32, giaddr: u32,
  mac: fc.array(byte, { maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('hex').replace(/..(?!$)/g, '$&:')),
  sname: printable(63), file: printable(127),
  options: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 254 }).filter(code => code !== option.overload), fc.uint8Array({ maxLength: 700 }).map(bytes => Buffer.from(bytes))), { selector: entry => entry[0], maxLength: 12 }).map(entries => new Map(entries))
})
const plain = (packet: Packet) => ({ ...packet, options: Object.fromEntries([...packet.options].map(([code, value]) => [code, value.toString('hex')])) })

/** Everything that looks at a packet from outside. */
function everyReader (packet: Packet): void {
  const { options } = packet
  for (const value of options.values()) { readEncapsulated(value); readIp(value); readU8(value); readU16(value); readText(value) }
  clientIdOf(options); hostnameOf(options); userClassesOf(options); architectureOf(options); vendorClassOf(options); maxSizeOf(options); ipxeOf(options); asksFor(options, 1); linkOf(packet.giaddr, options)
  const view = viewOf({ free: ['10.0.0.100'] })
  decide(view, packet, now)
  const [subnet] = view.segment.subnets
  const boot = bootOf(packet, view.segment.address, 5248)
  const lease = { subnet: subnet!, address: 1, hostname: null, seconds: 600 }
  const limit = maxSizeOf(options) - 28
  for (const reply of [leaseReply('OFFER', view.segment, packet, lease, boot), leaseReply('ACK', view.segment, packet, lease, boot), informReply(view.segment, packet, subnet!, boot), nakReply(view.segment, packet, 'no')]) decode(encode(reply, limit))
}
/** Reads bytes from the network as a server does; gives the kind of the refusal, if any. */
function swallow (data: Buffer): string | undefined {
  try {
    everyReader(decode(data))
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect(error).toMatchObject({ code: 'PACKET_INVALID', details: { kind: expect.stringMatching(/^[a-z-]+$/) } })
    return (error as BedplateError).details.kind as string
  }
}
const header = (bytes: readonly (readonly [at: number, value: number])[], tail: Buffer): Buffer => {
  const data = Buffer.alloc(240)
  data.set([1, 1, 6], 0)
  data.writeUInt32BE(0x63825363, 236)
  for (const [at, value] of bytes) data[at] = value
  return Buffer.concat([data, tail])
}

describe('round trip', () => {
  it('what is written is read back the same', () => {
    fc.assert(fc.property(packet, packet => { expect(plain(decode(encode(packet)))).toEqual(plain(packet)) }), { numRuns: 2000, seed: 1 })
  })
  it('never takes more than its limit, keeps the first options that fit, and the relay\'s in any case', () => {
    fc.assert(fc.property(packet, fc.integer({ min: 548, max: 1472 }), (packet, limit) => {
      const { [option.relay]: relay, ...rest } = Object.fromEntries(packet.options)
      const options = new Map([...Object.entries(rest).map(([code, value]) => [Number(code), value] as const), ...relay === undefined ? [] : [[option.relay, relay.subarray(0, 200)] as const]])
      const data = encode({ ...packet, options }, limit)
      expect(data.length).toBeLessThanOrEqual(limit)
      const read = decode(data).options
      for (const [code, value] of read) expect(value).toEqual(options.get(code))
      expect(read.has(option.relay)).toBe(relay !== undefined)
    }), { numRuns: 1000, seed: 2 })
  })
  it('is never shorter than BOOTP\'s 300 bytes', () => { expect(encode(packetOf({ type: 'DISCOVER' })).length).toBe(300) })
})

describe('options in unusual places', () => {
  it('a long option comes in parts and is one (RFC 3396)', () => {
    const value = Buffer.alloc(600, 'x')
    const data = encode({ ...packetOf({}), options: new Map([[option.bootFile, value]]) })
    expect([data[240], data[241], data[240 + 257], data[241 + 257], data[240 + 514], data[241 + 514]]).toEqual([67, 255, 67, 255, 67, 90])
    expect(decode(data).options.get(option.bootFile)).toEqual(value)
  })
  it('the fields file and sname carry options when option 52 says so, file first', () => {
    const put = (at: number, ...bytes: number[]) => bytes.map((byte, index) => [at + index, byte] as const)
    const data = header([...put(108, 67, 2, 98, 98, 255), ...put(44, 67, 1, 99, 255)], Buffer.of(52, 1, 3, 67, 1, 97, 255))
    expect(decode(data)).toMatchObject({ file: '', sname: '' })
    expect(decode(data).options.get(67)?.toString()).toBe('abbc')
    const onlyFile = header([...put(108, 12, 1, 104, 255), ...put(44, 115, 0)], Buffer.of(52, 1, 1, 255))
    expect(decode(onlyFile)).toMatchObject({ file: '', sname: 's' })
    expect(decode(onlyFile).options.get(12)?.toString()).toBe('h')
  })
  it('pads are skipped, an empty option is one, and a missing end is tolerated', () => {
    expect([...decode(header([], Buffer.of(0, 0, 53, 1, 1, 0, 80, 0))).options.keys()]).toEqual([53, 80])
  })
  it('what follows the end is not read', () => {
    expect(decode(header([], Buffer.of(53, 1, 1, 255, 54, 99))).options.size).toBe(1)
  })
  it('the relay\'s option is written last', () => {
    const data = encode({ ...packetOf({}), options: new Map([[option.relay, Buffer.of(1, 1, 7)], [option.messageType, Buffer.of(1)]]) })
    expect(data.subarray(240, 249)).toEqual(Buffer.of(53, 1, 1, 82, 3, 1, 1, 7, 255))
  })
})

describe('what a client says about itself', () => {
  const options = (code: number, ...bytes: readonly (number | string)[]) => new Map([[code, Buffer.concat(bytes.map(part => typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.of(part)))]])
  it('user classes in both forms, and damaged ones as they are', () => {
    expect(userClassesOf(options(77, 'iPXE'))).toEqual(['iPXE'])
    expect(userClassesOf(options(77, 4, 'iPXE'))).toEqual(['iPXE'])
    expect(userClassesOf(options(77, 3, 'abc', 2, 'de'))).toEqual(['abc', 'de'])
    expect(userClassesOf(options(77, 0))).toEqual(['\0'])
    expect(userClassesOf(options(77))).toEqual([])
  })
  it('iPXE by option 175 or user class, with what it can do', () => {
    expect(ipxeOf(options(175, 0x13, 1, 1))).toEqual({ http: true })
    expect(ipxeOf(options(175, 0x21, 1, 1))).toEqual({ http: false })
    expect(ipxeOf(options(175, 0xff))).toEqual({ http: true })
    expect(ipxeOf(options(77, 'iPXE'))).toEqual({ http: true })
    expect(ipxeOf(options(77, 'other'))).toBeUndefined()
  })
  it('hostnames a name server can carry, and no others', () => {
    expect(hostnameOf(options(12, 'Node-1'))).toBe('node-1')
    expect(hostnameOf(options(12, 'node', 0))).toBe('node')
    for (const bad of ['', '-a', 'a_b', 'a.b', 'x'.repeat(64), '../etc']) expect(hostnameOf(options(12, bad))).toBeNull()
  })
  it('or by option 81 (RFC 4702), as in DNS or as text, where option 12 is not sent', () => {
    expect(hostnameOf(options(81, 4, 0, 0, 4, 'Node', 7, 'example', 3, 'org', 0))).toBe('node')
    expect(hostnameOf(options(81, 4, 0, 0, 4, 'node'))).toBe('node')
    expect(hostnameOf(options(81, 0, 0, 0, 'node.example.org'))).toBe('node')
    expect(hostnameOf(new Map([...options(12, 'one'), ...options(81, 0, 0, 0, 'two')]))).toBe('one')
    for (const bad of [[4, 0, 0], [4, 0, 0, 9, 'a.b'], [4, 0, 0, 200, 'abc'], [0, 0, 0, '.'], [4, 0, 0, 0]]) hostnameOf(options(81, ...bad))
    expect(hostnameOf(options(81, 4, 0, 0, 0))).toBeNull()
  })
  it('how much it can take: never less than 576 bytes, never more than a frame', () => {
    expect(maxSizeOf(new Map())).toBe(576)
    expect(maxSizeOf(options(57, 0, 20))).toBe(576)
    expect(maxSizeOf(options(57, 5, 0xc0))).toBe(1472)
    expect(maxSizeOf(options(57, 0xff, 0xff))).toBe(1500)
  })
  it('values of the wrong length count as not sent', () => {
    expect([readIp(Buffer.of(1, 2, 3)), readU8(Buffer.of(1, 2)), readU16(Buffer.of(1)), readText(undefined)]).toEqual([undefined, undefined, undefined, undefined])
  })
})

describe('hostile input', () => {
  it.each([
    ['short', Buffer.alloc(239)], ['short', Buffer.alloc(0)], ['operation', header([[0, 3]], Buffer.alloc(4))], ['cookie', header([[236, 0]], Buffer.alloc(4))],
    ['hardware', header([[2, 17]], Buffer.alloc(4))], ['option-truncated', header([], Buffer.of(53))], ['option-truncated', header([], Buffer.of(53, 5, 1))],
    ['option-truncated', header([[108, 12], [109, 200]], Buffer.of(52, 1, 1, 255))]
  ])('is refused as %s', (kind, data) => { expect(swallow(data)).toBe(kind) })

  it('any bytes at all', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), bytes => { swallow(Buffer.from(bytes)) }), { numRuns: 3000, seed: 3 })
  })
  it('any bytes where options should be', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ minLength: 192, maxLength: 192 }), fc.integer({ min: 0, max: 4 }), (bytes, fields, overload) => {
      const data = header([], Buffer.concat([Buffer.of(53, 1, 1, 52, 1, overload), Buffer.from(bytes)]))
      data.set(fields, 44)
      data.set([0x52, 0x54, 0, 0, 0, 1], 28)
      swallow(data)
    }), { numRuns: 4000, seed: 4 })
  })
  it('real packets, damaged', () => {
    const good = encode(packetOf({ type: 'DISCOVER', vendor: 'PXEClient:Arch:00007:UNDI:003001', options: [[93, Buffer.of(0, 7)], [97, Buffer.alloc(17)], [77, Buffer.from('iPXE')], [175, Buffer.of(0x13, 1, 1)], [82, Buffer.of(1, 2, 3, 4)]] }))
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), byte), { minLength: 1, maxLength: 8 }), fc.nat(good.length), (edits, length) => {
      const data = Buffer.from(good.subarray(0, length))
      for (const [at, value] of edits) if (at < length) data[at] = value
      swallow(data)
    }), { numRuns: 4000, seed: 5 })
  })
  it('does not look beyond the packet: bytes behind it in the same memory change nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.uint8Array({ minLength: 300, maxLength: 300 }), (options, behind) => {
      const data = header([], Buffer.from(options))
      const read = (view: Buffer) => { try { return plain(decode(view)) } catch (error) { return String(error) } }
      expect(read(Buffer.concat([data, Buffer.from(behind)]).subarray(0, data.length))).toEqual(read(data))
    }), { numRuns: 1000, seed: 6 })
  })
})
