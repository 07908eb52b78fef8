/** The frames, byte for byte, and what is read of others'. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFloating } from '../../core/vip/address.ts'
import type { FloatingAddress } from '../../core/address/address.ts'
import { announcements, claimant, etherTypeOf, icmpChecksum, probe } from '../../core/address/announcement.ts'

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')
const of = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
const [four, six] = readFloating({ addresses: ['10.0.0.10/24', 'fd00::10/64'] }, ['region']) as [FloatingAddress, FloatingAddress]
const mac = of('02 00 00 00 00 01')
const other = of('02 00 00 00 00 02')

describe('what is sent', () => {
  test('is a gratuitous ARP, as request and as reply (RFC 5227 section 3)', () => {
    const [request, reply, ...rest] = announcements(four, mac)
    expect(rest).toEqual([])
    expect(hex(request)).toBe('ffffffffffff' + '020000000001' + '0806' + '0001' + '0800' + '0604' + '0001' + '020000000001' + '0a00000a' + '000000000000' + '0a00000a')
    expect(hex(reply)).toBe('ffffffffffff' + '020000000001' + '0806' + '0001' + '0800' + '0604' + '0002' + '020000000001' + '0a00000a' + 'ffffffffffff' + '0a00000a')
  })
  test('is an unsolicited neighbour advertisement with the override flag (RFC 4861 section 7.2.6)', () => {
    const [frame, ...rest] = announcements(six, mac)
    expect(rest).toEqual([])
    const vip = 'fd000000000000000000000000000010'
    expect(hex(frame)).toBe('333300000001' + '020000000001' + '86dd' + '60000000' + '0020' + '3a' + 'ff' + vip + 'ff020000000000000000000000000001' + '8800' + hex(frame?.subarray(56, 58)) + '20000000' + vip + '0201' + '020000000001')
    // The words of the pseudo header and the message, added with the carry brought round; its complement.
    expect(hex(frame?.subarray(56, 58))).toBe((0xffff - [0xfd00, 0x10, 0xff02, 1, 0x20, 0x3a, 0x8800, 0x2000, 0xfd00, 0x10, 0x0201, 0x0200, 1].reduce((sum, word) => { const next = sum + word; return next > 0xffff ? next - 0xffff : next })).toString(16).padStart(4, '0'))
  })
  test('to ask is an ARP probe, and a solicitation from nobody to the solicited node (RFC 4862 section 5.4.2)', () => {
    expect(hex(probe(four, mac))).toBe('ffffffffffff' + '020000000001' + '0806' + '0001080006040001' + '020000000001' + '00000000' + '000000000000' + '0a00000a')
    const frame = probe(six, mac)
    expect(hex(frame.subarray(0, 56))).toBe('3333ff000010' + '020000000001' + '86dd' + '60000000' + '0018' + '3a' + 'ff' + '00'.repeat(16) + 'ff0200000000000000000001ff000010' + '8700')
    expect(hex(frame.subarray(58))).toBe('00000000' + 'fd000000000000000000000000000010')
    expect([etherTypeOf(four), etherTypeOf(six)]).toEqual([0x0806, 0x86dd])
  })
  test('has a checksum that gives 0 over everything, for any message', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ minLength: 4, maxLength: 99 }), (source, destination, message) => {
      message.set([0, 0], 2)
      const sum = icmpChecksum(source, destination, message)
      message.set([sum >> 8, sum & 0xff], 2)
      expect(icmpChecksum(source, destination, message)).toBe(0)
    }), { numRuns: 500, seed: 1 })
  })
})

describe('whoever claims the address', () => {
  const answer = of('020000000001 020000000002 0806 0001 0800 06 04 0002 020000000002 0a00000a 020000000001 00000000')
  test('by an ARP reply, a request from it, or an announcement is named', () => {
    expect(claimant(answer, four, mac)).toBe('02:00:00:00:00:02')
    for (const frame of announcements(four, other)) expect(claimant(frame, four, mac)).toBe('02:00:00:00:00:02')
    expect(claimant(Uint8Array.of(...answer, ...new Uint8Array(18)), four, mac)).toBe('02:00:00:00:00:02') // padded to the shortest frame
  })
  test('by an advertisement is named', () => { expect(announcements(six, other).map(frame => claimant(frame, six, mac))).toEqual(['02:00:00:00:00:02']) })
  test('is not ourselves, nor one that only asks, nor one that has another address', () => {
    expect([four, six].flatMap(one => announcements(one, mac).map(frame => claimant(frame, one, mac)))).toEqual([undefined, undefined, undefined])
    for (const one of [four, six]) expect(claimant(probe(one, other), one, mac)).toBeUndefined()
    const [near4, near6] = readFloating({ addresses: ['10.0.0.11/24', 'fd00::11/64'] }, ['region']) as [FloatingAddress, FloatingAddress]
    expect(claimant(answer, near4, mac)).toBeUndefined()
    for (const frame of announcements(six, other)) expect(claimant(frame, near6, mac)).toBeUndefined()
  })
  test('with a damaged, a forwarded or a cut off advertisement is not believed', () => {
    const [frame = new Uint8Array()] = announcements(six, other)
    for (const [offset, value] of [[56, 1], [21, 64], [20, 17], [54, 135], [19, 20]] as const) expect(claimant(Uint8Array.from(frame, (byte, at) => at === offset ? byte ^ value : byte), six, mac)).toBeUndefined()
    for (let length = 0; length < frame.length; length++) expect(claimant(frame.subarray(0, length), six, mac)).toBeUndefined()
  })
  test('is read from any bytes without a throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x0806, 0x86dd), (frame, type) => {
      if (frame.length > 13) frame.set([type >> 8, type & 0xff], 12)
      for (const one of [four, six]) expect([undefined, 'string']).toContain(typeof claimant(frame, one, mac) === 'string' ? 'string' : undefined)
    }), { numRuns: 500, seed: 1 })
  })
})
