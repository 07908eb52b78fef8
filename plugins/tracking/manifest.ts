/** tracking: how every controller and every service of it is, since when, why, and what to do. Data and types only. */
import { Type, type Static } from 'typebox'
import { defineManifest } from '../../core/plugin.ts'

export const stateNames = ['running', 'degraded', 'dead', 'off', 'unknown'] as const
export type StateName = typeof stateNames[number]

const Report = Type.Object({
  plugin: Type.String({ maxLength: 100 }), service: Type.String({ maxLength: 100 }),
  role: Type.Optional(Type.Enum(['region', 'rack'])),
  leader: Type.Optional(Type.Boolean({ description: 'runs on the leading region only' })),
  state: Type.Enum([...stateNames]),
  reason: Type.Optional(Type.String({ maxLength: 4000 })),
  since: Type.String({ description: 'ISO 8601' }),
  restarts: Type.Integer({ minimum: 0 })
})
const LinkReport = Type.Object({ controller: Type.String({ maxLength: 100 }), url: Type.String({ maxLength: 500 }), up: Type.Boolean(), reason: Type.Optional(Type.String({ maxLength: 4000 })) })

export const manifest = defineManifest({
  name: 'tracking',
  config: Type.Object({
    quietSeconds: Type.Integer({ default: 15, minimum: 1, description: 'After how many seconds without a word of a controller what it said last is no longer believed, and shown as unknown. Regions look every 5 s.' }),
    keepDays: Type.Integer({ default: 30, minimum: 1, description: 'How many days the history of changes is kept.' }),
    keepRows: Type.Integer({ default: 200_000, minimum: 100, description: 'How many changes are kept at most, whatever their age.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {},
  wanted: {},
  facts: {
    service: Report, // one that changed
    services: Type.Object({ make: Type.String({ maxLength: 200, description: 'version and roles: what is to be expected' }), services: Type.Array(Report) }), // all there are
    links: Type.Object({ links: Type.Array(LinkReport) }) // the rack's own view of its links: all of them
  }
})

export type ServiceReport = Static<typeof Report>
export type LinkReport = Static<typeof LinkReport>
