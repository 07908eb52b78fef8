/** /subnets: lease times and names of a subnet's clients. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { checkSubnet, DomainName, longestLease, shortestLease } from '../config/subnet.ts'
import { listSubnetSettings, lockSettings, saveSubnet, subnetSettings, unset } from '../store/settings.ts'
import type { SubnetSettings } from '../store/settings.ts'

const OrNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(schema: T) => Type.Union([schema, Type.Null()])
const Seconds = (description: string) => OrNull(Type.Integer({ minimum: shortestLease, maximum: longestLease, description }))
const fields = {
  leaseSeconds: Seconds('Lease time; null: the configuration\'s'),
  firmwareSeconds: Seconds('Lease time of boot firmware; null: the configuration\'s'),
  domain: OrNull(DomainName),
  search: Type.Array(DomainName, { maxItems: 32, uniqueItems: true, description: 'Domains to search names in' }),
  ntp: Type.Array(Type.String({ maxLength: 45 }), { maxItems: 16, uniqueItems: true, description: 'Time servers, by address' })
}
const Settings = Type.Object({ id: Type.String(), cidr: Type.String(), ...fields })
const Body = Type.Partial(Type.Object(fields), { additionalProperties: false })
const tags = ['dhcp']

const shown = (settings: SubnetSettings, cidr: string): Static<typeof Settings> => ({ ...settings, cidr, search: [...settings.search], ntp: [...settings.ntp] })

export const subnetRoutes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  app.get('/subnets', { schema: { tags, summary: 'DHCP settings of every subnet', response: { 200: Type.Object({ items: Type.Array(Settings) }) } } }, async () => {
    const settings = new Map((await listSubnetSettings(db)).map(one => [one.id, one]))
    return { items: (await network.subnets(db)).map(({ id, cidr }) => shown(settings.get(id) ?? unset(id), cidr)) }
  })

  app.get('/subnets/:subnet', { schema: { tags, summary: 'DHCP settings of a subnet', params: Type.Object({ subnet: Type.String() }), response: { 200: Settings } } }, async ({ params: { subnet: id } }, reply) => {
    const [subnet] = await network.subnets(db, { ids: [id] })
    if (subnet === undefined) throw new BedplateError('NOT_FOUND', { what: 'subnet', id })
    const settings = await subnetSettings(db, id)
    void reply.etag(settings)
    return shown(settings, subnet.cidr)
  })

  app.put('/subnets/:subnet', { schema: { tags, summary: 'Set lease times and names of a subnet; what is left out goes back to its default', params: Type.Object({ subnet: Type.String() }), body: Body, response: { 200: Settings } } }, async (request, reply) => {
    const { params: { subnet: id }, body } = request
    const saved = await db.tx(async tx => {
      await lockSettings(tx)
      const [subnet] = await network.subnets(tx, { ids: [id] })
      if (subnet === undefined) throw new BedplateError('NOT_FOUND', { what: 'subnet', id })
      request.requireMatch(await subnetSettings(tx, id), 'DHCP of subnet', id)
      const settings = checkSubnet({ ...unset(id), ...body }, subnet)
      await saveSubnet(tx, settings)
      await tx.changed('dhcp.subnet', id)
      return { settings, cidr: subnet.cidr }
    })
    void reply.etag(saved.settings)
    return shown(saved.settings, saved.cidr)
  })
}
