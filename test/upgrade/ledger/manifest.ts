/** Entries written through a region or a rack, and ticks reported by a rack. */
import { Type } from 'typebox'
import { defineManifest, method } from '../../../core/plugin.ts'

export const Entry = Type.Object({ id: Type.String({ maxLength: 64 }), note: Type.String({ maxLength: 256 }) })
const Number = Type.Object({ n: Type.Integer({ minimum: 1 }) })

export const manifest = defineManifest({
  name: 'ledger',
  config: Type.Object({}),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    keep: method({ answeredBy: 'region', idempotent: true, params: Entry, result: Type.Object({ kept: Type.Boolean() }) }),
    echo: method({ answeredBy: 'rack', params: Number, result: Number })
  },
  wanted: { note: Entry },
  facts: { tick: Number }
})
