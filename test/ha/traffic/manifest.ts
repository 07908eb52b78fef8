/** What the load consists of: facts that count up, and calls whose repetition does no harm. */
import { Type } from 'typebox'
import { defineManifest, method } from '../../../core/plugin.ts'

/** A life is one start of a rack's process: numbers count from 1 in each. */
const Numbered = Type.Object({ life: Type.String(), seq: Type.Integer({ minimum: 1 }) })

export const manifest = defineManifest({
  name: 'traffic',
  config: Type.Object({
    factEvery: Type.Integer({ default: 100, description: 'ms between two facts of a rack' }),
    callEvery: Type.Integer({ default: 100, description: 'ms between two calls of a rack' })
  }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: { note: method({ answeredBy: 'region', idempotent: true, timeout: 8000, params: Numbered, result: Type.Object({ noted: Type.Boolean() }) }) },
  wanted: {},
  facts: { count: Numbered }
})
