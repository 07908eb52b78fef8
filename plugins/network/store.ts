/** All SQL of the network: the plan (fabrics, VLANs, subnets, ranges), the addresses given out, and what racks see of themselves. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { Address, Attachment, RackInterface, Range, SeenInterface, Subnet, Vlan } from './manifest.ts'
import type { Taken } from './plan.ts'

export interface Fabric { readonly id: string, readonly name: string }
export interface Page { readonly after?: string | undefined, readonly limit?: number | undefined }

/** Ids are PostgreSQL bigints; anything else names nothing. */
export const isId = (text: string): boolean => /^[1-9]\d{0,17}$/.test(text)
const from = (page: Page): [string, number] => [page.after !== undefined && isId(page.after) ? page.after : '0', page.limit ?? 1_000_000]

const idOrNone = (id: string | undefined): string | null => id === undefined ? null : isId(id) ? id : '0'

/** One change of the plan at a time: what is checked before a write is still so when it commits. Held until the transaction ends. */
export const lockPlan = (tx: Tx): Promise<unknown> => tx.query(`select pg_advisory_xact_lock(hashtext('network.plan'))`)

export const listFabrics = (q: Query, page: Page = {}): Promise<Fabric[]> =>
  q.query<Fabric>('select id::text, name from network.fabric where id > $1 order by network.fabric.id limit $2', from(page))
export const findFabric = async (q: Query, id: string): Promise<Fabric | undefined> =>
  isId(id) ? (await q.query<Fabric>('select id::text, name from network.fabric where id = $1', [id]))[0] : undefined
export const fabricNamed = async (q: Query, name: string): Promise<Fabric | undefined> =>
  (await q.query<Fabric>('select id::text, name from network.fabric where name = $1', [name]))[0]
export const insertFabric = async (tx: Tx, name: string): Promise<string> =>
  (await tx.query<{ id: string }>('insert into network.fabric (name) values ($1) returning id::text', [name]))[0]!.id
export const updateFabric = (tx: Tx, { id, name }: Fabric): Promise<unknown> => tx.query('update network.fabric set name = $2 where id = $1', [id, name])
export const deleteFabric = (tx: Tx, id: string): Promise<unknown> => tx.query('delete from network.fabric where id = $1', [id])

const vlanColumns = 'id::text, fabric_id::text as "fabricId", vid, name, mtu'
export const listVlans = (q: Query, page: Page & { readonly fabricId?: string | undefined } = {}): Promise<Vlan[]> =>
  q.query<Vlan>(`select ${vlanColumns} from network.vlan where id > $1 and ($3::bigint is null or fabric_id = $3) order by network.vlan.id limit $2`, [...from(page), idOrNone(page.fabricId)])
export const findVlan = async (q: Query, id: string): Promise<Vlan | undefined> =>
  isId(id) ? (await q.query<Vlan>(`select ${vlanColumns} from network.vlan where id = $1`, [id]))[0] : undefined
export const insertVlan = async (tx: Tx, vlan: Omit<Vlan, 'id'>): Promise<string> =>
  (await tx.query<{ id: string }>('insert into network.vlan (fabric_id, vid, name, mtu) values ($1, $2, $3, $4) returning id::text', [vlan.fabricId, vlan.vid, vlan.name, vlan.mtu]))[0]!.id
export const updateVlan = (tx: Tx, vlan: Vlan): Promise<unknown> =>
  tx.query('update network.vlan set fabric_id = $2, vid = $3, name = $4, mtu = $5 where id = $1', [vlan.id, vlan.fabricId, vlan.vid, vlan.name, vlan.mtu])
export const deleteVlan = (tx: Tx, id: string): Promise<unknown> => tx.query('delete from network.vlan where id = $1', [id])

const subnets = (where: string) => `
  select s.id::text, s.vlan_id::text as "vlanId", s.name, s.cidr::text, family(s.cidr) as family, host(s.gateway) as gateway,
    array(select host(d) from unnest(s.dns_servers) d) as "dnsServers",
    coalesce((select jsonb_agg(jsonb_build_object('id', r.id::text, 'kind', r.kind, 'start', host(r.low), 'end', host(r.high), 'comment', r.comment) order by r.low)
      from network.range r where r.subnet_id = s.id), '[]') as ranges
  from network.subnet s ${where}`
export const listSubnets = (q: Query, page: Page & { readonly vlanId?: string | undefined, readonly ids?: readonly string[] | undefined } = {}): Promise<Subnet[]> =>
  q.query<Subnet>(subnets('where s.id > $1 and ($3::bigint is null or s.vlan_id = $3) and ($4::bigint[] is null or s.id = any($4)) order by s.id limit $2'),
    [...from(page), idOrNone(page.vlanId), page.ids?.filter(isId) ?? null])
export const findSubnet = async (q: Query, id: string): Promise<Subnet | undefined> =>
  isId(id) ? (await q.query<Subnet>(subnets('where s.id = $1'), [id]))[0] : undefined
/** Longest prefix first; with the constraint that subnets do not overlap there is at most one. */
export const subnetHolding = async (q: Query, address: string): Promise<Subnet | undefined> =>
  (await q.query<Subnet>(subnets('where s.cidr >>= $1::inet order by masklen(s.cidr) desc limit 1'), [address]))[0]
export const overlapping = (q: Query, cidr: string): Promise<{ id: string, name: string, cidr: string }[]> =>
  q.query('select id::text, name, cidr::text from network.subnet where cidr && $1::cidr order by id limit 10', [cidr])
/** Holds off allocations in the subnet until the transaction ends. False when there is no such subnet. */
export const lockSubnet = async (tx: Tx, id: string): Promise<boolean> =>
  isId(id) && (await tx.query('select 1 from network.subnet where id = $1 for no key update', [id])).length === 1
export const insertSubnet = async (tx: Tx, subnet: Omit<Subnet, 'id' | 'family' | 'ranges'>): Promise<string> =>
  (await tx.query<{ id: string }>('insert into network.subnet (vlan_id, name, cidr, gateway, dns_servers) values ($1, $2, $3, $4, $5) returning id::text',
    [subnet.vlanId, subnet.name, subnet.cidr, subnet.gateway, subnet.dnsServers]))[0]!.id
export const updateSubnet = (tx: Tx, subnet: Omit<Subnet, 'family' | 'ranges'>): Promise<unknown> =>
  tx.query('update network.subnet set vlan_id = $2, name = $3, cidr = $4, gateway = $5, dns_servers = $6, cursor = null where id = $1',
    [subnet.id, subnet.vlanId, subnet.name, subnet.cidr, subnet.gateway, subnet.dnsServers])
export const deleteSubnet = (tx: Tx, id: string): Promise<unknown> => tx.query('delete from network.subnet where id = $1', [id])

export type SubnetRange = Range & { readonly subnetId: string }
const rangeColumns = 'id::text, subnet_id::text as "subnetId", kind, host(low) as start, host(high) as "end", comment'
export const listRanges = (q: Query, page: Page & { readonly subnetId?: string | undefined } = {}): Promise<SubnetRange[]> =>
  q.query<SubnetRange>(`select ${rangeColumns} from network.range where id > $1 and ($3::bigint is null or subnet_id = $3) order by network.range.id limit $2`, [...from(page), idOrNone(page.subnetId)])
export const findRange = async (q: Query, id: string): Promise<SubnetRange | undefined> =>
  isId(id) ? (await q.query<SubnetRange>(`select ${rangeColumns} from network.range where id = $1`, [id]))[0] : undefined
export const insertRange = async (tx: Tx, range: Omit<SubnetRange, 'id'>): Promise<string> =>
  (await tx.query<{ id: string }>('insert into network.range (subnet_id, kind, low, high, comment) values ($1, $2, $3, $4, $5) returning id::text',
    [range.subnetId, range.kind, range.start, range.end, range.comment]))[0]!.id
export const updateRange = (tx: Tx, range: SubnetRange): Promise<unknown> =>
  tx.query('update network.range set kind = $2, low = $3, high = $4, comment = $5 where id = $1', [range.id, range.kind, range.start, range.end, range.comment])
export const deleteRange = (tx: Tx, id: string): Promise<unknown> => tx.query('delete from network.range where id = $1', [id])

const addressColumns = 'host(address) as address, subnet_id::text as "subnetId", kind, mac, owner, hostname'
export interface AddressFilter { readonly subnetIds?: readonly string[] | undefined, readonly macs?: readonly string[] | undefined, readonly owner?: string | undefined, readonly addresses?: readonly string[] | undefined }
/** In address order; `after` is the last address of the page before. */
export const listAddresses = (q: Query, filter: AddressFilter = {}, page: Page = {}): Promise<Address[]> =>
  q.query<Address>(`select ${addressColumns} from network.address
    where ($1::bigint[] is null or subnet_id = any($1)) and ($2::text[] is null or mac = any($2)) and ($3::text is null or owner = $3)
      and ($4::inet[] is null or address = any($4)) and ($5::inet is null or address > $5)
    order by network.address.address limit $6`,
  [filter.subnetIds?.filter(isId) ?? null, filter.macs ?? null, filter.owner ?? null, filter.addresses ?? null, page.after ?? null, page.limit ?? 1_000_000])
/** What one owner or interface already has in a subnet. */
export const addressOf = async (q: Query, wish: { readonly subnetId: string, readonly kind: string, readonly mac: string | null, readonly owner: string | null }): Promise<Address | undefined> =>
  (await q.query<Address>(`select ${addressColumns} from network.address where subnet_id = $1 and kind = $2 and mac is not distinct from $3 and owner is not distinct from $4 order by network.address.address limit 1`,
    [wish.subnetId, wish.kind, wish.mac, wish.owner]))[0]
/** False when somebody has it already. */
export const insertAddress = async (tx: Tx, address: Address): Promise<boolean> =>
  (await tx.query('insert into network.address (address, subnet_id, kind, mac, owner, hostname) values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning 1',
    [address.address, address.subnetId, address.kind, address.mac, address.owner, address.hostname])).length === 1
export const renameAddress = (tx: Tx, address: string, hostname: string | null): Promise<unknown> => tx.query('update network.address set hostname = $2 where address = $1', [address, hostname])
export const deleteAddresses = async (tx: Tx, filter: { readonly address?: string, readonly owner?: string, readonly kind?: string }): Promise<string[]> =>
  (await tx.query<{ address: string }>(`delete from network.address where ($1::inet is not null or $2::text is not null)
    and ($1::inet is null or address = $1) and ($2::text is null or owner = $2) and ($3::text is null or kind = $3) returning host(address) as address`,
  [filter.address ?? null, filter.owner ?? null, filter.kind ?? null])).map(row => row.address)

/** Where the search for a free address of the subnet begins; null for its start. */
export const cursorOf = async (tx: Tx, subnetId: string): Promise<string | null> =>
  (await tx.query<{ cursor: string | null }>('select host(cursor) as cursor from network.subnet where id = $1', [subnetId]))[0]?.cursor ?? null
export const moveCursor = (tx: Tx, subnetId: string, address: string): Promise<unknown> => tx.query('update network.subnet set cursor = $2 where id = $1', [subnetId, address])
/**
 * The lowest free address from `first` to `last`: in no range, given to nobody, on no rack, and none of `avoid`. A free
 * address is either `first` itself or follows a taken one, so only those are looked at.
 */
export const firstFree = async (tx: Tx, subnetId: string, first: string, last: string, avoid: readonly string[]): Promise<string | undefined> =>
  (await tx.query<{ address: string }>(`
    select host(c) as address from (
      select $2::inet as c
      union all select address + 1 from network.address where subnet_id = $1 and address >= $2 and address < $3
      union all select high + 1 from network.range where subnet_id = $1 and high >= $2 and high < $3
      union all select address + 1 from network.rack_address where address >= $2 and address < $3
      union all select a + 1 from unnest($4::inet[]) a where a >= $2 and a < $3
    ) candidate
    where c <> all ($4::inet[])
      and not exists (select 1 from network.address where address = c)
      and not exists (select 1 from network.range where subnet_id = $1 and c between low and high)
      and not exists (select 1 from network.rack_address where address = c)
    order by c limit 1`, [subnetId, first, last, avoid]))[0]?.address

const inUse = `select address, by from (
    select subnet_id, address as ip, host(address) as address, 'given to ' || coalesce(hostname, owner, mac, 'nobody in particular') || ' (' || kind || ')' as by from network.address
    union all select s.id, r.address, host(r.address), 'interface ' || r.interface || ' of controller ' || r.rack from network.rack_address r join network.subnet s on s.cidr >>= r.address
  ) used where subnet_id = $1`
/** At most a few of the addresses in use between two others. */
export const takenBetween = (q: Query, subnetId: string, low: string, high: string, racks: boolean): Promise<Taken[]> =>
  q.query<Taken>(`${inUse} and ip between $2 and $3 and ($4 or by not like 'interface %') order by ip limit 3`, [subnetId, low, high, racks])
/** At most a few of the given addresses that the prefix does not hold, or that are `gateway`. */
export const takenBeside = (q: Query, subnetId: string, cidr: string, gateway: string | null): Promise<Taken[]> =>
  q.query<Taken>(`${inUse} and by not like 'interface %' and (not ip <<= $2::cidr or ip = $3::inet) order by ip limit 3`, [subnetId, cidr, gateway])
export const countAddresses = async (q: Query, subnetId: string): Promise<number> =>
  Number((await q.query<{ count: string }>('select count(*) from network.address where subnet_id = $1', [subnetId]))[0]?.count ?? 0)

export const replaceInterfaces = async (tx: Tx, rack: string, interfaces: readonly RackInterface[]): Promise<void> => {
  await tx.query('delete from network.rack_interface where rack = $1', [rack])
  await tx.query(`insert into network.rack_interface (rack, name, mac, up) select $1, i->>'name', i->>'mac', (i->>'up')::boolean from jsonb_array_elements($2::jsonb) i on conflict do nothing`, [rack, JSON.stringify(interfaces)])
  await tx.query(`insert into network.rack_address (rack, interface, address, length)
    select $1, i->>'name', host(a::inet)::inet, masklen(a::inet) from jsonb_array_elements($2::jsonb) i, jsonb_array_elements_text(i->'addresses') a on conflict do nothing`, [rack, JSON.stringify(interfaces)])
}
/** A host address of its own (/32, /128) comes last: it floats, and is somebody else's in a moment. */
export const listAttachments = (q: Query, filter: { readonly rack?: string | undefined, readonly vlanId?: string | undefined } = {}): Promise<Attachment[]> =>
  q.query<Attachment>(`select a.rack, s.vlan_id::text as "vlanId", s.id::text as "subnetId", a.interface, i.mac, host(a.address) as address
    from network.rack_address a join network.rack_interface i on i.rack = a.rack and i.name = a.interface join network.subnet s on s.cidr >>= a.address
    where i.up and ($1::text is null or a.rack = $1) and ($2::bigint is null or s.vlan_id = $2) order by a.rack, a.interface, a.length = case family(a.address) when 4 then 32 else 128 end, a.address`,
  [filter.rack ?? null, idOrNone(filter.vlanId)])
export const listInterfaces = (q: Query, rack?: string): Promise<SeenInterface[]> =>
  q.query<SeenInterface>(`select i.rack, i.name, i.mac, i.up,
      coalesce((select jsonb_agg(jsonb_build_object('address', host(a.address) || '/' || a.length, 'subnetId', s.id::text, 'vlanId', s.vlan_id::text) order by a.address)
        from network.rack_address a left join network.subnet s on s.cidr >>= a.address where a.rack = i.rack and a.interface = i.name), '[]') as addresses
    from network.rack_interface i where $1::text is null or i.rack = $1 order by i.rack, i.name`, [rack ?? null])
export interface Unattached { readonly rack: string, readonly interface: string, readonly mac: string, readonly address: string, readonly cidr: string }
/** Racks' addresses that lie in no subnet. */
export const listUnattached = (q: Query): Promise<Unattached[]> =>
  q.query<Unattached>(`select a.rack, a.interface, i.mac, host(a.address) as address, network(set_masklen(a.address, a.length))::text as cidr
    from network.rack_address a join network.rack_interface i on i.rack = a.rack and i.name = a.interface
    where i.up and not exists (select 1 from network.subnet s where s.cidr >>= a.address) order by a.rack, a.interface, a.address`)
export const racksIn = async (q: Query, cidr: string): Promise<string[]> =>
  (await q.query<{ rack: string }>('select distinct rack from network.rack_address where address <<= $1::cidr order by rack', [cidr])).map(row => row.rack)
