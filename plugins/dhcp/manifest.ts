/** dhcp: addresses and boot files for the machines of a segment. Data and types only. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineManifest, method, token } from '../../core/plugin.ts'
import type { Client, Entry, Fact, Key } from '../../core/plugin.ts'
import type { DhcpService } from './chain.ts'

const Ip = Type.String({ description: 'IPv4 address' })
const Mac = Type.String({ pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' })
const SubnetEntry = Type.Object({
  id: Type.String(), cidr: Type.String(), gateway: Type.Union([Ip, Type.Null()]), dnsServers: Type.Array(Ip),
  dynamic: Type.Array(Type.Object({ start: Ip, end: Ip })), leaseSeconds: Type.Integer({ minimum: 30 })
})

export const manifest = defineManifest({
  name: 'dhcp',
  config: Type.Object({
    leaseSeconds: Type.Integer({ default: 600, minimum: 30, description: 'Lease time of dynamic addresses, in seconds.' }),
    firmwareLeaseSeconds: Type.Integer({ default: 120, minimum: 30, description: 'Lease time of firmware and boot loaders (PXE, UEFI HTTP boot, iPXE), in seconds, where the subnet\'s is not shorter; the system that boots gets the subnet\'s.' }),
    rackHttpPort: Type.Integer({ default: 5248, minimum: 1, maximum: 65535, description: 'Port of the racks\' own HTTP, which boot file URLs name.' }),
    quarantineSeconds: Type.Integer({ default: 600, minimum: 60, maximum: 3600, description: 'How long an address that a client declined is given to nobody, in seconds.' }),
    blockSize: Type.Integer({ default: 32, minimum: 1, maximum: 1024, description: 'How many free addresses a rack is given at a time to offer from.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** Stores bindings before they are promised. One answer per wish, in order: the binding as stored, or why not. */
    bind: method({
      answeredBy: 'region', timeout: 3_000, idempotent: true,
      params: Type.Object({ wishes: Type.Array(Type.Object({ address: Ip, subnet: Type.String(), mac: Mac, clientId: Type.Union([Type.String(), Type.Null()]), hostname: Type.Union([Type.String(), Type.Null()]), seconds: Type.Integer() }), { minItems: 1, maxItems: 500 }) }),
      result: Type.Object({ answers: Type.Array(Type.Object({ stored: Type.Boolean(), expires: Type.Union([Type.String(), Type.Null()]), reason: Type.Union([Type.String(), Type.Null()]) })) })
    }),
    /** Asks for more free addresses of a subnet for this rack alone; they come back as wanted state `block` too. */
    grant: method({ answeredBy: 'region', timeout: 3_000, params: Type.Object({ subnet: Type.String() }), result: Type.Object({ addresses: Type.Array(Ip) }) })
  },
  wanted: {
    /** id = the VLAN. Present when this rack serves the VLAN. */
    segment: Type.Object({ interface: Type.String(), address: Ip, rank: Type.Integer({ minimum: 0 }), mtu: Type.Integer(), subnets: Type.Array(SubnetEntry) }),
    /** id = the address: set aside for an interface. */
    host: Type.Object({ subnet: Type.String(), mac: Mac, hostname: Type.Union([Type.String(), Type.Null()]) }),
    /** id = the address: a binding, whoever made it; one that has expired stays until the address is wanted elsewhere. */
    binding: Type.Object({ subnet: Type.String(), mac: Mac, clientId: Type.Union([Type.String(), Type.Null()]), expires: Type.String() }),
    /** id = the subnet: this rack's own free addresses. */
    block: Type.Object({ addresses: Type.Array(Ip) })
  },
  facts: {
    released: Type.Object({ address: Ip, subnet: Type.String(), mac: Mac }),
    declined: Type.Object({ address: Ip, subnet: Type.String(), mac: Mac })
  }
})

/** The chain every packet on a rack goes through, for rack halves that extend it: `requires: { dhcp: Dhcp }`, and taps on `deps.dhcp.hooks` during setup. */
export const Dhcp = token<DhcpService>('dhcp.chain')
export type { DhcpHooks, DhcpService, Exchange } from './chain.ts'

type M = typeof manifest
export type SegmentEntry = Static<M['wanted']['segment']>
export type Wish = Static<M['rpc']['bind']['params']>['wishes'][number]
export type Answer = Static<M['rpc']['bind']['result']>['answers'][number]
export type WantedEntry = Entry<M['wanted']>
export type WantedKey = Key<M['wanted']>
export type DhcpFact = Fact<M['facts']>
export type RegionClient = Client<'region', M['rpc']>
