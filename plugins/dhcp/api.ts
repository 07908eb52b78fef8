/** /api/v1/dhcp: which VLANs are served by which racks, and the bindings. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database, Query } from '../../core/plugin.ts'
import type { NetworkService } from '../network/manifest.ts'
import { ipText, parseIp } from './ipv4.ts'
import { listBindings, listVlans, removeBinding, saveVlan } from './store.ts'
import { ranked } from './wanted.ts'

const Vlan = Type.Object({
  id: Type.String(),
  enabled: Type.Boolean(),
  racks: Type.Array(Type.String(), { description: 'The racks asked for, ranked; empty: every rack attached to the VLAN.' }),
  serving: Type.Array(Type.String(), { description: 'The racks that serve it, ranked: the first answers first.' })
})
const Binding = Type.Object({
  address: Type.String(), subnet: Type.String(), mac: Type.String(), clientId: Type.Union([Type.String(), Type.Null()]), hostname: Type.Union([Type.String(), Type.Null()]),
  boundAt: Type.String(), expires: Type.String()
})
const tags = ['dhcp']

/** A MAC in any common form, as bindings keep it. Throws INVALID_REQUEST. */
function normaliseMac (text: string): string {
  const digits = text.toLowerCase().replace(/[:.-]/g, '')
  if (!/^[0-9a-f]{12}$/.test(digits)) throw new BedplateError('INVALID_REQUEST', { reason: `"${text}" is not a MAC address.` })
  return digits.replace(/..(?!$)/g, '$&:')
}

export const routes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  const show = async (q: Query, ids?: readonly string[]) => {
    const [vlans, settings, attachments] = [await network.vlans(q), await listVlans(q, ids), await network.attachments(q)]
    return vlans.filter(({ id }) => ids === undefined || ids.includes(id)).map(({ id }) => {
      const { enabled, racks } = settings.find(vlan => vlan.id === id) ?? { enabled: false, racks: [] }
      return { id, enabled, racks: [...racks], serving: enabled ? ranked({ racks }, attachments.filter(({ vlanId }) => vlanId === id)) : [] }
    })
  }

  app.get('/vlans', { schema: { tags, summary: 'DHCP of every VLAN', response: { 200: Type.Object({ items: Type.Array(Vlan) }) } } },
    async () => ({ items: await show(db) }))

  app.put('/vlans/:vlan', {
    schema: {
      tags,
      summary: 'Turn DHCP of a VLAN on or off, and choose its racks',
      params: Type.Object({ vlan: Type.String() }),
      body: Type.Object({ enabled: Type.Boolean(), racks: Type.Optional(Type.Array(Type.String(), { maxItems: 32, uniqueItems: true })) }, { additionalProperties: false }),
      response: { 200: Vlan }
    }
  }, async ({ params: { vlan: id }, body: { enabled, racks = [] } }) => db.tx(async tx => {
    const vlan = (await network.vlans(tx)).find(vlan => vlan.id === id)
    if (vlan === undefined) throw new BedplateError('NOT_FOUND', { what: 'VLAN', id })
    const subnets = (await network.subnets(tx, { vlanId: id })).filter(({ family }) => family === 4)
    const attachments = (await network.attachments(tx, { vlanId: id })).filter(({ subnetId }) => subnets.some(subnet => subnet.id === subnetId))
    const absent = racks.filter(rack => !attachments.some(attachment => attachment.rack === rack))
    const refuse = (reason: string) => { throw new BedplateError('NETWORK_INVALID', { reason }) }
    if (absent.length > 0) refuse(`${absent.map(rack => `Rack ${rack}`).join(' and ')} has no interface with an IPv4 address on VLAN ${vlan.name} (${id}). Choose among: ${[...new Set(attachments.map(({ rack }) => rack))].join(', ') || 'none so far'}.`)
    if (enabled && !subnets.some(({ ranges }) => ranges.some(({ kind }) => kind === 'dynamic'))) refuse(`DHCP on VLAN ${vlan.name} (${id}) needs an IPv4 subnet there with a dynamic range to give addresses from. Add one first.`)
    if (enabled && attachments.length === 0) refuse(`No rack has an interface with an IPv4 address on VLAN ${vlan.name} (${id}), so nobody could serve it.`)
    await saveVlan(tx, { id, enabled, racks })
    await tx.changed('dhcp.vlan', id)
    const [shown] = await show(tx, [id])
    if (shown === undefined) throw new BedplateError('NOT_FOUND', { what: 'VLAN', id })
    return shown
  }))

  app.get('/bindings', {
    schema: {
      tags,
      summary: 'Addresses in use, by address',
      querystring: Type.Object({
        subnet: Type.Optional(Type.String()), mac: Type.Optional(Type.String()), address: Type.Optional(Type.String()),
        limit: Type.Integer({ default: 100, minimum: 1, maximum: 1000 }), after: Type.Optional(Type.String({ description: '`next` of the page before' }))
      }),
      response: { 200: Type.Object({ items: Type.Array(Binding), next: Type.Union([Type.String(), Type.Null()]) }) }
    }
  }, async ({ query: { subnet, mac, address, limit, after } }) => {
    const canonical = (text: string | undefined) => text === undefined ? undefined : ipText(parseIp(text))
    const found = await listBindings(db, { subnet, mac: mac === undefined ? undefined : normaliseMac(mac), address: canonical(address), limit: limit + 1, after: canonical(after) })
    const items = found.slice(0, limit).map(({ client, number: _, ...binding }) => ({ ...binding, mac: client, boundAt: binding.boundAt.toISOString(), expires: binding.expires.toISOString() }))
    return { items, next: found.length > limit ? items.at(-1)?.address ?? null : null }
  })

  app.delete('/bindings/:address', {
    schema: { tags, summary: 'Forget a binding; its machine may lose the address at its next renewal', params: Type.Object({ address: Type.String() }), response: { 204: Type.Null() } }
  }, async ({ params }, reply) => {
    const address = ipText(parseIp(params.address))
    await db.tx(async tx => {
      if (!await removeBinding(tx, address)) throw new BedplateError('NOT_FOUND', { what: 'binding of', id: address })
      await tx.changed('dhcp.binding', address)
    })
    return reply.code(204).send(null)
  })
}
