/** What clients of a subnet are told: the plan of the network, and over it what operators set for everybody, a subnet or a machine. Time and packets play no part. */
import type { WantedEntry, WantedKey } from '../manifest.ts'
import type { Segment, Subnet } from '../v4/segment.ts'
import { option } from './codes.ts'
import { ip, u16 } from './values.ts'

export interface Told {
  /** By code, what matters most first. */
  readonly values: ReadonlyMap<number, Buffer>
  /** Those that operators set: they stand above what a boot file or a host name would put there. */
  readonly set: ReadonlySet<number>
}

/** Told only to clients that ask: the MTU; IPv6-only, which nobody else may be sent (RFC 8925 section 3.3); routes, with which a client ignores its router (RFC 3442). */
export const onlyAsked: ReadonlySet<number> = new Set([option.mtu, option.v6Only, option.routes, option.msRoutes])

const none: ReadonlySet<number> = new Set()

/** What the network's plan says of a subnet. */
export function plainTold (segment: Segment, subnet: Subnet): Told {
  const values = new Map<number, Buffer>([[option.subnetMask, ip(subnet.prefix.mask)]])
  if (subnet.gateway !== null) values.set(option.router, ip(subnet.gateway))
  if (subnet.dnsServers.length > 0) values.set(option.dnsServers, ip(...subnet.dnsServers))
  values.set(option.broadcast, ip(subnet.prefix.broadcast))
  values.set(option.mtu, u16(segment.mtu))
  return { values, set: none }
}

function over (below: Told, options: ReadonlyMap<number, Buffer> | undefined): Told {
  if (options === undefined || options.size === 0) return below
  return { values: new Map([...below.values, ...options]), set: new Set([...below.set, ...options.keys()]) }
}

/** Windows before 10 asks for routes by a number of its own; the value is the same. */
function withMsRoutes ({ values, set }: Told): Told {
  const routes = values.get(option.routes)
  return routes === undefined || values.has(option.msRoutes) ? { values, set } : { values: new Map([...values, [option.msRoutes, routes]]), set }
}

/** The options of operators, by scope: `global`, `subnet:<id>` or `mac:<mac>`. What a subnet's clients are told is put together once and kept until something changes. */
export class ToldBySubnet {
  private readonly scopes = new Map<string, ReadonlyMap<number, Buffer>>()
  private machines = 0
  private kept = new WeakMap<Subnet, Told>()

  /** Takes in wanted state; entries of other kinds are passed over. */
  apply (put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean): void {
    if (!whole && !put.some(({ kind }) => kind === 'options') && !remove.some(({ kind }) => kind === 'options')) return
    if (whole) this.scopes.clear()
    for (const { kind, id } of remove) if (kind === 'options') this.scopes.delete(id)
    for (const { kind, id, value } of put) if (kind === 'options') this.scopes.set(id, new Map(value.options.map(({ code, data }) => [code, Buffer.from(data, 'hex')])))
    this.kept = new WeakMap()
    this.machines = 0
    for (const scope of this.scopes.keys()) if (scope.startsWith('mac:')) this.machines++
  }

  /** What a client is told there. */
  of (segment: Segment, subnet: Subnet, mac: string): Told {
    let told = this.kept.get(subnet)
    if (told === undefined) {
      told = withMsRoutes(over(over(plainTold(segment, subnet), this.scopes.get('global')), this.scopes.get(`subnet:${subnet.id}`)))
      this.kept.set(subnet, told)
    }
    const own = this.machines === 0 ? undefined : this.scopes.get(`mac:${mac}`)
    return own === undefined ? told : withMsRoutes(over(told, own))
  }
}
