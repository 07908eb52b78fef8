/** /subnets: the prefixes of a VLAN. No two overlap. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database, Tx } from '../../../core/plugin.ts'
import { formatCidr, normaliseIp, parseCidr } from '../address.ts'
import type { Subnet as SubnetRow } from '../manifest.ts'
import { checkSubnet } from '../plan.ts'
import { countAddresses, deleteSubnet, findSubnet, findVlan, insertSubnet, listAddresses, listSubnets, lockPlan, lockSubnet, overlapping, racksIn, takenBeside, updateSubnet } from '../store.ts'
import { ById, found, Id, Name, page, refuse } from './page.ts'
import { Range } from './ranges.ts'

const Ip = Type.String({ maxLength: 45, description: 'IPv4 or IPv6 address' })
const Cidr = Type.String({ maxLength: 49, description: 'address/prefix length, host bits zero' })
const Gateway = Type.Union([Ip, Type.Null()])
const DnsServers = Type.Array(Ip, { maxItems: 16 })
const Subnet = Type.Object({ id: Id, vlanId: Id, name: Name, cidr: Cidr, family: Type.Integer({ description: '4 or 6' }), gateway: Gateway, dnsServers: DnsServers, ranges: Type.Array(Range) })
const Body = Type.Object({ vlanId: Id, cidr: Cidr, name: Type.Optional(Name), gateway: Type.Optional(Gateway), dnsServers: Type.Optional(DnsServers) })

interface Wish { readonly vlanId: string, readonly name: string, readonly cidr: string, readonly gateway: string | null, readonly dnsServers: readonly string[] }

/** A copy the serialiser may own. */
const shown = (subnet: SubnetRow) => ({ ...subnet, dnsServers: [...subnet.dnsServers], ranges: subnet.ranges.map(range => ({ ...range })) })

/** The wish in canonical spelling. NETWORK_INVALID. */
const canonical = <W extends Wish>(wish: W): W => ({
  ...wish, cidr: formatCidr(parseCidr(wish.cidr)), gateway: wish.gateway === null ? null : normaliseIp(wish.gateway), dnsServers: wish.dnsServers.map(normaliseIp)
})

/** Racks that touch the subnet learn of it, or of its loss, through their attachments. */
async function changed (tx: Tx, id: string, cidrs: readonly string[]): Promise<void> {
  await tx.changed('network.subnet', id)
  const racks = new Set<string>()
  for (const cidr of cidrs) for (const rack of await racksIn(tx, cidr)) racks.add(rack)
  for (const rack of racks) await tx.changed('network.attachment', rack)
}

export const subnetRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/subnets', { schema: { summary: 'List subnets with their ranges', querystring: Type.Object({ ...app.pageQuery.properties, vlanId: Type.Optional(Id) }), response: { 200: app.pageOf(Subnet) } } }, async ({ query }) =>
    page((await listSubnets(db, { ...query, limit: query.limit + 1 })).map(shown), query.limit, ({ id }) => id))

  app.get('/subnets/:id', { schema: { summary: 'Show a subnet with its ranges', params: ById, response: { 200: Subnet } } }, async ({ params: { id } }, reply) => {
    const subnet = found(await findSubnet(db, id), 'subnet', id)
    void reply.etag(subnet)
    return shown(subnet)
  })

  app.post('/subnets', { schema: { summary: 'Add a subnet', body: Body, response: { 201: Subnet } } }, async ({ body }, reply) => {
    const wish = canonical({ name: body.cidr, gateway: null, dnsServers: [], ...body })
    const made = await db.tx(async tx => {
      await lockPlan(tx)
      found(await findVlan(tx, wish.vlanId), 'VLAN', wish.vlanId)
      checkSubnet({ ...wish, ranges: [] }, await overlapping(tx, wish.cidr), [])
      const id = await insertSubnet(tx, wish)
      await changed(tx, id, [wish.cidr])
      return shown((await findSubnet(tx, id))!)
    })
    return reply.code(201).send(made)
  })

  app.patch('/subnets/:id', { schema: { summary: 'Change a subnet', params: ById, body: Type.Partial(Body), response: { 200: Subnet } } }, async request => {
    const { params: { id }, body } = request
    return await db.tx(async tx => {
      await lockPlan(tx)
      await lockSubnet(tx, id)
      const old = found(await findSubnet(tx, id), 'subnet', id)
      request.requireMatch(old, 'subnet', id)
      const wish = canonical({ ...old, ...body })
      found(await findVlan(tx, wish.vlanId), 'VLAN', wish.vlanId)
      checkSubnet(wish, await overlapping(tx, wish.cidr), await takenBeside(tx, id, wish.cidr, wish.gateway))
      await updateSubnet(tx, wish)
      await changed(tx, id, [old.cidr, wish.cidr])
      return shown((await findSubnet(tx, id))!)
    })
  })

  app.delete('/subnets/:id', { schema: { summary: 'Delete a subnet in which no address is in use', params: ById, response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      await lockPlan(tx)
      await lockSubnet(tx, id)
      const subnet = found(await findSubnet(tx, id), 'subnet', id)
      const count = await countAddresses(tx, id)
      const [first] = await listAddresses(tx, { subnetIds: [id] }, { limit: 1 })
      if (first !== undefined) refuse(`Subnet ${subnet.cidr} has ${count === 1 ? `address ${first.address}` : `${count} addresses`} in use${count === 1 ? '' : `, the first is ${first.address}`} (${first.hostname ?? first.owner ?? first.mac ?? 'reserved'}). Release ${count === 1 ? 'it' : 'them'} first.`)
      await deleteSubnet(tx, id)
      await changed(tx, id, [subnet.cidr])
    })
    return reply.code(204).send(null)
  })
}
