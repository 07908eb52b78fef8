/** /vlans: the boot address of each VLAN, which its racks hold in turn. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { bytesOf } from '../../../core/address/address.ts'
import { BedplateError } from '../../../core/errors.ts'
import type { Database, Query } from '../../../core/plugin.ts'
import { settle, show } from '../region/addresses.ts'
import type { Plan, Shown } from '../region/addresses.ts'
import { listBootVlans, lockBootVlans, saveBootVlan, unset } from '../store/addresses.ts'

const Setting = Type.String({ minLength: 1, maxLength: 45, description: '`auto`: the region chooses one as soon as two racks serve the VLAN; `none`; or an address outside the dynamic ranges' })
const OrNull = Type.Union([Type.String(), Type.Null()])
const ofFamily = (name: string) => Type.Object({
  setting: Setting,
  address: OrNull,
  holder: Type.Union([Type.String(), Type.Null()], { description: 'the rack that has it, as racks told last' }),
  problem: Type.Union([Type.String(), Type.Null()], { description: 'why there is none' })
}, { description: name })
const Vlan = Type.Object({ id: Type.String(), v4: ofFamily('IPv4'), v6: ofFamily('IPv6') })
const By = Type.Object({ vlan: Type.String({ maxLength: 64 }) })
const tags = ['boot']
const what = 'boot address of VLAN'

/** The setting in canonical text. NETWORK_INVALID. */
async function canonical (q: Query, given: string, family: 4 | 6): Promise<string> {
  if (given === 'auto' || given === 'none') return given
  const refuse = (): never => { throw new BedplateError('NETWORK_INVALID', { reason: `${JSON.stringify(given)} is no IPv${family} address, and neither "auto" nor "none".` }) }
  if (bytesOf(given)?.length !== (family === 4 ? 4 : 16)) return refuse()
  return (await q.query<{ text: string }>('select host($1::inet) as text', [given]))[0]?.text ?? refuse()
}

export const vlanRoutes = (db: Database, plan: Plan): FastifyPluginAsyncTypebox => async app => {
  const one = async (q: Query, id: string): Promise<Shown> => {
    const [shown] = await show(q, plan, id)
    if (shown === undefined) throw new BedplateError('NOT_FOUND', { what: 'VLAN', id })
    return shown
  }
  const versionOf = ({ v4, v6 }: Shown) => ({ v4: v4.setting, v6: v6.setting }) // who holds it is no part of the settings

  app.get('/vlans', { schema: { tags, summary: 'Boot addresses of every VLAN', response: { 200: Type.Object({ items: Type.Array(Vlan) }) } } },
    async () => ({ items: await show(db, plan) }))

  app.get('/vlans/:vlan', { schema: { tags, summary: 'Boot addresses of a VLAN', params: By, response: { 200: Vlan } } }, async ({ params: { vlan } }, reply) => {
    const shown = await one(db, vlan)
    void reply.etag(versionOf(shown))
    return shown
  })

  app.put('/vlans/:vlan', {
    schema: {
      tags, summary: 'Set the boot addresses of a VLAN; the family that is left out stays',
      params: By, body: Type.Object({ v4: Type.Optional(Setting), v6: Type.Optional(Setting) }, { additionalProperties: false, minProperties: 1 }), response: { 200: Vlan }
    }
  }, async (request, reply) => {
    const { params: { vlan: id }, body } = request
    const shown = await db.tx(async tx => {
      await lockBootVlans(tx)
      const before = await one(tx, id)
      request.requireMatch(versionOf(before), what, id)
      const row = (await listBootVlans(tx, [id]))[0] ?? unset(id)
      await saveBootVlan(tx, { ...row, v4: body.v4 === undefined ? row.v4 : await canonical(tx, body.v4, 4), v6: body.v6 === undefined ? row.v6 : await canonical(tx, body.v6, 6) })
      await settle(tx, plan, { only: id, strict: true })
      await tx.changed('boot.vlan', id)
      return await one(tx, id)
    })
    void reply.etag(versionOf(shown))
    return shown
  })
}
