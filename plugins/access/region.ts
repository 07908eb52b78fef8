/** access on a region: answers who is asking, keeps tokens, and writes down what was changed. */
import { defineRegion } from '../../core/plugin.ts'
import { routes } from './api.ts'
import { createAuthentication } from './authentication.ts'
import { ensureFirstToken } from './first-token.ts'
import { manifest } from './manifest.ts'
import { insertAudit } from './store.ts'

export default defineRegion(manifest, {
  requires: {},
  provides: {},
  setup (ctx) {
    const authentication = createAuthentication(ctx.db, ctx.clock)
    ctx.hooks.authenticate.tapPromise('access', credentials => authentication.authenticate(credentials))
    ctx.hooks.audited.tapPromise('access', async ({ principal, ...request }) => {
      await insertAudit(ctx.db, { ...request, principal: principal?.name ?? null, tokenId: principal?.id ?? null, url: request.url.slice(0, 2000) })
    })
    return {
      provides: {},
      rpc: {},
      services: [],
      routes: routes(ctx.db),
      changed (changes) {
        if (changes.some(({ topic }) => topic === 'access.token')) authentication.forget()
      },
      start: () => ensureFirstToken(ctx.db, ctx.controller.dataDirectory, ctx.log)
    }
  }
})
