/** Finding what a person names: by id, by name, and by what else identifies it. */
import type { Client } from './client.ts'
import { Failure } from './failure.ts'

export interface Fabric { readonly id: string, readonly name: string }
export interface Vlan { readonly id: string, readonly fabricId: string, readonly vid: number, readonly name: string, readonly mtu: number }
export interface Range { readonly id: string, readonly subnetId: string, readonly kind: string, readonly start: string, readonly end: string, readonly comment: string }
export interface Subnet { readonly id: string, readonly vlanId: string, readonly name: string, readonly cidr: string, readonly gateway: string | null, readonly dnsServers: readonly string[], readonly ranges: readonly Range[] }

/** The one that `matches`, an id before a name. Throws Failure when there is none or more than one. */
export function choose<T extends { readonly id: string }> (what: string, given: string, items: readonly T[], matches: (item: T) => readonly string[]): T {
  const found = items.filter(item => matches(item).includes(given))
  const byId = items.find(item => item.id === given)
  if (byId !== undefined) return byId
  if (found.length > 1) throw new Failure(`"${given}" names ${found.length} ${what}s: ${found.map(item => `${item.id} (${matches(item).at(-1) ?? ''})`).join(', ')}. Use the id.`)
  if (found[0] !== undefined) return found[0]
  throw new Failure(`There is no ${what} ${given}.`, { code: 'NOT_FOUND' })
}

export const findFabric = async (client: Client, given: string): Promise<Fabric> => choose('fabric', given, await client.list<Fabric>('/network/fabrics'), ({ name }) => [name])

/** By id, name, number or name after its fabric's (`fabric-0/untagged`, `fabric-0/0`), or by a subnet on it (`10.0.0.0/24`). */
export async function findVlan (client: Client, given: string): Promise<Vlan> {
  const [fabrics, vlans, subnets] = [await client.list<Fabric>('/network/fabrics'), await client.list<Vlan>('/network/vlans'), await client.list<Subnet>('/network/subnets')]
  return choose('VLAN', given, vlans, ({ id, fabricId, name, vid }) => {
    const fabric = fabrics.find(fabric => fabric.id === fabricId)?.name ?? fabricId
    return [name, ...subnets.filter(({ vlanId }) => vlanId === id).map(({ cidr }) => cidr), `${fabric}/${vid}`, `${fabric}/${name}`]
  })
}

/** The VLAN named, or the only one there is. */
export async function vlanOrOnly (client: Client, given: string | undefined): Promise<Vlan> {
  if (given !== undefined) return await findVlan(client, given)
  const vlans = await client.list<Vlan>('/network/vlans')
  if (vlans.length === 1 && vlans[0] !== undefined) return vlans[0]
  throw new Failure(`There are ${vlans.length} VLANs: say which with --vlan.`, { exitCode: 2 })
}

/** By id, name or prefix. */
export const findSubnet = async (client: Client, given: string): Promise<Subnet> => choose('subnet', given, await client.list<Subnet>('/network/subnets'), ({ name, cidr }) => [name, cidr])

export interface Controller { readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly version: string, readonly seenAt: string, readonly linked: boolean, readonly startedAt: string | null, readonly addresses: readonly string[], readonly rpcPort: number | null, readonly httpPort: number | null, readonly api: readonly string[] }

/** Gives a controller's hostname for its id; the id where two have the same name, or it is not known. */
export async function controllerNames (client: Client): Promise<(id: string) => string> {
  const { items } = await client.get<{ readonly items: readonly Controller[] }>('/controllers')
  return id => {
    const name = items.find(one => one.id === id)?.hostname
    return name === undefined || items.some(one => one.hostname === name && one.id !== id) ? id : name
  }
}

/** By id or hostname. */
export const findController = async (client: Client, given: string): Promise<Controller> => choose('controller', given, (await client.get<{ readonly items: readonly Controller[] }>('/controllers')).items, ({ hostname }) => [hostname])
