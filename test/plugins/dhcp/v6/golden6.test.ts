/** DHCPv6 messages as real clients send them, byte for byte, and what they get for it. */
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../../core/log.ts'
import { Limits } from '../../../../plugins/dhcp/rack/limits.ts'
import { asksFor6, duidOf, elapsedOf, hostname6, macOf6, userClasses6, vendorClass6 } from '../../../../plugins/dhcp/v6/client6.ts'
import { message6Name, option6 } from '../../../../plugins/dhcp/v6/codes6.ts'
import { readDuid } from '../../../../plugins/dhcp/v6/duid.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { has6 } from '../../../../plugins/dhcp/v6/options6.ts'
import { decode6, encode6, iasOf, otherIas } from '../../../../plugins/dhcp/v6/packet6.ts'
import { Server6 } from '../../../../plugins/dhcp/v6/server6.ts'
import { manualClock } from '../../../kit/clock.ts'
import { memoryOf } from './build6.ts'
import { golden, server } from './golden6.ts'

const anywhere = 'fe80::1234:5678:9abc:def0'
const bytes = (name: keyof typeof golden): Buffer => Buffer.from(golden[name], 'hex')
const about = (name: keyof typeof golden) => {
  const message = decode6(bytes(name))
  const { options } = message
  return {
    type: message6Name(message.type), duid: readDuid(Buffer.from(duidOf(options) ?? '', 'hex')).kind, mac: macOf6({ relays: [], message }, parseIp6(anywhere)), elapsed: elapsedOf(options), rapid: has6(options, option6.rapidCommit),
    ias: iasOf(options).map(({ iaid, addresses }) => [iaid, ...addresses.map(({ address }) => ip6Text(address))]), others: otherIas(options).map(({ code }) => code), hostname: hostname6(options),
    dns: asksFor6(options, option6.dnsServers), vendor: vendorClass6(options)?.texts ?? [], user: userClasses6(options)
  }
}

describe('what real clients say of themselves', () => {
  const usual = { elapsed: 0, rapid: false, others: [], hostname: null, dns: true, vendor: [], user: [] }
  it('dhclient', () => { expect(about('dhclient SOLICIT')).toEqual({ ...usual, type: 'SOLICIT', duid: 'll', mac: '02:00:00:00:00:10', ias: [[0x10]] }) })
  it('dhclient, which takes and extends', () => {
    expect(about('dhclient REQUEST')).toEqual({ ...usual, type: 'REQUEST', duid: 'll', mac: '02:00:00:00:00:10', ias: [[0x10, '2001:db8:1::1:27']] })
    expect(about('dhclient RENEW')).toEqual({ ...usual, type: 'RENEW', duid: 'll', mac: '02:00:00:00:00:10', ias: [[0x10, '2001:db8:1::1:27']] })
  })
  it('dhcpcd: a DUID with a time, and a vendor class', () => { expect(about('dhcpcd SOLICIT')).toEqual({ ...usual, type: 'SOLICIT', duid: 'llt', mac: '02:00:00:00:00:11', ias: [[0x11]], vendor: ['dhcpcd-9.4.1'] }) })
  it('networkd: a DUID of its own that tells no MAC, rapid commit, and a prefix as well', () => {
    expect(about('networkd SOLICIT')).toEqual({ ...usual, type: 'SOLICIT', duid: 'en', mac: undefined, rapid: true, ias: [[0x4d448083]], others: [option6.iaPd], hostname: 'vm' })
  })
  it('OVMF: asks for a boot file, names its architecture and PXE\'s or HTTP\'s vendor class', () => {
    const firmware = { ...usual, duid: 'llt', mac: '52:54:00:00:00:31' }
    expect(about('OVMF SOLICIT for PXE')).toEqual({ ...firmware, type: 'SOLICIT', ias: [[0x3db87df7]], vendor: ['PXEClient:Arch:00007:UNDI:003000'] })
    expect(about('OVMF REQUEST for PXE')).toEqual({ ...firmware, type: 'REQUEST', ias: [[0x3db87df7, '2001:db8:1::1:71']], vendor: ['PXEClient:Arch:00007:UNDI:003000'] })
    expect(about('OVMF SOLICIT for HTTP')).toEqual({ ...firmware, type: 'SOLICIT', ias: [[0x236f4be3]], vendor: ['HTTPClient:Arch:00016:UNDI:003000'] })
    expect(about('OVMF RELEASE')).toEqual({ ...firmware, type: 'RELEASE', dns: false, ias: [[0x3db87df7, '2001:db8:1::1:71']] })
  })
  it.each(Object.keys(golden) as (keyof typeof golden)[])('%s: written again it is the same, byte for byte', name => { expect(encode6(decode6(bytes(name))).toString('hex')).toBe(golden[name]) })
})

describe('what they get', () => {
  const answer = (name: keyof typeof golden): string => {
    let sent = ''
    const server = new Server6({
      memory: memoryOf({ leaseSeconds: 40 }), limits: new Limits(), traffic: { received: () => {}, sent: () => {}, dropped: () => {}, bound: () => {} }, clock: manualClock(), log: createLogger('silent'), httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120,
      wishes: { ask: (_, settle) => { settle({ stored: true, expires: null, number: '1', reason: null, quiet: false }) } }, report: () => {}
    })
    server.receive('eth0', bytes(name), data => { sent = Buffer.from(data).toString('hex') }, `${anywhere}%eth0`, 546)
    return sent
  }
  const dns = '0017002020010db800010000000000000000005320010db8000100000000000000000054'
  const search = '0018001e076578616d706c65036f726700036c6162076578616d706c65036f726700'
  const lease = (iaid: string, host: string) => `00030028${iaid}00000014000000200005001820010db80001000000000000000100${host}0000002800000028`
  const duid = '0001000a00030001020000000010'
  it('dhclient: an ADVERTISE with the highest preference', () => { expect(answer('dhclient SOLICIT')).toBe(`02709a03${duid}${server}${lease('00000010', '27')}00070001ff${dns}${search}`) })
  it('dhclient: a REPLY', () => {
    expect(answer('dhclient REQUEST')).toBe(`079dc367${duid}${server}${lease('00000010', '27')}${dns}${search}`)
    expect(answer('dhclient RENEW')).toBe(`079d4ad9${duid}${server}${lease('00000010', '27')}${dns}${search}`)
  })
  it('OVMF: ipxe.efi from this rack by TFTP, or by HTTP from one that calls itself an HTTPClient\'s', () => {
    const ovmf = '0001000e0001000131dc87aa525400000031'
    const file = (url: string) => `003b00${url.length.toString(16).padStart(2, '0')}${Buffer.from(url).toString('hex')}`
    expect(answer('OVMF SOLICIT for PXE')).toBe(`0288eff1${ovmf}${server}${lease('3db87df7', '71')}00070001ff${dns}${file('tftp://[2001:db8:1::2]/ipxe.efi')}`)
    expect(answer('OVMF REQUEST for PXE')).toBe(`0789eff1${ovmf}${server}${lease('3db87df7', '71')}${dns}${file('tftp://[2001:db8:1::2]/ipxe.efi')}`)
    expect(answer('OVMF SOLICIT for HTTP')).toBe(`028beff1${ovmf}${server}${lease('236f4be3', '8b')}00070001ff${dns}0010001000000157000a${Buffer.from('HTTPClient').toString('hex')}${file('http://[2001:db8:1::2]:5248/boot/loaders/ipxe.efi')}`)
  })
  it('dhcpcd', () => { expect(answer('dhcpcd SOLICIT')).toBe(`028bf5fc0001000e0001000132966a11020000000011${server}${lease('00000011', 'c6')}00070001ff${dns}`) })
  it('networkd: a REPLY at once, no prefix, and time servers both ways', () => {
    const noPrefix = `0019002d4d448083${'00'.repeat(8)}000d001d0006${Buffer.from('prefixes are not given here').toString('hex')}`
    expect(answer('networkd SOLICIT')).toBe(`07e5da050001000e00020000ab11afe23af6c838ecd4${server}${lease('4d448083', 'fd')}${noPrefix}000e0000${dns}003800140001001020010db8000100000000000000000123001f001020010db8000100000000000000000123`)
  })
})
