/** Options by name and number: what operators write becomes bytes, what is wrong is named, and no bytes at all do harm. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { ipText } from '../../../../plugins/dhcp/v4/ipv4.ts'
import { kinds } from '../../../../plugins/dhcp/options/kinds.ts'
import type { Kind } from '../../../../plugins/dhcp/options/kinds.ts'
import { decodeOption, encodeCustom, encodeOption, optionByCode, optionByName, optionDefinitions, optionOf } from '../../../../plugins/dhcp/options/registry.ts'
import type { OptionValue } from '../../../../plugins/dhcp/options/registry.ts'

const hex = (option: string | number, value: OptionValue, kind?: string) => encodeOption(option, value, kind).toString('hex')
const refusal = (act: () => unknown): string => {
  try { act() } catch (error) { if (error instanceof BedplateError && error.code === 'OPTION_INVALID') return error.message; throw error }
  throw new Error('it was not refused')
}

describe('options are found', () => {
  it('by name, alias and number', () => {
    expect(optionByName('domain-search')).toMatchObject({ code: 119, kind: 'domain-list' })
    expect(optionByName('Domain_Name_Servers')?.code).toBe(6)
    expect(optionByName('mtu')?.code).toBe(26)
    expect(optionByCode(121)?.name).toBe('classless-static-routes')
    expect([optionOf(224), optionOf('224'), optionOf('option-224')]).toEqual(Array(3).fill({ code: 224, name: 'option-224', kind: 'bytes' }))
  })
  it('once each', () => {
    const names = optionDefinitions.flatMap(({ name, aliases = [] }) => [name, ...aliases])
    expect(new Set(names).size).toBe(names.length)
    expect(optionDefinitions.map(({ code }) => code)).toEqual([...new Set(optionDefinitions.map(({ code }) => code))].sort((a, b) => a - b))
  })
  it('every one of RFC 2132', () => {
    for (let code = 1; code <= 76; code++) expect(optionByCode(code), `option ${code}`).toBeDefined()
  })
  it('or refused, by what is wrong', () => {
    expect(refusal(() => optionOf('no-such'))).toBe('option no-such: there is no option of that name; write its number.')
    expect(refusal(() => optionOf(255))).toContain('numbered from 1 to 254')
    expect(refusal(() => optionOf(0))).toContain('numbered from 1 to 254')
  })
})

describe('what is written becomes bytes', () => {
  it.each([
    ['routers', '192.0.2.1, 192.0.2.2', 'c0000201c0000202'], ['routers', ['192.0.2.1'], 'c0000201'], ['interface-mtu', '1400', '0578'], ['interface-mtu', 9000, '2328'],
    ['time-offset', -3600, 'fffff1f0'], ['ip-forwarding', 'true', '01'], ['ip-forwarding', false, '00'], ['domain-name', 'example.org.', '6578616d706c652e6f7267'],
    ['static-routes', '10.0.0.1 192.0.2.1', '0a000001c0000201'], ['path-mtu-plateau-table', '68, 1500', '004405dc'], ['v4-captive-portal', 'https://x.example/', '68747470733a2f2f782e6578616d706c652f'],
    ['v6-only-preferred', 1800, '00000708'], ['wpad-url', 'http://p/wpad.dat', '687474703a2f2f702f777061642e646174'], ['pxelinux-magic', 'f1:0:74:7e', 'f100747e'], [224, '"text"', '74657874'], [224, '', ''],
    ['sip-servers', '192.0.2.9', '01c0000209'], ['sip-servers', 'a.b', '0001610162 00'.replaceAll(' ', '')], ['tftp-servers', ['192.0.2.2', '192.0.2.3'], 'c0000202c0000203']
  ] as const)('%s %j', (option, value, expected) => { expect(hex(option, value as OptionValue)).toBe(expected) })

  it('domain search, with the suffixes that repeat as pointers (RFC 3397 section 2, its example)', () => {
    expect(hex('domain-search', 'eng.apple.com, marketing.apple.com')).toBe('03656e67056170706c6503636f6d00096d61726b6574696e67c004')
    expect(decodeOption(119, Buffer.from('03656e67056170706c6503636f6d00096d61726b6574696e67c004', 'hex')).value).toEqual(['eng.apple.com', 'marketing.apple.com'])
  })
  it('routes with only the bytes that count (RFC 3442, its table)', () => {
    const value = '0.0.0.0/0 via 192.0.2.1, 10.0.0.0/8 192.0.2.1, 10.17.0.0/16 via 192.0.2.1, 10.27.129.0/24 via 192.0.2.1, 10.229.0.128/25 via 192.0.2.1, 10.198.122.47/32 via 192.0.2.1'
    expect(hex('classless-static-routes', value)).toBe('00 c0000201 080a c0000201 100a11 c0000201 180a1b81 c0000201 190ae50080 c0000201 200ac67a2f c0000201'.replaceAll(' ', ''))
    expect(hex('ms-classless-static-routes', [{ to: 'default', via: '0.0.0.0' }])).toBe('0000000000')
  })
  it('vendors\' options', () => {
    expect(hex('vendor-encapsulated-options', { 6: { type: 'u8', value: 8 }, 10: 'ff' })).toBe('0601080a01ff')
    expect(hex('vendor-encapsulated-options', '01:04:c0:00:02:01')).toBe('0104c0000201')
    expect(hex('vivso', { 343: { 1: { type: 'text', value: 'ab' } } })).toBe('00000157 04 0102 6162'.replaceAll(' ', ''))
    expect(hex('vivco', { 343: '"ab"' })).toBe('00000157 02 6162'.replaceAll(' ', ''))
    expect(decodeOption('vivso', Buffer.from('000001570401026162', 'hex')).value).toEqual({ 343: { 1: '6162' } })
  })
  it('of another type, where a site uses an option otherwise', () => { expect(hex(128, '192.0.2.1', 'ip')).toBe('c0000201') })
})

describe('what is wrong is named', () => {
  it.each([
    ['domain-search', 'a..b', 'option domain-search: "a..b" is not a domain name'], ['routers', '192.0.2.300', 'option routers: "192.0.2.300" is not an IPv4 address.'], ['routers', [], 'option routers: it needs at least one value.'],
    ['routers', 7, 'option routers: 7 is not an IPv4 address.'], ['interface-mtu', 70000, 'option interface-mtu: 70000 is not a whole number from 0 to 65535.'], ['interface-mtu', '1.5', '"1.5" is not a whole number'], ['ip-forwarding', 'yes', '"yes" is neither true nor false.'],
    ['static-routes', '10.0.0.1', 'it takes pairs of IPv4 addresses, and 1 values are none.'], ['domain-name', 'x'.repeat(64), 'is not a domain name'], ['domain-name', { a: 1 }, '{"a":1} is not a domain name'], ['root-path', 'a\nb', 'a text has no control characters.'], ['root-path', '', 'is not a text'],
    ['classless-static-routes', '10.0.0.1/8 via 192.0.2.1', '10.0.0.0/8 is the network of that address.'], ['classless-static-routes', '10.0.0.0/33 via 192.0.2.1', 'no IPv4 address'], ['classless-static-routes', 'nonsense', 'it needs a network and a router'], ['classless-static-routes', [7], '7 is not a route'],
    ['pxelinux-magic', 'xyz', 'is not bytes: write hexadecimal digits'], ['vendor-encapsulated-options', { 255: '00' }, '"255" is not the number of a sub-option'], ['vendor-encapsulated-options', { 6: { type: 'no', value: 8 } }, 'option vendor-encapsulated-options.6: a sub-option is bytes, or has a type'],
    ['vendor-encapsulated-options', { 6: { type: 'u8', value: 300 } }, 'option vendor-encapsulated-options.6: 300 is not'], ['vivso', { x: {} }, '"x" is not an enterprise number.'], ['vendor-encapsulated-options', {}, 'at least one sub-option'], ['root-path', 'x'.repeat(1401), 'has room for 1400']
  ] as const)('%s %j', (option, value, expected) => { expect(refusal(() => encodeOption(option, value as unknown as OptionValue))).toContain(expected) })
  it('options that are not the operator\'s', () => {
    expect(refusal(() => encodeCustom('dhcp-message-type', 5))).toBe('option dhcp-message-type: the server sets it itself.')
    expect(refusal(() => encodeCustom(82, '0102'))).toContain('relays set it')
    expect(refusal(() => encodeCustom(51, 60))).toContain('lease time of the subnet')
    expect(encodeCustom('ntp-servers', '192.0.2.1')).toEqual({ code: 42, bytes: Buffer.of(192, 0, 2, 1) })
  })
  it('a type that is none', () => { expect(refusal(() => encodeOption(224, 1, 'u128'))).toContain('"u128" is not a type; the types are ip, ip-list') })
})

const quad = fc.nat(0xffffffff).map(ipText)
const name = fc.array(fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/), { minLength: 1, maxLength: 6 }).map(labels => labels.join('.'))
const bytesText = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('hex'))
const number = (low: number, high: number) => fc.integer({ min: low, max: high })
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 12 })
const subs = fc.dictionary(number(1, 254).map(String), bytesText, { minKeys: 1, maxKeys: 5 })
const routes = some(fc.tuple(fc.nat(0xffffffff), fc.nat(32), quad).map(([address, bits, via]) => ({ to: `${ipText(bits === 0 ? 0 : (address & (0xffffffff << (32 - bits))) >>> 0)}/${bits}`, via })))
const values: Record<Kind, fc.Arbitrary<OptionValue>> = {
  ip: quad, 'ip-list': some(quad), 'ip-pairs': some(fc.tuple(quad, quad)).map(pairs => pairs.flat()), u8: number(0, 255), 'u8-list': some(number(0, 255)), u16: number(0, 65535), 'u16-list': some(number(0, 65535)),
  u32: number(0, 0xffffffff), i32: number(-0x80000000, 0x7fffffff), bool: fc.boolean(), text: fc.string({ minLength: 1, maxLength: 60 }), bytes: bytesText, empty: fc.constant(true), domain: name, 'domain-list': some(name),
  sip: fc.oneof(some(quad), some(name.filter(text => !/^[\d.]+$/.test(text)))), routes, encapsulated: subs,
  'vendor-classes': fc.dictionary(number(0, 0xffffffff).map(String), bytesText, { minKeys: 1, maxKeys: 4 }), 'vendor-options': fc.dictionary(number(0, 0xffffffff).map(String), subs, { minKeys: 1, maxKeys: 4 })
}

describe('every kind', () => {
  it.each(Object.keys(kinds) as Kind[])('%s: what is written is read again', kind => {
    fc.assert(fc.property(values[kind], value => { expect(kinds[kind].decode(kinds[kind].encode(value, 'x'), 'x')).toEqual(value) }), { numRuns: 300, seed: 11 })
  })
  it.each(Object.keys(kinds) as Kind[])('%s: any bytes at all are read, or refused with a sentence', kind => {
    const read = (bytes: Uint8Array) => { try { JSON.stringify(kinds[kind].decode(Buffer.from(bytes), 'x')) } catch (error) { if (!(error instanceof BedplateError)) throw error } }
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.array(fc.constantFrom(0, 1, 2, 4, 32, 63, 64, 0xc0, 0xff), { maxLength: 60 }).map(bytes => Uint8Array.from(bytes))), read), { numRuns: 1500, seed: 12 })
  })
  it.each(Object.keys(kinds) as Kind[])('%s: any value at all is written, or refused with a sentence', kind => {
    const write = (value: unknown) => { try { kinds[kind].encode(value as OptionValue, 'x') } catch (error) { if (!(error instanceof BedplateError)) throw error } }
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), fc.string(), fc.array(fc.string()), values[kind]), write), { numRuns: 800, seed: 13 })
  })
})
