/** Echoes, reports and asks for entries to be kept; shows what it was told. */
import { Type } from 'typebox'
import { defineRack } from '../../../core/plugin.ts'
import { manifest } from './manifest.ts'

const Numbered = Type.Object({ n: Type.Integer({ minimum: 1 }) })

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ region, report }) {
    let told = ''
    return {
      provides: {},
      services: [],
      rpc: { echo: async ({ n }) => ({ n }) },
      async routes (app) {
        app.get('/told', async () => ({ told }))
        app.get('/tick/:n', { schema: { params: Numbered } }, async ({ params: { n } }) => { report('tick', { n }); return { n } })
        app.get('/keep/:n', { schema: { params: Numbered } }, async ({ params: { n } }) => await region.keep({ id: `rack-${n}`, note: `by rack ${n}` }))
      },
      apply ({ put }) { for (const { value } of put) told = value.note }
    }
  }
})
