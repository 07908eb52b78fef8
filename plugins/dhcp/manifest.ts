/** dhcp: addresses and boot files for the machines of a segment. Data and types only. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineManifest, method, token } from '../../core/plugin.ts'
import type { Client as RpcClient, Entry, Fact, Key, Query } from '../../core/plugin.ts'
import type { Attachment } from '../network/manifest.ts'
import type { DhcpService } from './v4/chain.ts'

const Ip = Type.String({ description: 'IPv4 or IPv6 address' })
const Text = Type.Union([Type.String(), Type.Null()])
/** Who a client is: see ClientKey in referee.ts. */
const Client = Type.String({ minLength: 1, maxLength: 300 })
/** A bigint of the database. */
const Number = Type.String({ pattern: '^[0-9]{1,19}$' })
const WishedBinding = { address: Ip, subnet: Type.String(), client: Client, clientId: Text, hostname: Text, seconds: Type.Integer() }
/** The port of a relay a client is on: circuit and remote id (RFC 3046), in hex. */
const Relay = Type.Object({ circuitId: Type.Union([Type.String({ maxLength: 510 }), Type.Null()]), remoteId: Type.Union([Type.String({ maxLength: 510 }), Type.Null()]) })
const SubnetEntry = Type.Object({
  id: Type.String(), cidr: Type.String(), gateway: Type.Union([Ip, Type.Null()]), dnsServers: Type.Array(Ip),
  dynamic: Type.Array(Type.Object({ start: Ip, end: Ip })), leaseSeconds: Type.Integer({ minimum: 30 }),
  firmwareSeconds: Type.Optional(Type.Integer({ minimum: 30 })), // absent: the configuration's
  link: Type.Optional(Type.String()) // the VLAN it is on, where that is another one, behind relays
})

export const manifest = defineManifest({
  name: 'dhcp',
  config: Type.Object({
    leaseSeconds: Type.Integer({ default: 600, minimum: 30, description: 'Lease time of dynamic addresses, in seconds.' }),
    firmwareLeaseSeconds: Type.Integer({ default: 120, minimum: 30, description: 'Lease time of firmware and boot loaders (PXE, UEFI HTTP boot, iPXE), in seconds, where the subnet\'s is not shorter; the system that boots gets the subnet\'s.' }),
    rackHttpPort: Type.Integer({ default: 5248, minimum: 1, maximum: 65535, description: 'Port of the racks\' own HTTP, which boot file URLs name.' }),
    quarantineSeconds: Type.Integer({ default: 600, minimum: 60, maximum: 3600, description: 'How long an address that a client declined is given to nobody, in seconds.' }),
    autonomySeconds: Type.Integer({ default: 3600, minimum: 300, maximum: 604_800, description: 'How long a rack that reaches no region may extend leases it knows, in seconds; so long an address that it knew waits for it before it goes to somebody else.' }),
    reserveSize: Type.Integer({ default: 8, minimum: 0, maximum: 1024, description: 'How many addresses of each subnet are set aside for each rack, for clients nobody knows while it reaches no region.' }),
    historyDays: Type.Integer({ default: 90, minimum: 1, maximum: 3650, description: 'How many days it is kept who had which address.' }),
    blockSize: Type.Integer({ default: 32, minimum: 1, maximum: 1024, description: 'How many free addresses a rack is given at a time to offer from.' }),
    newClientPoolSeconds: Type.Integer({ default: 60, minimum: 1, description: 'Clients that nobody knows may take the whole pool of a VLAN in so many seconds, no faster; half of it at once.' }),
    newClientsPerSecond: Type.Integer({ default: 20, minimum: 1, description: 'Clients that nobody knows that are served a second on every VLAN, however small its pool.' }),
    newClientsPerPort: Type.Integer({ default: 10, minimum: 1, description: 'Clients that nobody knows that are served a second behind one port of a relay (circuit and remote id).' }),
    newClientsPortBurst: Type.Integer({ default: 100, minimum: 1, description: 'How many of them at once.' }),
    rapidCommit: Type.Boolean({ default: true, description: 'Whether a client that asks for it (RFC 4039) is given its lease with two packets instead of four.' }),
    probeSeconds: Type.Integer({ default: 600, minimum: 0, description: 'After how many seconds a free address is looked for on the wire again, so that one that somebody uses is not offered; 0: never looked for.' }),
    rogueProbeSeconds: Type.Integer({ default: 300, minimum: 0, description: 'How often a rack looks for foreign DHCP servers on each VLAN it serves, in seconds; 0: never.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** Stores bindings before they are promised. One answer per wish, in order: the binding as stored, or why not. */
    bind: method({
      answeredBy: 'region', timeout: 3_000, idempotent: true,
      params: Type.Object({ wishes: Type.Array(Type.Object({ ...WishedBinding, relay: Type.Optional(Relay) }), { minItems: 1, maxItems: 500 }) }),
      // `number` names the binding as stored; `quiet`: another rack may have given the address alone, so no NAK.
      result: Type.Object({ answers: Type.Array(Type.Object({ stored: Type.Boolean(), expires: Text, number: Type.Union([Number, Type.Null()]), reason: Text, quiet: Type.Boolean() })) })
    }),
    /** Asks for more free addresses of a subnet for this rack alone; they come back as wanted state `block` too. */
    grant: method({ answeredBy: 'region', timeout: 3_000, params: Type.Object({ subnet: Type.String() }), result: Type.Object({ addresses: Type.Array(Ip) }) }),
    /**
     * Says that this rack is there, and exchanges what changed while it was not: leases it gave alone (in the order of its journal), retirements it has durably
     * forgotten, reserve addresses it gives back. The answer: its standing, how far the journal is stored, its reserve, and what of that it should give back.
     */
    sync: method({
      answeredBy: 'region', timeout: 5_000, idempotent: true,
      params: Type.Object({
        epoch: Type.String({ minLength: 1, maxLength: 100 }),
        last: Type.Integer({ minimum: 0, description: 'the last number this journal has given' }),
        entries: Type.Array(Type.Object({ seq: Type.Integer({ minimum: 1 }), from: Type.Union([Type.Literal('reserve'), Type.Literal('knowledge')]), ...WishedBinding }), { maxItems: 500 }),
        forgotten: Type.Array(Type.Object({ address: Ip, round: Number }), { maxItems: 5000 }),
        returned: Type.Array(Type.Object({ address: Ip, grant: Number }), { maxItems: 5000 }),
        subnets: Type.Array(Type.Object({ subnet: Type.String(), count: Type.Integer({ minimum: 0, maximum: 1024 }) }), { maxItems: 1000 })
      }),
      result: Type.Object({
        standing: Number, autonomySeconds: Type.Integer(), through: Type.Integer(), refused: Type.Array(Type.Integer()),
        reserves: Type.Array(Type.Object({ address: Ip, subnet: Type.String(), grant: Number })),
        surplus: Type.Array(Ip)
      })
    })
  },
  wanted: {
    /** id = the VLAN. Present when this rack serves the VLAN. */
    segment: Type.Object({
      interface: Type.String(), address: Ip, rank: Type.Integer({ minimum: 0 }), mtu: Type.Integer(), subnets: Type.Array(SubnetEntry),
      peers: Type.Optional(Type.Array(Ip)), // addresses of the other racks there: their words are not a foreign server's
      bootAddress: Type.Optional(Ip), // what the racks there hold in turn: where machines find what they boot; absent: at `address`
      mode: Type.Optional(Type.Enum(['server', 'proxy', 'off'])), // IPv4: gives addresses, or only says what to boot, or does nothing; absent: server
      v6: Type.Optional(Type.Enum(['off', 'stateless', 'stateful'])) // absent: off
    }),
    /** id = the VLAN. Present when this rack serves the VLAN with DHCPv6. `address`: this rack's own there; `server`: a UUID, the same on every rack; `taken`: addresses in the ranges that are somebody's without a binding. */
    segment6: Type.Object({
      interface: Type.String(), address: Type.Union([Ip, Type.Null()]), bootAddress: Type.Optional(Ip), rank: Type.Integer({ minimum: 0 }), mode: Type.Union([Type.Literal('stateless'), Type.Literal('stateful')]),
      server: Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }),
      subnets: Type.Array(Type.Object({
        id: Type.String(), cidr: Type.String(), dnsServers: Type.Array(Ip), search: Type.Array(Type.String()), ntpServers: Type.Array(Ip),
        dynamic: Type.Array(Type.Object({ start: Ip, end: Ip })), taken: Type.Array(Ip), leaseSeconds: Type.Integer({ minimum: 30 }),
        link: Type.Optional(Type.String()) // of a VLAN whose relays send to this one: that VLAN
      }))
    }),
    /** id = the scope: `global`, `subnet:<id>` or `mac:<mac>`. What operators set, by code, as it goes over the wire; the narrower scope counts. */
    options: Type.Object({ options: Type.Array(Type.Object({ code: Type.Integer({ minimum: 1, maximum: 254 }), data: Type.String({ pattern: '^([0-9a-f]{2})*$', description: 'hex' }) })) }),
    /** id = the address: set aside for a client; for one known by its client id, `client` is `id:` and that in hex. */
    host: Type.Object({ subnet: Type.String(), client: Client, hostname: Text }),
    /** id = the address: a binding, whoever made it; one that has expired stays until the address is wanted elsewhere. */
    binding: Type.Object({ subnet: Type.String(), client: Client, clientId: Text, expires: Type.String(), number: Number }),
    /** id = the address: its last client is to be forgotten, and the rack says so in its next `sync`. Bindings with a smaller number are void. */
    retiring: Type.Object({ subnet: Type.String(), round: Number }),
    /** id = `self`: the rack may act on what it knows only while the last `sync` answered this number. */
    standing: Type.Object({ number: Number }),
    /** id = the subnet: this rack's own free addresses. */
    block: Type.Object({ addresses: Type.Array(Ip) })
  },
  facts: {
    /** A DHCP server that is none of ours speaks on a VLAN this rack gives addresses on. Told again while it does. */
    rogue: Type.Object({ vlan: Type.String(), address: Ip, mac: Type.String({ maxLength: 40 }) }),
    /** An address of this rack's block that somebody uses without a lease; `mac`: who, where that can be told. */
    occupied: Type.Object({ address: Ip, subnet: Type.String(), mac: Text }),
    /** `number` names the binding meant; null: any of this client. */
    released: Type.Object({ address: Ip, subnet: Type.String(), client: Client, number: Type.Union([Number, Type.Null()]) }),
    declined: Type.Object({ address: Ip, subnet: Type.String(), client: Client, number: Type.Union([Number, Type.Null()]) })
  }
})

/** The chain every packet on a rack goes through, for rack halves that extend it: `requires: { dhcp: Dhcp }`, and taps on `deps.dhcp.hooks` during setup. */
export const Dhcp = token<DhcpService>('dhcp.chain')
export type { DhcpHooks, DhcpService, Exchange } from './v4/chain.ts'
export type { LoaderKind } from './options/loaders.ts'

/** A binding as other plugins see it. `hostname` is what it is known under: of its fixed address, or what its client calls itself. */
export interface LeaseOf { readonly address: string, readonly subnetId: string, readonly client: string, readonly hostname: string | null, readonly boundAt: Date, readonly expires: Date }
/**
 * Given to region halves. Change-log topic `dhcp.binding` (id = the address): its lease was made, extended, ended or taken back; read it here, and none means that nobody has the address now.
 * An extension changes nothing a name server would say: compare client and hostname with what was there.
 * A lease that ends by itself is no change: read it again at its `expires`.
 */
export interface LeaseService {
  /** The leases in force, by address. */
  leases(q: Query, filter?: { readonly addresses?: readonly string[], readonly subnetIds?: readonly string[] }): Promise<readonly LeaseOf[]>
}
export const Leases = token<LeaseService>('dhcp.leases')

/** A VLAN with DHCP on: for which families, and the racks that serve it, ranked, each with its addresses there (those that float come last). VLANs behind relays are served by the racks of another one, and not named. */
export interface VlanRacks { readonly vlanId: string, readonly v4: boolean, readonly v6: boolean, readonly racks: readonly { readonly rack: string, readonly attachments: readonly Attachment[] }[] }
/** Given to region halves. Change-log topics: `dhcp.vlan` and `dhcp.serving`, and the network's own. */
export interface VlanRacksService { vlans(q: Query): Promise<readonly VlanRacks[]> }
export const ServedVlans = token<VlanRacksService>('dhcp.served')

type M = typeof manifest
export type SegmentEntry = Static<M['wanted']['segment']>
export type Segment6Entry = Static<M['wanted']['segment6']>
export type Wish = Static<M['rpc']['bind']['params']>['wishes'][number]
export type Answer = Static<M['rpc']['bind']['result']>['answers'][number]
export type WantedEntry = Entry<M['wanted']>
export type WantedKey = Key<M['wanted']>
export type DhcpFact = Fact<M['facts']>
export type RegionClient = RpcClient<'region', M['rpc']>
export type SyncParams = Static<M['rpc']['sync']['params']>
export type SyncResult = Static<M['rpc']['sync']['result']>
