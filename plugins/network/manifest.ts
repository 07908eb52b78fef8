/** network: fabrics, VLANs, subnets, ranges, addresses, and which rack touches which VLAN. Data and types only. */
import { Type, type Static } from 'typebox'
import { defineManifest, token, type Query, type Tx } from '../../core/plugin.ts'

export const Interface = Type.Object({
  name: Type.String({ maxLength: 64 }),
  mac: Type.String({ description: 'lower case, colons' }),
  addresses: Type.Array(Type.String({ description: 'address/prefix length, IPv4 or IPv6, no link-local' })),
  up: Type.Boolean()
})

export const manifest = defineManifest({
  name: 'network',
  config: Type.Object({
    scanSeconds: Type.Integer({ default: 10, minimum: 1, description: 'How often a rack looks at its own interfaces, in seconds. Only differences are reported.' }),
    ignoreInterfaces: Type.Array(Type.String(), { default: ['lo', 'docker*', 'veth*', 'virbr*'], description: 'Interfaces a rack does not report; a trailing * matches any ending.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {},
  wanted: {},
  facts: { interfaces: Type.Object({ interfaces: Type.Array(Interface) }) }
})

export type RackInterface = Static<typeof Interface>
export interface Range { readonly id: string, readonly kind: 'dynamic' | 'reserved', readonly start: string, readonly end: string, readonly comment: string }
export interface Subnet {
  readonly id: string, readonly vlanId: string, readonly name: string, readonly cidr: string, readonly family: 4 | 6
  readonly gateway: string | null, readonly dnsServers: readonly string[], readonly ranges: readonly Range[]
}
export interface Vlan { readonly id: string, readonly fabricId: string, readonly vid: number, readonly name: string, readonly mtu: number }
/** `auto`: given for a deployment and taken back at release; `sticky`: stays with the interface; `reserved`: set aside by hand. */
export interface Address { readonly address: string, readonly subnetId: string, readonly kind: 'auto' | 'sticky' | 'reserved', readonly mac: string | null, readonly owner: string | null, readonly hostname: string | null }
/** A rack's interface with an address in a subnet of that VLAN. */
export interface Attachment { readonly rack: string, readonly vlanId: string, readonly subnetId: string, readonly interface: string, readonly mac: string, readonly address: string }

/** What a rack sees of itself: each interface, and each of its addresses with the subnet and VLAN that hold it. */
export interface SeenInterface {
  readonly rack: string, readonly name: string, readonly mac: string, readonly up: boolean
  readonly addresses: readonly { readonly address: string, readonly subnetId: string | null, readonly vlanId: string | null }[]
}

/**
 * Given to region halves. Change-log topics: `network.vlan`, `network.subnet` (also for its ranges), `network.address` (id = the address),
 * `network.attachment` (id = the rack).
 */
export interface NetworkService {
  vlans(q: Query): Promise<readonly Vlan[]>
  subnets(q: Query, filter?: { readonly vlanId?: string, readonly ids?: readonly string[] }): Promise<readonly Subnet[]>
  /** The subnet an address lies in, the longest prefix first. */
  subnetOf(q: Query, address: string): Promise<Subnet | undefined>
  attachments(q: Query, filter?: { readonly rack?: string, readonly vlanId?: string }): Promise<readonly Attachment[]>
  /** Every interface of every rack, or of one, whether it lies in a subnet or not. */
  interfaces(q: Query, rack?: string): Promise<readonly SeenInterface[]>
  addresses(q: Query, filter: { readonly subnetIds?: readonly string[], readonly macs?: readonly string[], readonly owner?: string, readonly addresses?: readonly string[] }): Promise<readonly Address[]>
  /** Gives a free address outside every range (or `address`, if asked for by name) to `mac`; repeated for the same owner, mac, kind and subnet it gives the same one. ADDRESS_EXHAUSTED, NETWORK_INVALID, CONFLICT. */
  allocate(tx: Tx, wish: { readonly subnetId: string, readonly kind: Address['kind'], readonly mac?: string, readonly owner?: string, readonly hostname?: string, readonly address?: string }): Promise<Address>
  /** Takes back what the filter names; says how many. */
  release(tx: Tx, filter: { readonly owner: string, readonly kind?: Address['kind'] } | { readonly address: string }): Promise<number>
}
export const Network = token<NetworkService>('network.service')
