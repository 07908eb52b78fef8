/** /api/v1/power: the drivers there are, and what was done to a machine. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database } from '../../core/plugin.ts'
import { drivers } from './drivers.ts'
import type { PowerService } from './manifest.ts'
import * as store from './store.ts'

const Text = Type.String()
const Maybe = Type.Union([Text, Type.Null()])
const DriverView = Type.Object({ name: Text, title: Text, actions: Type.Array(Text), queries: Type.Boolean(), boots: Type.Boolean(), parameters: Type.Unknown({ description: 'JSON Schema; `writeOnly` fields are secrets' }) })
const ActionView = Type.Object({ id: Text, action: Text, boot: Maybe, state: Type.Enum(['queued', 'running', 'done', 'failed']), attempts: Type.Integer(), rack: Maybe, error: Maybe, createdAt: Text, startedAt: Maybe, finishedAt: Maybe })
const MachineView = Type.Object({ machine: Text, driver: Text, parameters: Type.Record(Text, Type.Unknown()), state: Text, checkedAt: Maybe, error: Maybe, actions: Type.Array(ActionView, { description: 'the last 20, newest first' }) })

export const routes = ({ db, power }: { readonly db: Database, readonly power: PowerService }): FastifyPluginAsyncTypebox => async app => {
  app.get('/drivers', { schema: { summary: 'The power drivers and their parameters', response: { 200: app.pageOf(DriverView) } } }, async () => ({
    items: drivers.map(({ name, title, actions, queries, boots, parameters }) => ({ name, title, actions: [...actions], queries, boots, parameters }))
  }))

  app.get('/machines/:machine', { schema: { summary: 'How a machine is powered, and the last actions on it', params: Type.Object({ machine: Type.String({ maxLength: 63 }) }), response: { 200: MachineView } } }, async ({ params: { machine } }) => {
    const actions = await store.actions(db, machine, 20)
    const known = (await power.states(db, [machine])).get(machine)
    const configuration = await power.configuration(db, machine)
    if (configuration === undefined && actions.length === 0) throw new BedplateError('NOT_FOUND', { what: 'power configuration of machine', id: machine })
    return {
      machine, ...(configuration ?? { driver: 'manual', parameters: {} }), state: known?.state ?? 'unknown', checkedAt: known?.checkedAt?.toISOString() ?? null, error: known?.error ?? null,
      actions: actions.map(({ id, action, boot, state, attempts, rack, error, createdAt, startedAt, finishedAt }) => ({ id, action, boot, state, attempts, rack, error, createdAt: createdAt.toISOString(), startedAt: startedAt?.toISOString() ?? null, finishedAt: finishedAt?.toISOString() ?? null }))
    }
  })
}
