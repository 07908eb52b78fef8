/** Packets and views for tests, from the few fields that matter to each. */
import type { Binding, Host, View } from '../../../plugins/dhcp/v4/address.ts'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import type { MessageType } from '../../../plugins/dhcp/options/codes.ts'
import { ip, text, u8 } from '../../../plugins/dhcp/options/values.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { segmentOf } from '../../../plugins/dhcp/v4/segment.ts'
import type { Segment } from '../../../plugins/dhcp/v4/segment.ts'

export const me = '52:54:00:00:00:01'
export const other = '52:54:00:00:00:02'
export const now = Date.UTC(2030, 0, 1)

export interface Wire { readonly type?: MessageType | undefined, readonly server?: string, readonly requested?: string, readonly ciaddr?: string, readonly giaddr?: string, readonly mac?: string, readonly secs?: number, readonly flags?: number, readonly op?: number, readonly vendor?: string, readonly options?: readonly (readonly [number, Buffer])[] }
export function packetOf ({ type, server, requested, ciaddr = '0.0.0.0', giaddr = '0.0.0.0', mac = me, secs = 0, flags = 0, op = 1, vendor, options = [] }: Wire): Packet {
  return {
    op, htype: 1, hops: 0, xid: 0x1234, secs, flags, ciaddr: parseIp(ciaddr), yiaddr: 0, siaddr: 0, giaddr: parseIp(giaddr), mac, sname: '', file: '',
    options: new Map([
      ...type === undefined ? [] : [[option.messageType, u8(messageType[type])] as const],
      ...server === undefined ? [] : [[option.serverId, ip(parseIp(server))] as const],
      ...requested === undefined ? [] : [[option.requestedAddress, ip(parseIp(requested))] as const],
      ...vendor === undefined ? [] : [[option.vendorClass, text(vendor)] as const],
      ...options
    ])
  }
}

/** A segment with 10.0.0.0/24 (range .100 to .119) and 10.0.1.0/24 (no range); this rack is 10.0.0.2. */
export const segmentWith = (rank = 0): Segment => segmentOf('5', {
  interface: 'eth0', address: '10.0.0.2', rank, mtu: 9000,
  subnets: [
    { id: 's1', cidr: '10.0.0.0/24', gateway: '10.0.0.1', dnsServers: ['10.0.0.53', '10.0.0.54'], dynamic: [{ start: '10.0.0.100', end: '10.0.0.119' }], leaseSeconds: 600 },
    { id: 's2', cidr: '10.0.1.0/24', gateway: null, dnsServers: [], dynamic: [], leaseSeconds: 1200 }
  ]
})

export interface Known {
  readonly rank?: number, readonly asked?: number
  readonly hosts?: readonly (readonly [mac: string, address: string])[]
  readonly bindings?: readonly (readonly [mac: string, address: string, seconds: number])[] // seconds from now, negative when lapsed
  readonly offers?: readonly (readonly [mac: string, address: string])[]
  readonly quarantined?: readonly string[]
  readonly refused?: readonly (readonly [mac: string, address: string])[]
  readonly free?: readonly string[]
}
export function viewOf ({ rank = 0, asked = 1, hosts = [], bindings = [], offers = [], quarantined = [], refused = [], free = [] }: Known = {}): View {
  const knownHosts = hosts.map(([mac, address]): Host => ({ subnet: 's1', client: mac, address: parseIp(address), hostname: 'sure-fox' }))
  const knownBindings = bindings.map(([mac, address, seconds]): Binding => ({ subnet: 's1', client: mac, clientId: null, address: parseIp(address), expires: now + seconds * 1000, number: '1' }))
  return {
    segment: segmentWith(rank),
    hosts: mac => knownHosts.filter(host => host.client === mac),
    hostAt: address => knownHosts.find(host => host.address === address),
    bindings: mac => knownBindings.filter(binding => binding.client === mac),
    bindingAt: address => knownBindings.find(binding => binding.address === address),
    offeredTo: address => offers.find(offer => parseIp(offer[1]) === address)?.[0],
    offerTo: mac => { const offer = offers.find(offer => offer[0] === mac); return offer && parseIp(offer[1]) },
    quarantined: address => quarantined.some(held => parseIp(held) === address),
    refused: (address, mac) => refused.some(held => held[0] === mac && parseIp(held[1]) === address),
    free: subnet => subnet === 's1' ? free.map(parseIp) : [],
    asked: () => asked
  }
}
