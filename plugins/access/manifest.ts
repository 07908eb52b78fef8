/** access: users, tokens and who may do what. Data only. */
import { Type } from 'typebox'
import { defineManifest } from '../../core/plugin.ts'

export const manifest = defineManifest({
  name: 'access',
  config: Type.Object({}, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {},
  wanted: {},
  facts: {}
})
