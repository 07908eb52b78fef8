/** /leases: who has which address; /addresses/:address/history: who had it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isIP } from 'node:net'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import { macOf } from '../config/custom.ts'
import { clientIdOf } from '../config/fixed.ts'
import { removeBinding } from '../store.ts'
import { endQuarantine, holdings, leaseStates, listLeases } from '../store/leases.ts'

const tags = ['dhcp']
const OrNull = (description: string) => Type.Union([Type.String({ description }), Type.Null()])
const Lease = Type.Object({
  address: Type.String(), subnet: Type.String(),
  state: Type.Enum([...leaseStates], { description: 'active; expired, still its client\'s favourite; retiring, on its way to somebody else; set-aside for its client, without a lease; quarantine, found in use by somebody; block of a rack, to be offered; reserve of a rack, for when it is cut off' }),
  client: OrNull('MAC; `id:` and the client id of one fixed by that; `duid/iaid` of DHCPv6'), clientId: OrNull('hex'), hostname: OrNull('as the client calls itself'), rack: OrNull('whose block or reserve it lies in'),
  since: OrNull('when its client got it'), boundAt: OrNull('when it was last extended'), expires: OrNull('end of the lease, or of the quarantine'),
  circuitId: OrNull('port of the relay its client last came through (RFC 3046), in hex'), remoteId: OrNull('that relay, or its client\'s line, as the relay calls it, in hex')
})
const Holding = Type.Object({ address: Type.String(), subnet: Type.String(), client: Type.String(), clientId: OrNull('hex'), hostname: OrNull('as the client called itself'), since: Type.String(), until: OrNull('null while it lasts') })
const ByAddress = Type.Object({ address: Type.String({ maxLength: 45 }) })

/** An address of either family, as it was written. Throws INVALID_REQUEST. */
function checked (text: string): string {
  if (isIP(text) === 0) throw new BedplateError('INVALID_REQUEST', { reason: `${JSON.stringify(text.slice(0, 60))} is not an IP address.` })
  return text
}
const iso = (date: Date | null): string | null => date?.toISOString() ?? null

export const leaseRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 800, description }))
  app.get('/leases', {
    schema: {
      tags,
      summary: 'Addresses and who has them, by address',
      querystring: Type.Object({
        ...app.pageQuery.properties, address: text('exactly this one'), mac: text('any common form'), client: text('as it is shown, for clients without a MAC'), clientId: text('hex, with or without colons'),
        hostname: text('as the client calls itself'), subnet: text('id'), state: Type.Optional(Type.Enum([...leaseStates]))
      }),
      response: { 200: app.pageOf(Lease) }
    }
  }, async ({ query: { limit, after, address, mac, client, clientId, hostname, subnet, state } }) => {
    const found = await listLeases(db, {
      limit: limit + 1, after: after === undefined ? after : checked(after), address: address === undefined ? address : checked(address), client: mac === undefined ? client : macOf(mac),
      clientId: clientId === undefined ? clientId : clientIdOf(clientId), hostname, subnet, state
    })
    const items = found.slice(0, limit).map(lease => ({ ...lease, since: iso(lease.since), boundAt: iso(lease.boundAt), expires: iso(lease.expires) }))
    const last = items.at(-1)
    return { items, ...found.length > limit && last !== undefined ? { next: last.address } : {} }
  })

  app.delete('/leases/:address', {
    schema: { tags, summary: 'End the claim of an address\'s client, or its quarantine; a client that still asks for it has it again', params: ByAddress, response: { 204: Type.Null() } }
  }, async ({ params }, reply) => {
    const address = checked(params.address)
    await db.tx(async tx => {
      const [lease] = await listLeases(tx, { address, limit: 1 })
      if (lease === undefined) throw new BedplateError('NOT_FOUND', { what: 'lease of', id: address })
      if (lease.state === 'block' || lease.state === 'reserve') throw new BedplateError('CONFLICT', { reason: `Nobody has ${lease.address}: it lies in the ${lease.state} of rack ${lease.rack ?? ''}.` })
      if (lease.state === 'set-aside') throw new BedplateError('CONFLICT', { reason: `Nobody has ${lease.address} now; it is set aside for ${lease.client ?? ''}.` })
      if (lease.state === 'quarantine' ? await endQuarantine(tx, address) : await removeBinding(tx, address)) await tx.changed('dhcp.binding', lease.address)
    })
    return reply.code(204).send(null)
  })

  app.get('/addresses/:address/history', {
    schema: {
      tags,
      summary: 'Who had an address, the last first; or who had it at a time',
      params: ByAddress,
      querystring: Type.Object({ at: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601' })), limit: Type.Integer({ default: 100, minimum: 1, maximum: 1000 }) }),
      response: { 200: Type.Object({ items: Type.Array(Holding) }) }
    }
  }, async ({ params, query: { at, limit } }) => {
    const moment = at === undefined ? undefined : new Date(at)
    if (moment !== undefined && Number.isNaN(moment.getTime())) throw new BedplateError('INVALID_REQUEST', { reason: `${JSON.stringify(at)} is not a time: write it as 2030-01-31T12:00:00Z.` })
    return { items: (await holdings(db, checked(params.address), { at: moment, limit })).map(one => ({ ...one, since: one.since.toISOString(), until: iso(one.until) })) }
  })
}
