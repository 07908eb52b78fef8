/** Keeps entries, and asks racks to echo. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { defineRegion } from '../../../core/plugin.ts'
import { Entry, manifest } from './manifest.ts'
import { find, keep, tick } from './store.ts'

const ById = Type.Object({ id: Type.String({ maxLength: 64 }) })

export default defineRegion(manifest, {
  requires: {},
  provides: {},
  setup ({ db, rack }) {
    const write = (entry: { readonly id: string, readonly note: string }) => db.tx(async tx => { await keep(tx, entry); await tx.changed('ledger.entry', entry.id) })
    return {
      provides: {},
      services: [],
      rpc: { async keep (entry) { await write(entry); return { kept: true } } },
      async routes (app) {
        app.post('/entries', { schema: { body: Entry } }, async ({ body }, reply) => { await write(body); return reply.code(201).send(body) })
        app.get('/entries/:id', { schema: { params: ById } }, async ({ params: { id } }) => {
          const entry = await find(db, id)
          if (entry === undefined) throw new BedplateError('NOT_FOUND', { what: 'entry', id })
          return entry
        })
        app.get('/echo/:rack/:n', { schema: { params: Type.Object({ rack: Type.String({ maxLength: 64 }), n: Type.Integer({ minimum: 1 }) }) } }, async ({ params: { rack: id, n } }) => await rack(id).echo({ n }))
      },
      // The rack is told of one entry only: that its state is kept up to date is what matters.
      touches: async changes => changes.some(({ topic, id }) => topic === 'ledger.entry' && id === 'told') ? [{ kind: 'note', id: 'told' }] : [],
      async wanted () {
        const told = await find(db, 'told')
        return told === undefined ? [] : [{ kind: 'note', id: 'told', value: { id: 'told', note: told.note } }]
      },
      facts: (tx, rack, batch) => tick(tx, rack, batch.map(({ body: { n } }) => n))
    }
  }
})
