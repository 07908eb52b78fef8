/** The setting read and judged, the interface chosen, the lifetime given. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { bytesOf, lifetime, sameNetwork } from '../../core/address/address.ts'
import type { Assigned, Link } from '../../core/address/address.ts'
import { choosePlaces, readFloating } from '../../core/vip/address.ts'

const thrown = (work: () => unknown): BedplateError => {
  try { work() } catch (error) { if (error instanceof BedplateError) return error; throw error }
  throw new TypeError('nothing was thrown')
}

describe('an address', () => {
  test.each([
    ['10.0.0.10', [10, 0, 0, 10]],
    ['::', new Array(16).fill(0)],
    ['fd00::10', [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]],
    ['2001:db8:1:2:3:4:5:6', [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]],
    ['1::', [0, 1, ...new Array(14).fill(0)]],
    ['::ffff:192.0.2.1', [...new Array(10).fill(0), 0xff, 0xff, 192, 0, 2, 1]]
  ])('%s is read', (text, bytes) => { expect([...bytesOf(text) ?? []]).toEqual(bytes) })
  test.each(['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', ':::', 'db1', '1:2:3'])('%j is none', text => { expect(bytesOf(text)).toBeUndefined() })
  test('of IPv6 has 16 bytes, however it is written', () => {
    fc.assert(fc.property(fc.ipV6(), text => { expect(bytesOf(text)).toHaveLength(16) }), { numRuns: 500, seed: 1 })
  })
  test('shares a network up to its prefix length, not beyond', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 0, max: 127 }), (bytes, bit) => {
      const other = Uint8Array.from(bytes, (byte, index) => index === bit >> 3 ? byte ^ 0x80 >> bit % 8 : byte)
      expect(sameNetwork(bytes, other, bit)).toBe(true)
      expect(sameNetwork(bytes, other, bit + 1)).toBe(false)
    }), { numRuns: 300, seed: 1 })
    expect(sameNetwork(Uint8Array.of(1, 2, 3, 4), new Uint8Array(16), 0)).toBe(false)
  })
})

describe('the setting', () => {
  const read = (addresses: readonly string[], roles = ['region']) => readFloating({ addresses }, roles)
  test('gives each address with its prefix length', () => {
    expect(read(['10.0.0.10/24', 'fd00::10/64'], ['region', 'rack']).map(({ text, family, prefix }) => [text, family, prefix])).toEqual([['10.0.0.10', 4, 24], ['fd00::10', 6, 64]])
    expect(read(['10.0.0.10/32', '10.0.0.0/31', 'fd00::/127'])).toHaveLength(3)
  })
  test.each([
    ['10.0.0.10', /not an address with its prefix length/], ['10.0.0.10/', /prefix length/], ['db1/24', /prefix length/], ['10.0.0.10/24/8', /prefix length/],
    ['10.0.0.10/33', /1 to 32/], ['10.0.0.10/0', /1 to 32/], ['fd00::1/129', /1 to 128/], ['127.0.0.1/8', /no address that a host/], ['224.0.0.18/24', /no address that a host/],
    ['0.0.0.0/8', /no address/], ['::1/64', /no address/], ['ff02::1/64', /no address/], ['10.0.0.0/24', /the network itself/], ['fd00::/64', /the network itself/], ['10.0.0.255/24', /broadcast/]
  ])('refuses %s, with its place', (text, why) => {
    const error = thrown(() => read(['192.0.2.1/24', text]))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(why)
    expect(error.message).toContain(`$.vip.addresses[1]: "${text}"`)
  })
  test('tells every fault at once, and that a rack has none', () => {
    expect(thrown(() => read(['x', 'fd00::10/64', 'fd00:0::10/64'], ['rack'])).message).toMatch(/\$\.vip: only a region.*\n.*addresses\[0\].*\n.*addresses\[2\].*given twice/)
  })
})

describe('the interface', () => {
  const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({ index, name, mac: Uint8Array.of(2, 0, 0, 0, 0, index), ethernet: true, up: true, ...more })
  const at = (link: number, text: string, prefix: number, lasting = true): Assigned => { const bytes = bytesOf(text) ?? new Uint8Array(); return { link, family: bytes.length === 4 ? 4 : 6, bytes, prefix, lasting } }
  const lo = link(1, 'lo', { ethernet: false, mac: new Uint8Array(6) })
  const links = [lo, link(2, 'eth0'), link(3, 'eth1')]
  const both = readFloating({ addresses: ['10.0.0.10/24', 'fd00::10/64'] }, ['region'])
  const assigned = [at(1, '127.0.0.1', 8), at(2, '10.0.0.1', 24), at(3, 'fd00::1', 64), at(3, '10.0.1.1', 24)]

  test('is the one with an address in the same network, for each address', () => {
    expect(choosePlaces(both, links, assigned).map(({ link }) => link.name)).toEqual(['eth0', 'eth1'])
  })
  test('that is named is taken, whatever addresses it has', () => {
    expect(choosePlaces(both, links, [], 'eth1').map(({ link }) => link.name)).toEqual(['eth1', 'eth1'])
  })
  test('is not found by the floating address itself, left there by an earlier process', () => {
    expect(thrown(() => choosePlaces(both, links, [at(2, '10.0.0.10', 32, false)])).message).toMatch(/no interface has an address in the network of 10\.0\.0\.10\/24.*vip\.interface.*eth0, eth1/)
  })
  test.each([
    ['is not there', links, assigned, 'eth9', /there is no interface eth9.*eth0, eth1/],
    ['is no Ethernet', links, assigned, 'lo', /lo is no Ethernet interface/],
    ['is down', [link(2, 'eth0', { up: false })], assigned, 'eth0', /eth0, where 10\.0\.0\.10 belongs, is down or has no carrier.*ip link set eth0 up/],
    ['is one of two that could be', links, [...assigned, at(3, '10.0.0.2', 24)], undefined, /eth0 and eth1 both have.*vip\.interface/]
  ] as const)('that %s is told, with what to do', (_what, present, given, wanted, why) => {
    const error = thrown(() => choosePlaces(both, present, given, wanted))
    expect(error.code).toBe('UNAVAILABLE')
    expect(error.message).toMatch(why)
  })
})

test('a lifetime is whole seconds, never past the trusted moment', () => {
  expect(lifetime(0, 2100)).toBe(2)
  expect(lifetime(150, 2100)).toBe(1)
  expect(lifetime(1101, 2100)).toBe(0)
  fc.assert(fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), fc.double({ min: -5000, max: 5000, noNaN: true }), (now, rest) => {
    const seconds = lifetime(now, now + rest)
    expect(Number.isInteger(seconds) && seconds >= 0).toBe(true)
    if (seconds > 0) expect(now + seconds * 1000).toBeLessThanOrEqual(now + rest + 0.001)
  }), { numRuns: 500, seed: 1 })
})
