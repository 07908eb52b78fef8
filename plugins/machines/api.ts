/** /api/v1/machines. Every answer is read from the database in the transaction that made the change. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database, Tx } from '../../core/plugin.ts'
import type { PowerService } from '../power/manifest.ts'
import type { createChassis } from './chassis.ts'
import { firmwareOf, type Lifecycle } from './lifecycle.ts'
import type { createEnlistment } from './enlist.ts'
import { parseMac } from './mac.ts'
import { statuses, type MachineEvent } from './manifest.ts'
import * as store from './store.ts'
import type { Details, MachineRow } from './transition.ts'
import { settingsRoutes } from './settings.ts'
import { ByName, ChassisView, EventView, Hostname, MachineView, PowerConfiguration, PowerView, view } from './views.ts'

export interface ApiOptions { readonly db: Database, readonly lifecycle: Lifecycle, readonly enlistment: ReturnType<typeof createEnlistment>, readonly power: PowerService, readonly chassis: ReturnType<typeof createChassis> }

const removable = new Set(['New', 'Ready', 'Failed commissioning', 'Failed releasing', 'Failed deployment', 'Broken'])
const Reason = Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'shown with the machine' }))
const Deploy = Type.Object({
  image: Type.String({ minLength: 1, maxLength: 200, description: 'name or id of an imported image' }),
  sshKeys: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 16_384, pattern: '^(ssh|ecdsa|sk)-[^\\r\\n]+$' }), { maxItems: 100, default: [], description: 'public keys that may log in, as in authorized_keys' })),
  userData: Type.Optional(Type.Union([Type.String({ maxLength: 262_144 }), Type.Null()], { description: 'cloud-init user data' })),
  disk: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()], { description: 'target, for example sda; by default the smallest that is large enough' }))
})

const Architecture = Type.String({ pattern: '^[a-z0-9_-]{1,32}$', default: 'amd64', description: 'as images name it' })

/** The keyset of the next page, when one more than `limit` was found. */
const nextOf = (rows: readonly { readonly id: string }[], limit: number): { next?: string } => {
  const last = rows[limit - 1]
  return rows.length > limit && last !== undefined ? { next: last.id } : {}
}

export const routes = ({ db, lifecycle, enlistment, power, chassis }: ApiOptions): FastifyPluginAsyncTypebox => async app => {
  const one = async (name: string): Promise<MachineRow> => {
    const machine = await store.find(db, name)
    if (machine === undefined) throw new BedplateError('NOT_FOUND', { what: 'machine', id: name })
    return machine
  }
  /** Views of machines with their power, read where they were changed. */
  const views = async (q: Tx | Database, machines: readonly MachineRow[]) => {
    const states = await power.states(q, machines.map(machine => machine.id))
    const drivers = await power.drivers(q, machines.map(machine => machine.id))
    return machines.map(machine => view(machine, drivers.get(machine.id) ?? null, states.get(machine.id)))
  }
  const viewed = async (q: Tx | Database, machine: MachineRow) => {
    const [only] = await views(q, [machine])
    if (only === undefined) throw new BedplateError('NOT_FOUND', { what: 'machine', id: machine.id })
    return only
  }

  app.get('/', { schema: { summary: 'List machines', querystring: Type.Object({ ...app.pageQuery.properties, status: Type.Optional(Type.Enum([...statuses])), hostname: Type.Optional(Type.String()), mac: Type.Optional(Type.String({ description: 'any common form' })), owner: Type.Optional(Type.String()), tag: Type.Optional(Type.String()) }), response: { 200: app.pageOf(MachineView) } } }, async ({ query }) => {
    const { mac, limit, ...rest } = query
    const rows = await store.page(db, { ...rest, limit: limit + 1, ...(mac === undefined ? {} : { mac: parseMac(mac) }) })
    return { items: await views(db, rows.slice(0, limit)), ...nextOf(rows, limit) }
  })

  app.post('/', { schema: { summary: 'Register a machine by hand', body: Type.Object({ hostname: Type.Optional(Hostname), macs: Type.Array(Type.String({ maxLength: 32 }), { minItems: 1, maxItems: 64, description: 'the first is the one it boots from' }), architecture: Type.Optional(Architecture), power: Type.Optional(PowerConfiguration) }), response: { 201: MachineView } } }, async (request, reply) => {
    const { hostname, macs, architecture = 'amd64', power: bmc } = request.body
    const made = await db.tx(async tx => {
      const machine = await enlistment.register(tx, { hostname, macs, architecture, by: request.principal?.name })
      if (bmc !== undefined) await power.configure(tx, machine.id, bmc.driver, { ...bmc.parameters, ...(bmc.address === undefined ? {} : { address: bmc.address }) })
      return { version: machine.version, body: await viewed(tx, machine) }
    })
    return reply.code(201).etag(made.version).header('location', `/api/v1/machines/${made.body.id}`).send(made.body)
  })

  app.post('/chassis', { schema: { summary: 'Add all machines of a chassis or hypervisor', body: Type.Object({ ...PowerConfiguration.properties, architecture: Type.Optional(Architecture) }), response: { 200: ChassisView } } }, async ({ body: { driver, address, parameters, architecture = 'amd64' }, principal }) => {
    const { added, known, failed, ...rest } = await chassis({ driver, parameters: { ...parameters, ...(address === undefined ? {} : { address }) }, architecture, by: principal?.name })
    return { ...rest, added: [...added], known: [...known], failed: [...failed] }
  })

  app.get('/:name', { schema: { summary: 'Show a machine, by id or hostname', params: ByName, response: { 200: MachineView } } }, async ({ params }, reply) => {
    const machine = await one(params.name)
    void reply.etag(machine.version)
    return await viewed(db, machine)
  })

  await app.register(settingsRoutes({ db, lifecycle, one, viewed }))

  app.delete('/:name', { schema: { summary: 'Forget a machine', params: ByName, response: { 204: Type.Null() } } }, async ({ params }, reply) => {
    const { id } = await one(params.name)
    await db.tx(async tx => {
      const machine = await lifecycle.locked(tx, id)
      if (!removable.has(machine.status)) throw new BedplateError('CONFLICT', { reason: `Machine ${machine.hostname} is ${machine.status}. Release it first, or mark it broken.` })
      await lifecycle.hooks.transition.promise(tx, { machine, from: machine.status, to: machine.status, event: 'removed' })
      await power.remove(tx, id)
      await store.remove(tx, id)
      await tx.changed('machines.machine', id)
    })
    return reply.code(204).send(null)
  })

  const act = async (name: string, event: MachineEvent, details: Details) => {
    const { id } = await one(name)
    return await db.tx(async tx => await viewed(tx, await lifecycle.act(tx, id, event, details)))
  }
  const verbs = { 'commission': 'Find out what the machine is', 'allocate': 'Take a Ready machine', 'release': 'Wipe a machine and make it Ready', 'abort': 'Stop what the machine is doing', 'mark-broken': 'Take a machine out of use', 'mark-fixed': 'Put a broken machine back into use' } as const
  for (const [event, summary] of Object.entries(verbs) as [keyof typeof verbs, string][]) {
    app.post(`/:name/${event}`, { schema: { summary, params: ByName, body: Type.Optional(Type.Union([Type.Object({ reason: Reason }), Type.Null()])), response: { 200: MachineView } } }, async request => {
      const by = request.principal?.name
      const reason = request.body?.reason
      return await act(request.params.name, event, { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) })
    })
  }
  app.post('/:name/deploy', { schema: { summary: 'Install an operating system', params: ByName, body: Deploy, response: { 200: MachineView } } }, async request => {
    const { image, sshKeys = [], userData = null, disk = null } = request.body
    const by = request.principal?.name
    return await act(request.params.name, 'deploy', { deployment: { imageId: image, sshKeys, userData, disk }, ...(by === undefined ? {} : { by }) })
  })

  app.get('/:name/events', { schema: { summary: 'The history of a machine, oldest first', params: ByName, querystring: Type.Object({ ...app.pageQuery.properties, after: Type.Optional(Type.String({ pattern: '^[0-9]{1,18}$' })) }), response: { 200: app.pageOf(EventView) } } }, async ({ params, query: { limit, after } }) => {
    const { id } = await one(params.name)
    const rows = await store.events(db, id, { limit: limit + 1, ...(after === undefined ? {} : { after }) })
    return { items: rows.slice(0, limit).map(row => ({ ...row, at: row.at.toISOString() })), ...nextOf(rows, limit) }
  })

  app.get('/:name/power', { schema: { summary: 'How a machine is powered; secrets are masked', params: ByName, response: { 200: PowerView } } }, async ({ params }) => {
    const { id } = await one(params.name)
    const state = (await power.states(db, [id])).get(id)
    return { ...(await power.configuration(db, id) ?? { driver: null, parameters: {} }), state: state?.state ?? 'unknown' as const, checkedAt: state?.checkedAt?.toISOString() ?? null, error: state?.error ?? null }
  })
  app.put('/:name/power', { schema: { summary: 'Say how a machine is powered', params: ByName, body: PowerConfiguration, response: { 200: PowerView } } }, async request => {
    const { driver, address, parameters } = request.body
    const { id } = await one(request.params.name)
    const by = request.principal?.name
    return await db.tx(async tx => {
      await power.configure(tx, id, driver, { ...parameters, ...(address === undefined ? {} : { address }) })
      await store.bump(tx, id)
      await lifecycle.record(tx, id, { type: 'power', level: 'info', message: `Power configured${by === undefined ? '' : ` by ${by}`}` })
      await tx.changed('machines.machine', id)
      return { ...(await power.configuration(tx, id) ?? { driver: null, parameters: {} }), state: 'unknown' as const, checkedAt: null, error: null }
    })
  })
  for (const action of ['on', 'off', 'cycle', 'shutdown'] as const) {
    app.post(`/:name/power/${action}`, { schema: { summary: `Power: ${action}`, params: ByName, body: Type.Optional(Type.Union([Type.Object({ boot: Type.Optional(Type.Enum(['network', 'disk'])) }), Type.Null()])), response: { 202: Type.Object({ machine: Type.String(), action: Type.String() }) } } }, async (request, reply) => {
      const { id } = await one(request.params.name)
      const by = request.principal?.name
      const boot = request.body?.boot
      await db.tx(async tx => {
        const machine = await lifecycle.locked(tx, id)
        await power.enqueue(tx, id, { action, ...(boot === undefined ? {} : { boot }), ...firmwareOf(machine) })
        await lifecycle.record(tx, id, { type: 'power', level: 'info', message: `Power ${action} asked for${by === undefined ? '' : ` by ${by}`}`, data: { action } })
      })
      return reply.code(202).send({ machine: id, action })
    })
  }
  app.get('/:name/power/state', { schema: { summary: 'Ask the machine\'s BMC now', params: ByName, response: { 200: Type.Object({ state: Type.String() }) } } }, async ({ params }) => ({ state: await power.query((await one(params.name)).id) }))
}
