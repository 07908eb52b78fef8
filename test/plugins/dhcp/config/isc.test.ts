/** What is read out of a dhcpd.conf, what is named as not taken, and that no text does harm. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { customOption } from '../../../../plugins/dhcp/config/custom.ts'
import { idle, reasons } from '../../../../plugins/dhcp/config/isc-reasons.ts'
import { readIsc } from '../../../../plugins/dhcp/config/isc.ts'

const lines = (text: string) => readIsc(text).left.map(({ line, what, why }) => `${line}: ${what}: ${why}`)

describe('a dhcpd.conf', () => {
  it('gives options with their places, subnets with ranges and lease times, hosts with addresses', () => {
    const plan = readIsc(`
      # the office
      authoritative; default-lease-time 3600;
      option domain-name "example.org"; option domain-search "a.example", "b.example";
      subnet 10.0.0.0 netmask 255.255.255.0 {
        range 10.0.0.100 10.0.0.150; range 10.0.0.200;
        option routers 10.0.0.1; option ntp-servers 10.0.0.2, 10.0.0.3;
        host printer { hardware ethernet 2:0:0:0:0:A; fixed-address 10.0.0.9; option host-name "laser"; }
      }
      subnet 10.1.0.0 netmask 255.255.0.0 { default-lease-time 60; }
    `)
    expect(plan.left).toEqual([])
    expect(plan.subnets).toEqual([
      { line: 5, cidr: '10.0.0.0/24', leaseSeconds: 3600, ranges: [{ line: 6, start: '10.0.0.100', end: '10.0.0.150' }, { line: 6, start: '10.0.0.200', end: '10.0.0.200' }] },
      { line: 10, cidr: '10.1.0.0/16', leaseSeconds: 60, ranges: [] }
    ])
    expect(plan.hosts).toEqual([{ line: 8, name: 'printer', mac: '02:00:00:00:00:0a', clientId: null, addresses: ['10.0.0.9'] }])
    expect(plan.options.map(({ line, place, code, value }) => [line, place.kind, code, value])).toEqual([
      [4, 'global', 15, 'example.org'], [4, 'global', 119, ['a.example', 'b.example']],
      [7, 'subnet', 3, '10.0.0.1'], [7, 'subnet', 42, ['10.0.0.2', '10.0.0.3']], [8, 'host', 12, 'laser']
    ])
  })
  it('may define options of its own, by number and type', () => {
    const plan = readIsc('option phones code 150 = array of ip-address;\noption rfc3442 code 121 = array of integer 8;\noption phones 10.0.0.5, 10.0.0.6;\noption rfc3442 24, 10,0,1, 10,0,0,1;\noption blob code 224 = string; option blob 0a:0B; option blob "text";')
    expect(plan.left).toEqual([])
    expect(plan.options.map(({ code, type, value }) => [code, type, value])).toEqual([
      [150, 'ip-list', ['10.0.0.5', '10.0.0.6']], [121, 'u8-list', ['24', '10', '0', '1', '10', '0', '0', '1']], [224, 'bytes', '0a:0B'], [224, 'bytes', '"text"']
    ])
  })
  it('hands what a group says to its hosts, and what a shared network says to its subnets', () => {
    const plan = readIsc(`group { option host-name "x"; filename "a.efi"; next-server 10.0.0.7;
      host a { hardware ethernet 02:00:00:00:00:01; } group { option ntp-servers 10.0.0.1; host b { option dhcp-client-identifier "bee"; fixed-address 10.0.0.5; } } }
      shared-network lan { option ntp-servers 10.0.0.9; default-lease-time 90;
        subnet 10.0.0.0 netmask 255.255.255.0 { } subnet 10.0.1.0 netmask 255.255.255.0 { default-lease-time 60; }
        pool { range 10.0.1.10 10.0.1.20; } }`)
    expect(plan.left).toEqual([])
    expect(plan.hosts).toMatchObject([{ name: 'a', mac: '02:00:00:00:00:01' }, { name: 'b', clientId: '626565', addresses: ['10.0.0.5'] }])
    expect(plan.options.map(({ place, code }) => `${place.kind === 'host' ? place.host : place.kind === 'subnet' ? place.cidr : ''} ${code}`)).toEqual(['0 12', '0 67', '0 66', '1 12', '1 67', '1 66', '1 42', '10.0.0.0/24 42', '10.0.1.0/24 42'])
    expect(plan.subnets).toMatchObject([{ leaseSeconds: 90, ranges: [] }, { leaseSeconds: 60, ranges: [{ start: '10.0.1.10', end: '10.0.1.20' }] }])
  })
})

describe('the values of options', () => {
  it.each([
    ['option domain-search "a.example", "b.example";', '0161076578616d706c650001'],
    ['option domain-name "lab.example";', Buffer.from('lab.example').toString('hex')],
    ['option static-routes 10.0.0.0 10.0.0.1, 10.1.0.0 10.0.0.2;', '0a0000000a0000010a0100000a000002'],
    ['option ip-forwarding off;', '00'], ['option ip-forwarding true;', '01'],
    ['option time-offset -18000;', 'ffffb9b0'], ['option interface-mtu 1400;', '0578'], ['option netbios-node-type 8;', '08'],
    ['option vendor-encapsulated-options 01:04:0a:00:00:01;', '01040a000001'], ['option vendor-encapsulated-options 1:4:a:0:0:1;', '01040a000001'],
    ['option root-path "10.0.0.1:/nfs, soft";', Buffer.from('10.0.0.1:/nfs, soft').toString('hex')],
    ['option tftp-server-name "tftp.example";', Buffer.from('tftp.example').toString('hex')],
    ['option ntp-servers 10.0.0.7,10.0.0.8;', '0a0000070a000008'],
    ['option a code 200 = unsigned integer 16; option a 258;', '0102'], ['option a code 200 = integer 32; option a 1;', '00000001'], ['option a code 200 = boolean; option a on;', '01'],
    ['option a code 200 = text; option a "x";', '78'], ['option a code 200 = string; option a 0a:0b;', '0a0b'], ['option a code 200 = array of integer 16; option a 1, 2;', '00010002']
  ])('%s', (text, expected) => {
    const { options: [one], left } = readIsc(text)
    expect(left).toEqual([])
    expect(customOption({ kind: 'global' }, String(one?.code), one?.value ?? '', one?.type ?? undefined).data.startsWith(expected)).toBe(true)
  })
  it.each(['option routers gateway.example;', 'option interface-mtu large;', 'option ntp-servers 10.0.0.300;', 'option ip-forwarding maybe;', 'option dhcp-lease-time 60;'])('%s is refused when it is saved', text => {
    const { options: [one] } = readIsc(text)
    expect(() => customOption({ kind: 'global' }, String(one?.code), one?.value ?? '', undefined)).toThrow(BedplateError)
  })
})

describe('a snippet', () => {
  it('of a subnet or a host is read as if it stood in its block', () => {
    const subnet = readIsc('option ntp-servers 10.0.0.7;\ndefault-lease-time 60; range 10.0.0.5 10.0.0.9;', { cidr: '10.0.0.0/24' })
    expect(subnet).toMatchObject({ left: [], subnets: [{ cidr: '10.0.0.0/24', leaseSeconds: 60, ranges: [{ line: 2 }] }], options: [{ place: { kind: 'subnet', cidr: '10.0.0.0/24' }, code: 42 }] })
    const host = readIsc('filename "a.efi"; fixed-address 10.0.0.9;', { mac: '52:54:00:00:00:01' })
    expect(host).toMatchObject({ left: [], hosts: [{ mac: '52:54:00:00:00:01', addresses: ['10.0.0.9'] }], options: [{ place: { kind: 'host', host: 0 }, code: 67 }] })
    expect(readIsc('host a { }', { mac: '52:54:00:00:00:01' }).left).toMatchObject([{ why: 'a host holds no blocks' }])
  })
})

describe('what is not taken is named, with its line and why', () => {
  it.each([
    ['class "x" {\n match if option user-class = "a"; }', /^1: class "x": what depends on the client's class/],
    ['\nif known { option routers 10.0.0.1; } else { }', /^2: if known: what depends/],
    ['subnet 10.0.0.0 netmask 255.255.255.0 { pool { failover peer "p"; range 10.0.0.1 10.0.0.9; } }', /^1: failover peer "p": racks need no failover peers/],
    ['subnet 10.0.0.0 netmask 255.255.255.0 { filename "x"; }', /^1: filename "x": Bedplate's racks serve the boot files/],
    ['subnet 10.0.0.0 netmask 255.0.255.0 { }', /it is no subnet/],
    ['subnet 10.0.0.1 netmask 255.255.255.0 { }', /it is no subnet/],
    ['subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.1.1 10.0.1.2; }', /it lies outside 10.0.0.0\/24/],
    ['subnet 10.0.0.0 netmask 255.255.255.0 { range a b c; }', /it is no range/],
    ['range 10.0.0.1 10.0.0.2;', /it is in no subnet/],
    ['option no-such-thing 1;', /the option no-such-thing is not known/],
    ['option space x;', /spaces of options/],
    ['option x.y 1;', /the space x are not taken/],
    ['option foo code 300 = text;', /it is no definition/],
    ['option foo code 200 = record of fear;', /the type is none of/],
    ['option host-name = concat("a", "b");', /values that are computed/],
    ['option routers;', /it has no value/],
    ['max-lease-time 7200;', /every lease of a subnet has the same time/],
    ['subnet 10.0.0.0 netmask 255.255.255.0 { default-lease-time 5; }', /a lease time is from 30/],
    ['host a { fixed-address host.example; hardware token-ring 1:2:3:4:5:6; }', /"host.example" is no IPv4 address/],
    ['host a { hardware token-ring 1:2:3:4:5:6; }', /only "hardware ethernet"/],
    ['include "more.conf";', /import that file as well/],
    ['frobnicate on;', /Bedplate has no "frobnicate"/],
    ['option routers 10.0.0.1', /there is no ";" behind it/],
    ['group {', /its "{" is never closed/],
    ['}', /nothing is open here/],
    ['option host-name "a;\n', /the quote does not end on its line/],
    ['"what";', /it is no statement/]
  ])('%s', (text, expected) => { expect(lines(text).join('\n')).toMatch(expected) })
  it('and the rest is taken all the same', () => {
    expect(readIsc('class "x" { match if (option a = "}"); }\noption ntp-servers 10.0.0.1;').options).toMatchObject([{ line: 2, code: 42 }])
  })
})

describe('no text does harm', () => {
  const word = fc.oneof(
    fc.constantFrom('subnet', '10.0.0.0', 'netmask', '255.255.255.0', 'host', 'option', 'code', '=', 'range', 'group', 'pool', 'shared-network', '{', '}', ';', ',', '"', '#', '\n', '\\', 'hardware', 'ethernet', 'fixed-address', '__proto__', 'constructor', 'toString', 'code 1 = text'),
    fc.constantFrom(...Object.keys(reasons), ...idle), fc.string({ maxLength: 8 }), fc.ipV4(), fc.integer().map(String), fc.string({ unit: 'binary', maxLength: 4 }))
  it('is read to a plan or to one of our own errors', () => {
    fc.assert(fc.property(fc.array(word, { maxLength: 120 }), fc.constantFrom(' ', ''), (words, between) => {
      try {
        const { left, options } = readIsc(words.join(between))
        for (const { line, what, why } of left) expect([Number.isInteger(line) && line > 0, typeof what, why.length > 0, what.length < 200]).toEqual([true, 'string', true, true])
        for (const { code } of options) expect(code > 0 && code < 255).toBe(true)
      } catch (error) {
        if (!(error instanceof BedplateError)) throw error
      }
    }), { numRuns: 2000, seed: 20_4 })
  })
  it('and what would grow without bound is refused', () => {
    const many = (text: string, count: number) => Array.from({ length: count }, () => text).join('')
    const bombs = [
      `group { ${many('option ntp-servers 1.1.1.1;', 10_000)} ${many('host a { }', 10_000)} }`,
      `shared-network x { ${many('option ntp-servers 1.1.1.1;', 10_000)} ${Array.from({ length: 5000 }, (_, n) => `subnet 10.${n >> 8}.${n & 255}.0 netmask 255.255.255.0 { }`).join('')} }`,
      many('group {', 100_000), many('a', 2_000_000)
    ]
    for (const bomb of bombs) expect(() => readIsc(bomb)).toThrow(BedplateError)
    expect(readIsc(many('}', 100_000)).left.length).toBeLessThanOrEqual(100_000)
    expect(readIsc(`"${many('\\', 500_000)}`).left).toHaveLength(2)
  })
})
