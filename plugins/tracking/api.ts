/** /api/v1/tracking: controllers, their services, and what became of them. Every region gives the same answer. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database } from '../../core/plugin.ts'
import type { NetworkService, SeenInterface, Vlan } from '../network/manifest.ts'
import { stateNames } from './manifest.ts'
import { keyOf } from './state.ts'
import type { Peer, ServiceRow } from './state.ts'
import { history, interfacesOf } from './store.ts'
import type { See, Seen } from './view.ts'

const State = Type.Enum([...stateNames], { description: 'as MAAS has them; off: not wanted here' })
const Reason = Type.Union([Type.String(), Type.Null()], { description: 'why it is not running, and what to do' })
const Name = Type.String({ maxLength: 200 })
const Moment = Type.String({ format: 'date-time' })
const RoleName = Type.Union([Type.String(), Type.Null()], { description: 'the half it belongs to; null: the core' })
const Link = Type.Object({ id: Type.String(), hostname: Type.String(), up: Type.Boolean(), since: Type.Union([Moment, Type.Null()]), reason: Reason })
const Interface = Type.Object({
  name: Type.String(), mac: Type.String(), up: Type.Boolean(), addresses: Type.Array(Type.String()),
  vlans: Type.Array(Type.Object({ id: Type.String(), vid: Type.Integer(), name: Type.String(), fabricId: Type.String() }))
})
const Service = Type.Object({
  controller: Type.String(), hostname: Type.String(), role: RoleName, plugin: Type.String(), service: Type.String(),
  leader: Type.Boolean({ description: 'runs on the leading region only' }), state: State, reason: Reason, since: Moment, restarts: Type.Integer()
})
const Controller = Type.Object({
  id: Type.String(), hostname: Type.String(), roles: Type.Array(Type.String()), version: Type.String(),
  state: State, reason: Reason, since: Moment, seenAt: Moment,
  addresses: Type.Array(Type.String()),
  regions: Type.Array(Link, { description: 'of a rack: every region, and whether it is linked to it' }),
  racks: Type.Array(Link, { description: 'of a region: every rack, and whether it is linked to it' }),
  interfaces: Type.Array(Interface),
  services: Type.Object(Object.fromEntries(stateNames.map(name => [name, Type.Integer()])) as Record<typeof stateNames[number], ReturnType<typeof Type.Integer>>, { description: 'how many are in which state' })
})
const Whole = Type.Object({ ...Controller.properties, items: Type.Array(Service) })
const Event = Type.Object({ id: Type.String(), at: Moment, controller: Type.String(), hostname: Type.String(), role: RoleName, plugin: Type.Union([Type.String(), Type.Null()], { description: 'null with `service`: the controller itself' }), service: Type.Union([Type.String(), Type.Null()]), state: State, reason: Reason })
const filters = { controller: Type.Optional(Type.String({ maxLength: 200, description: 'id or hostname' })), state: Type.Optional(State), plugin: Type.Optional(Name) }

type Context = { readonly db: Database, readonly see: See, readonly network: Pick<NetworkService, 'interfaces' | 'subnetOf' | 'vlans'> }
const moment = (date: Date): string => date.toISOString()
const peer = ({ since, ...rest }: Peer): Static<typeof Link> => ({ ...rest, since: since && moment(since) })
const hostnameIn = (seen: Pick<Seen, 'known'>, id: string): string => seen.known.find(one => one.id === id)?.hostname ?? id

const serviceView = (seen: Seen, { since, role, ...row }: ServiceRow): Static<typeof Service> => ({ ...row, hostname: hostnameIn(seen, row.controller), role: role === '' ? null : role, since: moment(since) })

const interfaceView = ({ name, mac, up, addresses }: SeenInterface, vlans: ReadonlyMap<string, Vlan>): Static<typeof Interface> => ({
  name, mac, up, addresses: addresses.map(({ address }) => address),
  vlans: [...new Set(addresses.map(({ vlanId }) => vlanId))].flatMap(id => { const vlan = vlans.get(id ?? ''); return vlan === undefined ? [] : [{ id: vlan.id, vid: vlan.vid, name: vlan.name, fabricId: vlan.fabricId }] })
})

function controllerViews (seen: Seen, interfaces: readonly SeenInterface[], vlans: readonly Vlan[]): Static<typeof Controller>[] {
  const byId = new Map(vlans.map(vlan => [vlan.id, vlan]))
  return seen.controllers.flatMap(({ id, state, reason, since, regions, racks }) => {
    const known = seen.known.find(one => one.id === id)
    if (known === undefined) return []
    const own = interfaces.filter(({ rack }) => rack === id)
    const services = seen.services.filter(({ controller }) => controller === id)
    return [{
      id, hostname: known.hostname, roles: [...known.roles], version: known.version, state, reason, since: moment(since), seenAt: moment(known.seenAt),
      addresses: known.addresses.length > 0 ? [...known.addresses] : own.flatMap(({ addresses }) => addresses.map(({ address }) => address.replace(/\/.*/, ''))),
      regions: regions.map(peer), racks: racks.map(peer), interfaces: own.map(one => interfaceView(one, byId)),
      services: Object.fromEntries(stateNames.map(name => [name, services.filter(service => service.state === name).length])) as Static<typeof Controller>['services']
    }]
  })
}

/** The controller that has that id, or that hostname alone. NOT_FOUND, CONFLICT. */
function resolve (seen: Seen, name: string): string {
  const found = seen.known.filter(({ id, hostname }) => id === name || hostname === name)
  const [first] = found.filter(({ id }) => id === name).concat(found)
  if (first === undefined) throw new BedplateError('NOT_FOUND', { what: 'controller', id: name })
  if (first.id !== name && found.length > 1) throw new BedplateError('CONFLICT', { reason: `${found.length} controllers are called ${name}: use an id (${found.map(({ id }) => id).join(', ')})` })
  return first.id
}

export const routes = ({ db, see, network }: Context): FastifyPluginAsyncTypebox => async app => {
  /** Those of racks as the network plugin has them, and of regions alone as they told, each address in its subnet. */
  async function interfaces (): Promise<SeenInterface[]> {
    const all = [...await network.interfaces(db)]
    for (const [rack, own] of await interfacesOf(db)) {
      for (const { name, mac, addresses } of own) {
        const placed = await Promise.all(addresses.map(async address => {
          const subnet = await network.subnetOf(db, address.replace(/\/.*/, ''))
          return { address, subnetId: subnet?.id ?? null, vlanId: subnet?.vlanId ?? null }
        }))
        all.push({ rack, name, mac, up: true, addresses: placed })
      }
    }
    return all
  }

  app.get('/controllers', { schema: { summary: 'List controllers with their state and why, links, interfaces and VLANs', response: { 200: Type.Object({ items: Type.Array(Controller) }) } } }, async () =>
    ({ items: controllerViews(await see(db), await interfaces(), await network.vlans(db)) }))

  app.get('/controllers/:id', { schema: { summary: 'Show a controller with its services', params: Type.Object({ id: Name }), response: { 200: Whole } } }, async ({ params: { id: name } }) => {
    const seen = await see(db)
    const id = resolve(seen, name)
    const view = controllerViews(seen, await interfaces(), await network.vlans(db)).find(one => one.id === id)
    if (view === undefined) throw new BedplateError('NOT_FOUND', { what: 'controller', id })
    return { ...view, items: seen.services.filter(({ controller }) => controller === id).map(row => serviceView(seen, row)) }
  })

  app.get('/services', { schema: { summary: 'List the services of every controller with their state and why', querystring: Type.Object({ ...app.pageQuery.properties, ...filters }), response: { 200: app.pageOf(Service) } } }, async ({ query: { limit, after, controller, state, plugin } }) => {
    const seen = await see(db)
    const id = controller === undefined ? undefined : resolve(seen, controller)
    const place = (row: ServiceRow): string => `${row.controller}/${keyOf(row)}`
    const rows = seen.services
      .filter(row => (id === undefined || row.controller === id) && (state === undefined || row.state === state) && (plugin === undefined || row.plugin === plugin) && (after === undefined || place(row) > after))
      .sort((a, b) => place(a) < place(b) ? -1 : 1)
    const last = rows[limit - 1]
    return { items: rows.slice(0, limit).map(row => serviceView(seen, row)), ...(rows.length > limit && last !== undefined ? { next: place(last) } : {}) }
  })

  app.get('/history', { schema: { summary: 'What became of controllers and services, newest first', querystring: Type.Object({ ...app.pageQuery.properties, ...filters, service: Type.Optional(Name) }), response: { 200: app.pageOf(Event) } } }, async ({ query: { limit, after, controller, ...filter } }) => {
    const seen = await see(db)
    const rows = await history(db, { ...filter, ...(controller === undefined ? {} : { controller: seen.known.some(({ id, hostname }) => id === controller || hostname === controller) ? resolve(seen, controller) : controller }) }, after, limit + 1)
    const last = rows[limit - 1]
    return { items: rows.slice(0, limit).map(row => ({ ...row, at: moment(row.at), hostname: hostnameIn(seen, row.controller) })), ...(rows.length > limit && last !== undefined ? { next: last.id } : {}) }
  })
}
