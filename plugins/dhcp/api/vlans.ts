/** /vlans: which VLANs are served, how, and by which racks. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database, Query } from '../../../core/plugin.ts'
import type { Attachment, NetworkService, Subnet } from '../../network/manifest.ts'
import { listVlans, lockSettings, saveVlan } from '../store/settings.ts'
import type { ServedVlan } from '../store/settings.ts'
import { ranked } from '../region/wanted.ts'

const Mode = Type.Enum(['server', 'proxy', 'off'], { description: 'IPv4: give addresses and boot files; only tell firmware what to boot where another server gives the addresses (ProxyDHCP); or nothing' })
const V6 = Type.Enum(['off', 'stateless', 'stateful'], { description: 'DHCPv6: nothing; options to clients that have their address from router advertisements; or addresses as well' })
const Via = Type.Union([Type.String(), Type.Null()], { description: 'The VLAN the relays of this one send to, where no rack has an interface here: its racks serve this one too. null: racks are on the VLAN itself.' })
const Vlan = Type.Object({
  id: Type.String(),
  enabled: Type.Boolean(),
  mode: Mode,
  v6: V6,
  via: Via,
  racks: Type.Array(Type.String(), { description: 'The racks asked for, ranked; empty: every rack attached to the VLAN.' }),
  serving: Type.Array(Type.String(), { description: 'The racks that serve it, ranked: the first answers first.' })
})
const tags = ['dhcp']
const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }
const isDynamic = ({ ranges }: Subnet): boolean => ranges.some(({ kind }) => kind === 'dynamic')
const unset = (id: string): ServedVlan => ({ id, enabled: false, racks: [], mode: 'server', v6: 'off', via: null })

function checkSubnets6 (v6: ServedVlan['v6'], where: string, subnets: readonly Subnet[]): void {
  if (v6 === 'stateful' && !subnets.some(subnet => subnet.family === 6 && isDynamic(subnet))) refuse(`Stateful DHCPv6 on ${where} needs an IPv6 subnet there with a dynamic range to give addresses from. Add one first.`)
  if (v6 === 'stateless' && !subnets.some(subnet => subnet.family === 6)) refuse(`DHCPv6 on ${where} needs an IPv6 subnet there. Add one first.`)
}

/** Refuses settings that nobody could carry out, by name. NETWORK_INVALID. */
function check ({ enabled, racks, mode, v6 }: ServedVlan, where: string, subnets: readonly Subnet[], attachments: readonly Attachment[]): void {
  const family = mode === 'off' && v6 !== 'off' ? 6 : 4
  const own = subnets.filter(subnet => subnet.family === family)
  const touching = attachments.filter(({ subnetId }) => own.some(({ id }) => id === subnetId))
  const absent = racks.filter(rack => !touching.some(attachment => attachment.rack === rack))
  if (absent.length > 0) refuse(`${absent.map(rack => `Rack ${rack}`).join(' and ')} has no interface with an IPv${family} address on ${where}. Choose among: ${[...new Set(touching.map(({ rack }) => rack))].join(', ') || 'none so far'}.`)
  if (!enabled) return
  if (mode === 'off' && v6 === 'off') refuse(`DHCP on ${where} would serve neither IPv4 nor IPv6: choose a mode, or disable it.`)
  if (mode === 'server' && !own.some(isDynamic)) refuse(`DHCP on ${where} needs an IPv4 subnet there with a dynamic range to give addresses from. Add one first.`)
  checkSubnets6(v6, where, subnets)
  if (touching.length === 0) refuse(`No rack has an interface with an IPv${family} address on ${where}, so nobody could serve it.`)
}

/** The same for a VLAN that is served through relays, by the racks of another one. NETWORK_INVALID. */
function checkRelayed ({ id, enabled, racks, mode, v6, via }: ServedVlan, where: string, subnets: readonly Subnet[], settings: readonly ServedVlan[]): void {
  if (racks.length > 0) refuse(`The racks of VLAN ${via ?? ''} serve ${where}: rank them there.`)
  if (via === id) refuse(`${where} cannot be served through itself.`)
  if (!enabled) return
  const target = settings.find(one => one.id === via)
  if (target?.enabled !== true || target.mode !== 'server' || target.via !== null) refuse(`The relays of ${where} would send to VLAN ${via ?? ''}, whose racks do not give addresses. Turn DHCP on there first.`)
  if (mode !== 'server') refuse(`Through relays, ${where} can only be given addresses: mode server.`)
  if (v6 !== 'off' && v6 !== target?.v6) refuse(`Through relays, DHCPv6 on ${where} is what it is on VLAN ${via ?? ''}: v6 ${target?.v6 ?? 'off'}, or off.`)
  checkSubnets6(v6, where, subnets)
  if (!subnets.some(subnet => subnet.family === 4 && isDynamic(subnet))) refuse(`DHCP on ${where} needs an IPv4 subnet there with a dynamic range to give addresses from. Add one first.`)
}

export const vlanRoutes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  const show = async (q: Query, ids?: readonly string[]) => {
    const [vlans, settings, attachments] = [await network.vlans(q), await listVlans(q), await network.attachments(q)]
    return vlans.filter(({ id }) => ids === undefined || ids.includes(id)).map(({ id }) => {
      const { enabled, racks, mode, v6, via } = settings.find(vlan => vlan.id === id) ?? unset(id)
      const serving = via === null ? { enabled, racks, at: id } : { enabled: enabled && settings.some(vlan => vlan.id === via && vlan.enabled), racks: settings.find(vlan => vlan.id === via)?.racks ?? [], at: via }
      return { id, enabled, mode, v6, via, racks: [...racks], serving: serving.enabled ? ranked(serving, attachments.filter(({ vlanId }) => vlanId === serving.at)) : [] }
    })
  }
  const one = async (q: Query, id: string) => {
    const [shown] = await show(q, [id])
    if (shown === undefined) throw new BedplateError('NOT_FOUND', { what: 'VLAN', id })
    return shown
  }
  const versionOf = ({ enabled, mode, v6, via, racks }: ServedVlan) => ({ enabled, mode, v6, via, racks }) // who serves it now is no part of the settings

  app.get('/vlans', { schema: { tags, summary: 'DHCP of every VLAN', response: { 200: Type.Object({ items: Type.Array(Vlan) }) } } },
    async () => ({ items: await show(db) }))

  app.get('/vlans/:vlan', { schema: { tags, summary: 'DHCP of a VLAN', params: Type.Object({ vlan: Type.String() }), response: { 200: Vlan } } }, async ({ params }, reply) => {
    const vlan = await one(db, params.vlan)
    void reply.etag(versionOf(vlan))
    return vlan
  })

  app.put('/vlans/:vlan', {
    schema: {
      tags,
      summary: 'Turn DHCP of a VLAN on or off, and choose its racks and mode; what is left out stays, the racks aside',
      params: Type.Object({ vlan: Type.String() }),
      body: Type.Object({ enabled: Type.Boolean(), racks: Type.Optional(Type.Array(Type.String(), { maxItems: 32, uniqueItems: true })), mode: Type.Optional(Mode), v6: Type.Optional(V6), via: Type.Optional(Via) }, { additionalProperties: false }),
      response: { 200: Vlan }
    }
  }, async (request, reply) => {
    const { params: { vlan: id }, body: { enabled, racks = [], mode, v6, via } } = request
    const shown = await db.tx(async tx => {
      await lockSettings(tx)
      const before = await one(tx, id)
      request.requireMatch(versionOf(before), 'DHCP of VLAN', id)
      const vlan = (await network.vlans(tx)).find(vlan => vlan.id === id)
      const wish: ServedVlan = { id, enabled, racks, mode: mode ?? before.mode, v6: v6 ?? before.v6, via: via === undefined ? before.via : via }
      const settings = await listVlans(tx)
      if (wish.via === null) check(wish, `VLAN ${vlan?.name ?? id} (${id})`, await network.subnets(tx, { vlanId: id }), await network.attachments(tx, { vlanId: id }))
      else checkRelayed(wish, `VLAN ${vlan?.name ?? id} (${id})`, await network.subnets(tx, { vlanId: id }), settings)
      const behind = settings.filter(one => one.via === id && one.enabled).map(one => one.id)
      if (behind.length > 0 && (!enabled || wish.mode !== 'server' || wish.via !== null)) refuse(`VLAN ${behind.join(', ')} is served through this one. Disable it there first, or have its relays send elsewhere.`)
      const unlike = settings.filter(one => one.via === id && one.enabled && one.v6 !== 'off' && one.v6 !== wish.v6).map(one => one.id)
      if (unlike.length > 0) refuse(`VLAN ${unlike.join(', ')} is served through this one with the same DHCPv6. Turn it off there first.`)
      await saveVlan(tx, wish)
      await tx.changed('dhcp.vlan', id)
      return await one(tx, id)
    })
    void reply.etag(versionOf(shown))
    return shown
  })
}
