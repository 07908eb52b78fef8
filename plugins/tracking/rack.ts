/** tracking on a rack: tells the regions how its services and links are. Where the same process is a region, that half does it. */
import { defineRack, Self } from '../../core/plugin.ts'
import { manifest } from './manifest.ts'
import { createTeller } from './report.ts'

export default defineRack(manifest, {
  requires: { self: Self },
  provides: {},
  setup (ctx) {
    if (ctx.controller.roles.includes('region')) return { provides: {}, rpc: {}, services: [] }
    const teller = createTeller({
      name: 'reports', clock: ctx.clock, log: ctx.log, status: ctx.deps.self.status,
      trouble: 'The regions are not told how the services of this rack are',
      tell ({ make = '', whole, changes, links }) {
        if (whole !== undefined) ctx.report('services', { make, services: [...whole] })
        for (const change of changes) ctx.report('service', change)
        if (links !== undefined) ctx.report('links', { links: [...links] })
      }
    })
    ctx.hooks.service.tap('tracking', teller.changed)
    ctx.hooks.link.tap('tracking', () => teller.service.wake())
    return { provides: {}, rpc: {}, services: [teller.service], async reconcile () { teller.whole() } }
  }
})
