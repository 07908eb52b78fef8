/** What replies hold and where they go, and what each firmware is told to boot. */
import { describe, expect, it } from 'vitest'
import { bootOf } from '../../../plugins/dhcp/v4/boot-file.ts'
import type { LoaderKind } from '../../../plugins/dhcp/options/loaders.ts'
import { ipText, parseIp, parsePrefix } from '../../../plugins/dhcp/v4/ipv4.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, text } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { informReply, leaseReply, nakReply, targetOf } from '../../../plugins/dhcp/v4/reply.ts'
import { packetOf, segmentWith } from './build.ts'
import type { Wire } from './build.ts'

const segment = segmentWith()
const [first, second] = segment.subnets
const lease = { subnet: first!, address: parseIp('10.0.0.100'), hostname: null, seconds: 600 }
const hex = (packet: Packet) => Object.fromEntries([...packet.options].map(([code, value]) => [code, value.toString('hex')]))
const asking = (...codes: number[]) => [option.parameterList, Buffer.from(codes)] as const

describe('an offer', () => {
  const offer = leaseReply('OFFER', segment, packetOf({ type: 'DISCOVER', flags: 0x8000 }), lease, undefined)
  it('answers the same exchange', () => {
    expect(offer).toMatchObject({ op: 2, htype: 1, hops: 0, xid: 0x1234, secs: 0, flags: 0x8000, ciaddr: 0, yiaddr: lease.address, siaddr: 0, giaddr: 0, file: '', sname: '' })
  })
  it('has type, server, times, mask, router, DNS servers and broadcast address, in that order', () => {
    expect([...offer.options.keys()]).toEqual([53, 54, 51, 58, 59, 1, 3, 6, 28])
    expect(hex(offer)).toEqual({ 53: '02', 54: '0a000002', 51: '00000258', 58: '0000012c', 59: '0000020d', 1: 'ffffff00', 3: '0a000001', 6: '0a0000350a000036', 28: '0a0000ff' })
  })
  it('leaves out a router and DNS servers where there are none, and names the host where it is known', () => {
    const reply = leaseReply('OFFER', segment, packetOf({ type: 'DISCOVER' }), { ...lease, subnet: second!, hostname: 'sure-fox' }, undefined)
    expect([...reply.options.keys()]).toEqual([53, 54, 51, 58, 59, 1, 28, 12])
    expect(reply.options.get(option.hostname)?.toString()).toBe('sure-fox')
  })
  it('tells the MTU to those who ask, gives back the client id (RFC 6842) and what the relay added', () => {
    const reply = leaseReply('OFFER', segment, packetOf({ type: 'DISCOVER', giaddr: '10.0.0.9', options: [asking(26), [61, Buffer.of(1, 2, 3)], [82, Buffer.of(1, 1, 9)]] }), lease, undefined)
    expect(hex(reply)).toMatchObject({ 26: '2328', 61: '010203', 82: '010109' })
    expect(reply.giaddr).toBe(parseIp('10.0.0.9'))
    expect(encode(reply).toString('hex')).toMatch(/5203010109ff0*$/)
  })
  it('fits what the client takes, however much is asked for', () => {
    const reply = leaseReply('OFFER', segment, packetOf({ type: 'DISCOVER', options: [[61, Buffer.alloc(255, 1)], [82, Buffer.alloc(200, 2)]] }), lease, undefined)
    expect(encode(reply, 548).length).toBeLessThanOrEqual(548)
  })
})

describe('other replies', () => {
  it('an ACK of an extension carries the address in ciaddr too', () => {
    const reply = leaseReply('ACK', segment, packetOf({ type: 'REQUEST', ciaddr: '10.0.0.100' }), lease, undefined)
    expect(reply).toMatchObject({ ciaddr: lease.address, yiaddr: lease.address })
    expect(hex(reply)[53]).toBe('05')
  })
  it('an INFORM\'s ACK has neither address nor times', () => {
    const reply = informReply(segment, packetOf({ type: 'INFORM', ciaddr: '10.0.0.50' }), first!, undefined)
    expect(reply.yiaddr).toBe(0)
    expect([...reply.options.keys()]).toEqual([53, 54, 1, 3, 6, 28])
  })
  it('a NAK says why and nothing else; through a relay it asks for a broadcast', () => {
    expect(hex(nakReply(segment, packetOf({ type: 'REQUEST' }), 'no'))).toEqual({ 53: '06', 54: '0a000002', 56: '6e6f' })
    expect(nakReply(segment, packetOf({ type: 'REQUEST', giaddr: '10.0.0.9' }), 'no').flags).toBe(0x8000)
    expect(nakReply(segment, packetOf({ type: 'REQUEST', ciaddr: '10.0.0.50' }), 'no')).toMatchObject({ ciaddr: 0, yiaddr: 0, siaddr: 0 })
  })
})

describe('where replies go', () => {
  it.each<readonly [string, Wire, boolean, string]>([
    ['to the relay', { giaddr: '10.0.0.9', ciaddr: '10.0.0.50' }, false, '10.0.0.9:67'],
    ['a NAK to the relay', { giaddr: '10.0.0.9' }, true, '10.0.0.9:67'],
    ['to the address the client has', { ciaddr: '10.0.0.50' }, false, '10.0.0.50:68'],
    ['a NAK to everybody', { ciaddr: '10.0.0.50' }, true, '255.255.255.255:68'],
    ['to everybody', {}, false, '255.255.255.255:68'],
    ['to everybody when asked for', { flags: 0x8000 }, false, '255.255.255.255:68']
  ])('%s', (_, wire, nak, expected) => {
    const { address, port } = targetOf(packetOf(wire), nak)
    expect(`${ipText(address)}:${port}`).toBe(expected)
  })
})

describe('what a client boots', () => {
  const arch = (number: number) => [option.architecture, Buffer.of(number >>> 8, number & 255)] as const
  const bootedBy = (vendor: string | undefined, ...options: readonly (readonly [number, Buffer])[]) => {
    const boot = bootOf(packetOf({ type: 'DISCOVER', ...vendor === undefined ? {} : { vendor }, options }), parseIp('10.0.0.2'), 5248)
    return boot && { file: boot.file, next: ipText(boot.nextServer), class: boot.options.get(option.vendorClass)?.toString() }
  }
  const script = 'http://10.0.0.2:5248/boot/ipxe/52-54-00-00-00-01'
  it.each<readonly [string, number, string]>([
    ['BIOS', 0, 'undionly.kpxe'], ['UEFI, said to be byte code', 7, 'ipxe.efi'], ['UEFI x64', 9, 'ipxe.efi'], ['UEFI on 32 bits', 6, 'grubnetia32.efi'], ['UEFI on 64-bit ARM', 11, 'shimaa64.efi'], ['Open Firmware', 12, 'core.elf'], ['something new', 999, '']
  ])('%s by PXE', (_, number, file) => { expect(bootedBy(`PXEClient:Arch:${number}`, arch(number))).toEqual({ file, next: '10.0.0.2', class: 'PXEClient' }) })
  it('PXE without an architecture is BIOS', () => { expect(bootedBy('PXEClient')?.file).toBe('undionly.kpxe') })
  it('UEFI by HTTP gets a URL and its class back', () => {
    expect(bootedBy('HTTPClient:Arch:00016:UNDI:003001', arch(16))).toEqual({ file: 'http://10.0.0.2:5248/boot/loaders/ipxe.efi', next: '10.0.0.2', class: 'HTTPClient' })
  })
  it.each<readonly [string, number, string]>([['x64', 16, 'ipxe.efi'], ['ARM', 19, 'ipxe-arm64.efi']])('UEFI on %s by HTTP', (_, number, file) => {
    expect(bootedBy(`HTTPClient:Arch:${String(number).padStart(5, '0')}`, arch(number))?.file).toBe(`http://10.0.0.2:5248/boot/loaders/${file}`)
  })
  it.each<readonly [string, number, LoaderKind, string]>([
    ['UEFI x64', 7, 'grub', 'shimx64.efi'], ['UEFI x64', 7, 'ipxe', 'ipxe.efi'], ['UEFI on ARM', 11, 'ipxe', 'ipxe-arm64.efi'], ['a BIOS, which has no other', 0, 'grub', 'undionly.kpxe'], ['ia32, which has no other', 6, 'ipxe', 'grubnetia32.efi'], ['UEFI x64 by HTTP, which has no other', 16, 'grub', 'ipxe.efi']
  ])('%s (%s) that is to get %s gets %s', (_, number, kind, file) => {
    expect(bootOf(packetOf({ type: 'DISCOVER', vendor: number < 15 ? 'PXEClient' : 'HTTPClient', options: [arch(number)] }), parseIp('10.0.0.2'), 5248, kind)?.file.replace(/^.*\//, '')).toBe(file)
  })
  it.each([['OPAL', 14], ['s390x', 31]])('%s reads a configuration of PXELINUX by itself: it is told which', (_, number) => {
    const boot = bootOf(packetOf({ type: 'DISCOVER', vendor: 'PXEClient', options: [arch(number)] }), parseIp('10.0.0.2'), 5248)
    expect([boot?.file, boot?.options.get(option.configFile)?.toString()]).toEqual(['', 'pxelinux.cfg/01-52-54-00-00-00-01'])
  })
  it('iPXE gets its script, by user class or by its own option, in firmware or not', () => {
    for (const options of [[[77, text('iPXE')]], [[77, Buffer.concat([Buffer.of(4), text('iPXE')])]], [[175, Buffer.of(0x13, 1, 1)]]] as const) {
      expect(bootedBy('PXEClient:Arch:00007', arch(7), ...options)?.file).toBe(script)
      expect(bootedBy(undefined, ...options)?.file).toBe(script)
    }
  })
  it('an iPXE that cannot speak HTTP gets the one that can', () => { expect(bootedBy('PXEClient', arch(0), [175, Buffer.of(0x21, 1, 1)], [77, text('iPXE')])?.file).toBe('undionly.kpxe') })
  it('a system gets nothing to boot', () => {
    expect(bootedBy(undefined)).toBeUndefined()
    expect(bootedBy('udhcp 1.36')).toBeUndefined()
    expect(bootedBy('MSFT 5.0')).toBeUndefined()
  })

  const offered = (wire: Wire) => {
    const request = packetOf({ type: 'DISCOVER', ...wire })
    return decode(encode(leaseReply('OFFER', segment, request, lease, bootOf(request, segment.address, 5248))))
  }
  it('stands in the header, and in options 66, 67 and 150 for those who ask', () => {
    const quiet = offered({ vendor: 'PXEClient', options: [arch(0)] })
    expect({ file: quiet.file, next: ipText(quiet.siaddr), codes: [66, 67, 150].filter(code => quiet.options.has(code)) }).toEqual({ file: 'undionly.kpxe', next: '10.0.0.2', codes: [] })
    const asked = offered({ vendor: 'PXEClient', options: [arch(0), asking(66, 67, 150)] })
    expect(hex(asked)).toMatchObject({ 66: text('10.0.0.2').toString('hex'), 67: text('undionly.kpxe').toString('hex'), 150: ip(segment.address).toString('hex') })
  })
  it('UEFI PXE is told to take that file without looking for boot servers, and its machine id comes back', () => {
    const id = Buffer.concat([Buffer.of(0), Buffer.alloc(16, 7)])
    expect(hex(offered({ vendor: 'PXEClient:Arch:00007:UNDI:003001', options: [arch(7), [97, id]] }))).toMatchObject({ 43: '060108ff', 60: text('PXEClient').toString('hex'), 97: id.toString('hex') })
  })
  it('a URL stands in option 67 too, and iPXE need not wait for a ProxyDHCP server', () => {
    const reply = offered({ options: [[77, text('iPXE')]] })
    expect(reply.options.get(67)?.toString()).toBe(script)
    expect(hex(reply)[175]).toBe('b00101')
    expect(reply.options.has(43)).toBe(false)
  })
})

describe('addresses as numbers', () => {
  it('are read and written', () => { for (const text of ['0.0.0.0', '10.0.0.1', '192.168.255.254', '255.255.255.255']) expect(ipText(parseIp(text))).toBe(text) })
  it('are refused when they are none', () => { for (const bad of ['', '1.2.3', '1.2.3.256', '1.2.3.4.5', 'a.b.c.d', '::1']) expect(() => parseIp(bad)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' })) })
  it('prefixes have network, mask and broadcast', () => {
    expect(parsePrefix('10.1.2.3/23')).toEqual({ network: parseIp('10.1.2.0'), mask: parseIp('255.255.254.0'), broadcast: parseIp('10.1.3.255') })
    expect(parsePrefix('0.0.0.0/0')).toEqual({ network: 0, mask: 0, broadcast: 0xffffffff })
    for (const bad of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x']) expect(() => parsePrefix(bad)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  })
})
