/** Stores what the racks say, and tells how much of it arrived. */
import { defineRegion } from '../../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default defineRegion(manifest, {
  requires: {},
  provides: {},
  setup ({ db }) {
    return {
      provides: {},
      services: [],
      rpc: {
        async note ({ life, seq }, { controller }) {
          await db.query('insert into traffic.call (rack, life, seq) values ($1, $2, $3) on conflict do nothing', [controller, life, seq])
          return { noted: true }
        }
      },
      async routes (app) {
        app.get('/facts', async () => ({
          items: await db.query(`
            select rack, life, count(*)::int as stored, count(distinct seq)::int as different, max(seq) as last, coalesce(bool_and(seq > before), true) as ordered
            from (select *, lag(seq) over (partition by rack, life order by id) as before from traffic.fact) numbered group by rack, life order by rack, life`)
        }))
        app.get('/calls', async () => ({ items: await db.query('select rack, life, count(*)::int as stored, max(seq) as last from traffic.call group by rack, life order by rack, life') }))
      },
      async facts (tx, rack, batch) {
        await tx.query('insert into traffic.fact (rack, life, seq) select $1, life, seq from unnest($2::text[], $3::integer[]) with ordinality as t(life, seq, n) order by n',
          [rack, batch.map(({ body }) => body.life), batch.map(({ body }) => body.seq)])
      }
    }
  }
})
