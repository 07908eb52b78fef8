/** Packets as real clients send them, byte for byte, and what they get for it. Captured on a wire; Windows PE's is written after its documented form. */
import { describe, expect, it } from 'vitest'
import { bootOf } from '../../../plugins/dhcp/v4/boot-file.ts'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { architectureOf, clientIdOf, hostnameOf, ipxeOf, maxSizeOf, userClassesOf, vendorClassOf } from '../../../plugins/dhcp/options/client.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { leaseReply } from '../../../plugins/dhcp/v4/reply.ts'
import { now, viewOf } from './build.ts'

interface Golden { readonly start: string, readonly mac: string, readonly options: string, readonly length: number }
const ipxeOptions = (arch: string, undi: string, vendor: string, features: string) =>
  `390205c05d02${arch}5e0301${undi}3c20${vendor}4d04695058453717010306070c0f111a2b3c4243778081828384858687afcb${features}`
const ipxeBios = ipxeOptions('0000', '0201', '505845436c69656e743a417263683a30303030303a554e44493a303032303031', 'af30b105011af41000eb030100001701012201011301011101012701011901012901011001022101011501011801011201013d0701525400000021611100000000000000000000000000000000')
const ovmf = (rest: string) => `${rest}37230102030405060c0d0f111216171c28292a2b3233363a3b3c4243618081828384858687611100000000000000000000000000000000005e030103005d0200073c20505845436c69656e743a417263683a30303030373a554e44493a303033303030ff`
const golden = {
  udhcpc: { length: 300, mac: '525400000011', start: '0101060086344108000000000000000000000000', options: '3501013902024037070103060c0f1c2a0c076e6f64652d31313c0c756468637020312e33352e303d0701525400000011ff' },
  'udhcpc takes an offer': { length: 301, mac: '525400000011', start: '0101060086344108000000000000000000000000', options: '3501033204c00002643604c00002023902024037070103060c0f1c2a0c076e6f64652d31313c0c756468637020312e33352e303d0701525400000011ff' },
  dhclient: { length: 300, mac: '525400000012', start: '01010600118ca526000000000000000000000000', options: '3501013707011c02030f060cff' },
  'iPXE on BIOS': { length: 400, mac: '525400000021', start: '010106001df56029000400000000000000000000', options: `350101${ipxeBios}00ff` },
  'iPXE takes an offer': { length: 412, mac: '525400000021', start: '010106001df56029000b00000000000000000000', options: `350103${ipxeBios}003604c00002023204c0000266ff` },
  OVMF: { length: 347, mac: '525400000022', start: '0101060019345eeb000080000000000000000000', options: ovmf('350101390205c0') },
  'OVMF takes an offer': { length: 359, mac: '525400000022', start: '0101060019345eeb000080000000000000000000', options: ovmf('3501033604c00002023204c00002673902ff00') },
  'Windows PE': { length: 300, mac: '525400000031', start: '0101060077aa11bb000080000000000000000000', options: '3501013d070152540000003132040a0000690c084d494e57494e50433c084d53465420352e30370c010f03062c2e2f1f2179f92bff' }
} satisfies Record<string, Golden>

const bytes = ({ start, mac, options, length }: Golden): Buffer => {
  const data = Buffer.alloc(length)
  Buffer.from(start, 'hex').copy(data)
  Buffer.from(mac, 'hex').copy(data, 28)
  Buffer.from(`63825363${options}`, 'hex').copy(data, 236)
  return data
}
const read = (name: keyof typeof golden): Packet => decode(bytes(golden[name]))
const about = ({ mac, secs, flags, options }: Packet) => ({
  mac, secs, flags, architecture: architectureOf(options), vendor: vendorClassOf(options), user: userClassesOf(options), ipxe: ipxeOf(options), id: clientIdOf(options), hostname: hostnameOf(options), size: maxSizeOf(options)
})

describe('what real clients say of themselves', () => {
  it('udhcpc', () => { expect(about(read('udhcpc'))).toEqual({ mac: '52:54:00:00:00:11', secs: 0, flags: 0, architecture: undefined, vendor: 'udhcp 1.35.0', user: [], ipxe: undefined, id: '01525400000011', hostname: 'node-11', size: 576 }) })
  it('dhclient', () => { expect(about(read('dhclient'))).toMatchObject({ mac: '52:54:00:00:00:12', vendor: '', id: null, hostname: null, size: 576 }) })
  it('iPXE on BIOS: 4 seconds in its first packet, a raw user class, its features in option 175', () => {
    expect(about(read('iPXE on BIOS'))).toEqual({ mac: '52:54:00:00:00:21', secs: 4, flags: 0, architecture: 0, vendor: 'PXEClient:Arch:00000:UNDI:002001', user: ['iPXE'], ipxe: { http: true }, id: '01525400000021', hostname: null, size: 1472 })
  })
  it('OVMF: wants broadcasts, and claims 64 kB when it takes an offer', () => {
    expect(about(read('OVMF'))).toMatchObject({ secs: 0, flags: 0x8000, architecture: 7, vendor: 'PXEClient:Arch:00007:UNDI:003000', user: [], ipxe: undefined, size: 1472 })
    expect(maxSizeOf(read('OVMF takes an offer').options)).toBe(1500)
  })
  it('Windows PE', () => { expect(about(read('Windows PE'))).toMatchObject({ flags: 0x8000, vendor: 'MSFT 5.0', id: '01525400000031', hostname: 'minwinpc', architecture: undefined }) })
  it.each(Object.keys(golden) as (keyof typeof golden)[])('%s: written again it is the same, byte for byte', name => {
    const written = encode(read(name))
    expect(written.subarray(0, 240)).toEqual(bytes(golden[name]).subarray(0, 240))
    expect(written.subarray(240).toString('hex').replace(/(00)*$/, '')).toBe(golden[name].options)
  })
})

describe('what they get, in the order they ask for it', () => {
  const offered = (name: keyof typeof golden) => {
    const view = viewOf({ free: ['10.0.0.105'] })
    const request = read(name)
    const decision = decide(view, request, now)
    if (decision.kind !== 'offer') return decision
    const data = encode(leaseReply('OFFER', view.segment, request, { ...decision, seconds: decision.subnet.leaseSeconds }, bootOf(request, view.segment.address, 5248)), maxSizeOf(request.options) - 28)
    return { next: ipText(decode(data).siaddr), your: ipText(decode(data).yiaddr), file: decode(data).file, xid: data.toString('hex', 4, 8), options: data.toString('hex', 240).replace(/(00)*$/, '') }
  }
  const times = '35010236040a000002330400000258 3a040000012c 3b040000020d'.replaceAll(' ', '')
  const net = '0104ffffff00 03040a000001 06080a0000350a000036'.replaceAll(' ', '')
  const broadcast = '1c040a0000ff'
  const hex = (text: string) => Buffer.from(text).toString('hex')
  const script = 'http://10.0.0.2:5248/boot/ipxe/52-54-00-00-00-21'
  it('udhcpc', () => { expect(offered('udhcpc')).toEqual({ next: '0.0.0.0', your: '10.0.0.105', file: '', xid: '86344108', options: `${times}${net}${broadcast}3d0701525400000011ff` }) })
  it('dhclient', () => { expect(offered('dhclient')).toEqual({ next: '0.0.0.0', your: '10.0.0.105', file: '', xid: '118ca526', options: `${times}0104ffffff00${broadcast}03040a00000106080a0000350a000036ff` }) })
  it('Windows PE, which asks for an address it had', () => { expect(offered('Windows PE')).toMatchObject({ your: '10.0.0.105', options: `${times}${net}${broadcast}3d0701525400000031ff` }) })
  it('iPXE: its script, also as option 67, its class, and that it need not wait', () => {
    expect(offered('iPXE on BIOS')).toEqual({
      next: '10.0.0.2', your: '10.0.0.105', file: script, xid: '1df56029',
      options: `${times}${net}1a022328 3c09${hex('PXEClient')} 43${script.length.toString(16)}${hex(script)} af03b00101 ${broadcast} 3d0701525400000021ff`.replaceAll(' ', '')
    })
  })
  it('OVMF: ipxe.efi from this rack by TFTP, at once', () => {
    expect(offered('OVMF')).toEqual({
      next: '10.0.0.2', your: '10.0.0.105', file: 'ipxe.efi', xid: '19345eeb',
      options: `${times}${net}${broadcast} 2b04060108ff 3c09${hex('PXEClient')} 4208${hex('10.0.0.2')} 4308${hex('ipxe.efi')} 6111${'00'.repeat(17)} ff`.replaceAll(' ', '')
    })
  })
  it('who takes another server\'s offer gets nothing from this one', () => {
    for (const name of ['udhcpc takes an offer', 'iPXE takes an offer', 'OVMF takes an offer'] as const) expect(offered(name)).toEqual({ kind: 'drop', reason: 'other-server' })
  })
  it('the address in a REQUEST is the one that was offered', () => { expect(read('OVMF takes an offer').options.get(50)?.readUInt32BE(0)).toBe(parseIp('192.0.2.103')) })
})
