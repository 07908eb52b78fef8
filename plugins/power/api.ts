/** /api/v1/power: the drivers there are, and what was done to a machine. What its BMC tells besides, and looking for BMCs, are in api/. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Clock, Database, Secrets } from '../../core/plugin.ts'
import { foundRoutes } from './api/found.ts'
import { hardwareRoutes } from './api/hardware.ts'
import { capabilities } from './capabilities.ts'
import { drivers } from './drivers.ts'
import type { Racks } from './region/racks.ts'
import type { PowerCore } from './region/service.ts'
import * as store from './store.ts'

const Text = Type.String()
const Maybe = Type.Union([Text, Type.Null()])
const DriverView = Type.Object({ name: Text, title: Text, actions: Type.Array(Text), queries: Type.Boolean(), boots: Type.Boolean(), capabilities: Type.Array(Text, { description: 'all it can do' }), experimental: Type.Union([Text, Type.Null()], { description: 'why to try it before relying on it' }), parameters: Type.Unknown({ description: 'JSON Schema; `writeOnly` fields are secrets' }) })
const ActionView = Type.Object({ id: Text, action: Text, boot: Maybe, state: Type.Enum(['queued', 'running', 'done', 'failed', 'cancelled']), attempts: Type.Integer(), rack: Maybe, error: Maybe, createdAt: Text, startedAt: Maybe, finishedAt: Maybe })
const MachineView = Type.Object({ machine: Text, driver: Text, parameters: Type.Record(Text, Type.Unknown()), state: Text, checkedAt: Maybe, error: Maybe, actions: Type.Array(ActionView, { description: 'the last 20, newest first' }) })

export interface ApiOptions { readonly db: Database, readonly clock: Clock, readonly secrets: Secrets, readonly power: PowerCore, readonly racks: Racks }

export const routes = ({ db, clock, secrets, power, racks }: ApiOptions): FastifyPluginAsyncTypebox => async app => {
  app.get('/drivers', { schema: { summary: 'The power drivers and their parameters', response: { 200: app.pageOf(DriverView) } } }, async () => ({
    items: drivers.map(driver => {
      const { name, title, actions, queries, boots, experimental, parameters } = driver
      return { name, title, actions: [...actions], queries, boots, capabilities: capabilities(driver), experimental: experimental ?? null, parameters }
    })
  }))

  await app.register(hardwareRoutes({ db, power, racks }))
  await app.register(foundRoutes({ db, clock, secrets }))

  app.get('/machines/:machine', { schema: { summary: 'How a machine is powered, and the last actions on it', params: Type.Object({ machine: Type.String({ maxLength: 63 }) }), response: { 200: MachineView } } }, async ({ params: { machine } }) => {
    const actions = await store.actions(db, machine, 20)
    const known = (await power.states(db, [machine])).get(machine)
    const configuration = await power.configuration(db, machine)
    if (configuration === undefined && actions.length === 0) throw new BedplateError('NOT_FOUND', { what: 'power configuration of machine', id: machine })
    return {
      machine, ...(configuration ?? { driver: 'manual', parameters: {} }), state: known?.state ?? 'unknown', checkedAt: known?.checkedAt?.toISOString() ?? null, error: known?.error ?? null,
      actions: actions.map(view)
    }
  })

  app.delete('/machines/:machine/actions/:id', { schema: { summary: 'Call off an action that waits or runs; one that runs is stopped where it is', params: Type.Object({ machine: Type.String({ maxLength: 63 }), id: Type.String({ pattern: '^[0-9]{1,18}$' }) }), response: { 200: ActionView } } }, async ({ params: { machine, id } }) => await db.tx(async tx => {
    const before = await store.action(tx, machine, id)
    if (before === undefined) throw new BedplateError('NOT_FOUND', { what: 'power action', id })
    if (before.state === 'done' || before.state === 'failed') throw new BedplateError('CONFLICT', { reason: `The action is ${before.state} already.` })
    await power.cancel(tx, machine, id)
    return view(await store.action(tx, machine, id) ?? before)
  }))
}

const view = ({ id, action, boot, state, attempts, rack, error, createdAt, startedAt, finishedAt }: store.Action) =>
  ({ id, action, boot, state, attempts, rack, error, createdAt: createdAt.toISOString(), startedAt: startedAt?.toISOString() ?? null, finishedAt: finishedAt?.toISOString() ?? null })
