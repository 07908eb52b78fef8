/** IP and MAC arithmetic: every spelling in, one spelling out, and nothing hostile gets through or throws anything else. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { bits, compare, contains, formatCidr, formatIp, hostsOf, isLinkLocal, lastOf, next, normaliseIp, normaliseMac, overlap, parseCidr, parseIp } from '../../../plugins/network/address.ts'
import type { Cidr, Ip } from '../../../plugins/network/address.ts'

const numRuns = 500
const word = fc.oneof({ weight: 2, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 0xffffn }) })
const v4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value): Ip => ({ family: 4, value }))
const v6 = fc.array(word, { minLength: 8, maxLength: 8 }).map((words): Ip => ({ family: 6, value: words.reduce((value, part) => value << 16n | part, 0n) }))
const ip = fc.oneof(v4, v6)
const cidr = fc.tuple(ip, fc.integer({ min: 0, max: 128 })).map(([{ family, value }, wish]): Cidr => {
  const length = wish % (bits(family) + 1)
  const host = BigInt(bits(family) - length)
  return { family, value: value >> host << host, length }
})
const refused = (work: () => unknown): boolean => {
  try { work() } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect(error).toMatchObject({ code: 'NETWORK_INVALID' })
    return true
  }
  return false
}

describe('addresses', () => {
  it('come back as they went out', () => {
    fc.assert(fc.property(ip, address => { expect(parseIp(formatIp(address))).toEqual(address) }), { numRuns })
  })

  it.each([
    ['10.0.0.1', '10.0.0.1'], ['255.255.255.255', '255.255.255.255'],
    ['::', '::'], ['::1', '::1'], ['1::', '1::'], ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'], ['2001:db8::0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], ['1:0:0:2:0:0:0:3', '1:0:0:2::3'], ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'], ['::ffff:a00:1', '::ffff:10.0.0.1'], ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'], ['fe80:0000::00aa', 'fe80::aa'], ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0']
  ])('%s is written %s (RFC 5952)', (given, written) => { expect(normaliseIp(given)).toBe(written) })

  it.each(['', '.', '10.0.0', '10.0.0.0.0', '10.0.0.256', '010.0.0.1', '10.0.0.1 ', '0x0a.0.0.1', '1e1.0.0.0', '-1.0.0.0', '10.0.0.1/24', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '12345::', 'g::', 'fe80::1%eth0', '::10.0.0', '10.0.0.1::', '::1.2.3.4:5', '١.٠.٠.٠', 'localhost'])('%j is refused', text => {
    expect(refused(() => parseIp(text))).toBe(true)
  })

  it('throw nothing but NETWORK_INVALID, however hostile', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789abcdef:./ ') , maxLength: 60 }), ip.map(formatIp).chain(text => fc.nat(text.length).map(at => text.slice(0, at) + text.slice(at + 1)))), text => {
      if (!refused(() => parseIp(text))) expect(parseIp(normaliseIp(text))).toEqual(parseIp(text))
      if (!refused(() => parseCidr(text))) expect(formatCidr(parseCidr(formatCidr(parseCidr(text))))).toBe(formatCidr(parseCidr(text)))
      refused(() => normaliseMac(text))
    }), { numRuns: 2000 })
  })

  it('are in order, each followed by the next', () => {
    fc.assert(fc.property(ip, ip, (a, b) => {
      expect(Math.sign(compare(a, b))).toBe(-Math.sign(compare(b, a)) || 0)
      expect(compare(a, a)).toBe(0)
      const after = next(a)
      if (after !== undefined) expect(compare(a, after)).toBeLessThan(0)
      else expect(normaliseIp(formatIp(a))).toMatch(/^(255\.255\.255\.255|ffff(:ffff){7})$/)
    }), { numRuns })
  })

  it('know link-local ones', () => {
    expect(['169.254.1.1', 'fe80::1', 'febf::1'].map(text => isLinkLocal(parseIp(text)))).toEqual([true, true, true])
    expect(['169.253.255.255', '10.0.0.1', 'fec0::1', '2001:db8::1'].map(text => isLinkLocal(parseIp(text)))).toEqual([false, false, false, false])
  })
})

describe('prefixes', () => {
  it('come back as they went out', () => {
    fc.assert(fc.property(cidr, prefix => { expect(parseCidr(formatCidr(prefix))).toEqual(prefix) }), { numRuns })
  })

  it('hold what lies between their ends, and nothing else', () => {
    fc.assert(fc.property(cidr, ip, (prefix, address) => {
      const inside = address.family === prefix.family && compare(prefix, address) <= 0 && compare(address, lastOf(prefix)) <= 0
      expect(contains(prefix, address)).toBe(inside)
      const { first, last } = hostsOf(prefix)
      expect(contains(prefix, first) && contains(prefix, last) && compare(first, last) <= 0).toBe(true)
    }), { numRuns })
  })

  it('overlap exactly when they share an address', () => {
    fc.assert(fc.property(cidr, cidr, fc.boolean(), (a, b, nested) => {
      const other = nested && a.length > 0 ? parseCidr(formatCidr({ ...a, length: a.length - 1, value: a.value >> BigInt(bits(a.family) - a.length + 1) << BigInt(bits(a.family) - a.length + 1) })) : b
      const shared = a.family === other.family && compare(a, lastOf(other)) <= 0 && compare(other, lastOf(a)) <= 0
      expect(overlap(a, other)).toBe(shared)
      expect(overlap(other, a)).toBe(shared)
    }), { numRuns })
  })

  it.each([
    ['10.0.0.5/24', 'the subnet that holds this address is 10.0.0.0/24'], ['2001:db8::1/64', '2001:db8::/64'],
    ['10.0.0.0', 'write it as address/length'], ['10.0.0.0/33', 'at most 32'], ['::/129', 'at most 128'], ['10.0.0.0/', 'not a subnet'], ['10.0.0.0/08', 'not a subnet'], ['10.0.0.0/-1', 'not a subnet'], ['10.0.0.0/24/1', 'not a subnet'], ['10.0.0.0/255.255.255.0', 'not a subnet']
  ])('%j is refused, saying %j', (text, sentence) => { expect(() => parseCidr(text)).toThrow(sentence) })

  it.each([
    ['10.0.0.0/24', '10.0.0.1', '10.0.0.254'], ['10.0.0.0/30', '10.0.0.1', '10.0.0.2'], ['10.0.0.0/31', '10.0.0.0', '10.0.0.1'], ['10.0.0.7/32', '10.0.0.7', '10.0.0.7'], ['0.0.0.0/0', '0.0.0.1', '255.255.255.254'],
    ['2001:db8::/64', '2001:db8::1', '2001:db8::ffff:ffff:ffff:ffff'], ['2001:db8::/127', '2001:db8::', '2001:db8::1'], ['::1/128', '::1', '::1']
  ])('%s has hosts from %s to %s', (text, first, last) => {
    const hosts = hostsOf(parseCidr(text))
    expect([formatIp(hosts.first), formatIp(hosts.last)]).toEqual([first, last])
  })
})

describe('MAC addresses', () => {
  it('are one, in every common form', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.boolean(), (octets, upper) => {
      const pairs = [...octets].map(octet => octet.toString(16).padStart(2, '0'))
      const bare = pairs.join('')
      for (const form of [pairs.join(':'), pairs.join('-'), bare, (bare.match(/.{4}/g) ?? []).join('.')]) expect(normaliseMac(upper ? form.toUpperCase() : form)).toBe(pairs.join(':'))
    }), { numRuns: 100 })
  })

  it.each(['', '52:54:00:12:34', '52:54:00:12:34:5', '52:54:00:12:34:56:78', '52:54-00:12:34:56', '5254.0012:3456', '5254-0012-3456', '52540012345', '5254001234567', '52:54:00:12:34:5g', ' 525400123456', '52.54.00.12.34.56'])('%j is refused', text => {
    expect(refused(() => normaliseMac(text))).toBe(true)
  })
})
