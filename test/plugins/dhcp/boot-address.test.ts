/** Where machines are told to find what they boot: at the address the racks of the VLAN hold in turn, while one has it. What a rack calls itself stays its own address. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../core/log.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, text } from '../../../plugins/dhcp/options/values.ts'
import { proxyAnswer } from '../../../plugins/dhcp/proxy/proxy.ts'
import { Limits } from '../../../plugins/dhcp/rack/limits.ts'
import { Chain, Step } from '../../../plugins/dhcp/v4/chain.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { segmentOf } from '../../../plugins/dhcp/v4/segment.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { option6 } from '../../../plugins/dhcp/v6/codes6.ts'
import { Memory6 } from '../../../plugins/dhcp/v6/memory6.ts'
import { first6 } from '../../../plugins/dhcp/v6/options6.ts'
import { forwarded, unwrapReply } from '../../../plugins/dhcp/v6/relay6.ts'
import { Server6 } from '../../../plugins/dhcp/v6/server6.ts'
import { manualClock } from '../../kit/clock.ts'
import { now, packetOf, segmentWith, viewOf } from './build.ts'
import type { Wire } from './build.ts'
import { datagram, segment6Entry } from './v6/build6.ts'

const segment = { ...segmentWith(), bootAddress: parseIp('10.0.0.20') }
const asksAll: readonly [number, Buffer] = [option.parameterList, Buffer.of(option.tftpServer, option.bootFile, option.tftpServers)]
const pxe: Wire = { vendor: 'PXEClient:Arch:00000', options: [[option.architecture, Buffer.of(0, 0)], asksAll] }
const http: Wire = { vendor: 'HTTPClient:Arch:00016', options: [[option.architecture, Buffer.of(0, 16)]] }
const ipxe: Wire = { ...pxe, options: [...pxe.options ?? [], [option.userClass, text('iPXE')]] }

let chain: Chain
let asked: string[]
let served: boolean
beforeEach(() => {
  [asked, served] = [[], true]
  chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: createLogger('silent') })
  chain.knowServed(address => { asked.push(address); return served })
})
function offer (wire: Wire): Packet {
  const step = chain.open(segment, packetOf({ type: 'DISCOVER', ...wire })) as Step
  const decision = chain.decide(step, { ...viewOf({ free: ['10.0.0.105'] }), segment }, now)
  if (decision.kind !== 'offer') throw new Error(decision.kind)
  return chain.lease('OFFER', step, { ...decision, seconds: 120 })
}
const of = ({ siaddr, file, options }: Packet) => ({ next: ipText(siaddr), file, server: options.get(option.serverId), name: options.get(option.tftpServer)?.toString(), list: options.get(option.tftpServers) })

describe('over IPv4', () => {
  it('firmware is told the boot address as next server and TFTP server, and the rack as the server it asks', () => {
    expect(of(offer(pxe))).toEqual({ next: '10.0.0.20', file: 'undionly.kpxe', server: ip(parseIp('10.0.0.2')), name: '10.0.0.20', list: ip(parseIp('10.0.0.20')) })
    expect(asked).toEqual(['10.0.0.20'])
  })
  it('URLs name it', () => {
    expect(offer(http)).toMatchObject({ file: 'http://10.0.0.20:5248/boot/loaders/ipxe.efi', siaddr: segment.bootAddress })
    expect(offer(ipxe)).toMatchObject({ file: expect.stringMatching(/^http:\/\/10\.0\.0\.20:5248\/boot\/ipxe\//) })
  })
  it('a loader chosen by a plugin comes from there, too', () => {
    chain.hooks.boot.tap('grub', (_, exchange) => chain.bootOf(exchange, 'grub'))
    expect(of(offer({ vendor: 'PXEClient:Arch:00007', options: [[option.architecture, Buffer.of(0, 7)], asksAll] }))).toMatchObject({ next: '10.0.0.20', name: '10.0.0.20' })
  })
  it('while no rack has it, everything names this one', () => {
    served = false
    expect(of(offer(pxe))).toEqual({ next: '10.0.0.2', file: 'undionly.kpxe', server: ip(parseIp('10.0.0.2')), name: '10.0.0.2', list: ip(parseIp('10.0.0.2')) })
    expect(offer(ipxe).file).toContain('http://10.0.0.2:5248/')
  })
  it('where nobody knows, it is believed', () => {
    chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: createLogger('silent') })
    expect(of(offer(pxe)).next).toBe('10.0.0.20')
  })
  it('what an operator set stands above it', () => {
    chain.told.apply([{ kind: 'options', id: 'global', value: { options: [{ code: option.tftpServer, data: Buffer.from('10.0.0.77').toString('hex') }] } }], [], true)
    expect(of(offer(pxe))).toMatchObject({ next: '10.0.0.77', name: '10.0.0.77' })
  })
  it('a client that does not boot hears nothing of it', () => {
    expect(of(offer({}))).toMatchObject({ next: '0.0.0.0', file: '', name: undefined })
  })
  it('a proxy names it, and itself as the server', () => {
    const proxied = { ...segment, mode: 'proxy' as const }
    const answer = proxyAnswer(proxied, packetOf({ type: 'DISCOVER', ...pxe }), (segment, packet) => chain.boot(new Step(segment, packet)), { port: 67, from: '0.0.0.0', fromPort: 68 })
    if (typeof answer === 'string') throw new Error(answer)
    expect(of(answer.reply)).toMatchObject({ next: '10.0.0.20', server: ip(parseIp('10.0.0.2')), name: '10.0.0.20' })
  })
  it('is read from wanted state, and may be absent', () => {
    const entry = { interface: 'eth0', address: '10.0.0.2', rank: 0, mtu: 1500, subnets: [] }
    expect(segmentOf('5', { ...entry, bootAddress: '10.0.0.20' }).bootAddress).toBe(parseIp('10.0.0.20'))
    expect(segmentOf('5', entry)).not.toHaveProperty('bootAddress')
  })
})

describe('over IPv6', () => {
  const urlOf = (bootAddress: string | undefined, served?: (address: string) => boolean): string => {
    const memory = new Memory6()
    memory.apply([{ kind: 'segment6', id: '5', value: { ...segment6Entry(), ...bootAddress === undefined ? {} : { bootAddress } } }], [], true, now)
    let url = ''
    const server = new Server6({
      memory, limits: new Limits(), lulls: { count: 0, heard: () => {}, watch: () => {} }, traffic: { received: () => {}, sent: () => {}, dropped: () => {}, bound: () => {} }, clock: manualClock(), log: createLogger('silent'),
      httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120, wishes: { ask: () => {} }, report: () => {}, ...served === undefined ? {} : { served }
    })
    const solicit = datagram({ type: 'SOLICIT', ias: [[1]], asks: [option6.bootFileUrl], options: [{ code: option6.architecture, value: Buffer.of(0, 7) }] })
    server.receive('eth0', forwarded(solicit), data => { url = String(first6(unwrapReply(Buffer.from(data)).message.options, option6.bootFileUrl)) }, 'fe80::1%eth0', 546)
    return url
  }
  it('the URL names the boot address while a rack has it, and this rack otherwise', () => {
    expect(urlOf('2001:db8:1::14')).toBe('tftp://[2001:db8:1::14]/ipxe.efi')
    expect(urlOf('2001:db8:1::14', address => address === '2001:db8:1::14')).toBe('tftp://[2001:db8:1::14]/ipxe.efi')
    expect(urlOf('2001:db8:1::14', () => false)).toBe('tftp://[2001:db8:1::2]/ipxe.efi')
    expect(urlOf(undefined)).toBe('tftp://[2001:db8:1::2]/ipxe.efi')
  })
})
