/** dhcp: addresses and boot files for the machines of a segment. Data and types only. */
import { Type } from 'typebox'
import { defineManifest, method } from '../../core/plugin.ts'

const Ip = Type.String({ description: 'IPv4 address' })
const Mac = Type.String({ pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' })
export const Subnet = Type.Object({
  id: Type.String(), cidr: Type.String(), gateway: Type.Union([Ip, Type.Null()]), dnsServers: Type.Array(Ip),
  dynamic: Type.Array(Type.Object({ start: Ip, end: Ip })), leaseSeconds: Type.Integer({ minimum: 30 })
})

export const manifest = defineManifest({
  name: 'dhcp',
  config: Type.Object({
    leaseSeconds: Type.Integer({ default: 600, minimum: 30, description: 'Lease time of dynamic addresses, in seconds.' }),
    blockSize: Type.Integer({ default: 32, minimum: 1, maximum: 1024, description: 'How many free addresses a rack is given at a time to offer from.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** Stores bindings before they are promised. One answer per wish, in order: the binding as stored, or why not. */
    bind: method({
      answeredBy: 'region', timeout: 3_000,
      params: Type.Object({ wishes: Type.Array(Type.Object({ address: Ip, subnet: Type.String(), mac: Mac, clientId: Type.Union([Type.String(), Type.Null()]), hostname: Type.Union([Type.String(), Type.Null()]), seconds: Type.Integer() }), { minItems: 1, maxItems: 500 }) }),
      result: Type.Object({ answers: Type.Array(Type.Object({ stored: Type.Boolean(), expires: Type.Union([Type.String(), Type.Null()]), reason: Type.Union([Type.String(), Type.Null()]) })) })
    }),
    /** Asks for more free addresses of a subnet for this rack alone; they come back as wanted state `block` too. */
    grant: method({ answeredBy: 'region', timeout: 3_000, params: Type.Object({ subnet: Type.String() }), result: Type.Object({ addresses: Type.Array(Ip) }) })
  },
  wanted: {
    /** id = the VLAN. Present when this rack serves the VLAN. */
    segment: Type.Object({ interface: Type.String(), address: Ip, rank: Type.Integer({ minimum: 0 }), subnets: Type.Array(Subnet) }),
    /** id = `<subnet>/<mac>`: an address set aside for an interface. */
    host: Type.Object({ subnet: Type.String(), mac: Mac, address: Ip, hostname: Type.Union([Type.String(), Type.Null()]) }),
    /** id = the address: a binding, whoever made it. */
    binding: Type.Object({ subnet: Type.String(), mac: Mac, clientId: Type.Union([Type.String(), Type.Null()]), expires: Type.String() }),
    /** id = the subnet: this rack's own free addresses. */
    block: Type.Object({ addresses: Type.Array(Ip) })
  },
  facts: {
    released: Type.Object({ address: Ip, subnet: Type.String(), mac: Mac }),
    declined: Type.Object({ address: Ip, subnet: Type.String(), mac: Mac })
  }
})
