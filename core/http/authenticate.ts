/** Who is asking, and may they: every route needs a principal with a scope unless it says it is public. */
import type { FastifyInstance } from 'fastify'
import { BedplateError } from '../errors.ts'
import type { Hooks, Principal } from '../hooks.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; undefined on public routes only. */
    principal: Principal | undefined
  }
}

/** Asks `hooks.authenticate` before the body is read; the first answer counts. `admin` implies every scope. */
export function authenticate (app: FastifyInstance, hooks: Hooks): void {
  app.decorateRequest('principal', undefined)
  app.addHook('onRequest', async request => {
    const { config } = request.routeOptions
    if (request.is404 || config.public === true) return
    const principal = await hooks.authenticate.promise({ authorization: request.headers.authorization, address: request.ip ?? 'unix' })
    if (principal === undefined) throw new BedplateError('UNAUTHENTICATED')
    const scope = config.scope ?? (request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write')
    if (!principal.scopes.includes(scope) && !principal.scopes.includes('admin')) throw new BedplateError('FORBIDDEN', { name: principal.name, scope })
    request.principal = principal
  })
}

/** Tells `hooks.audited` of each mutating request after its answer. */
export function audit (app: FastifyInstance, hooks: Hooks): void {
  app.addHook('onResponse', async (request, reply) => {
    if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return
    const { principal, method, url, id } = request
    await hooks.audited.promise({ principal, method, url, status: reply.statusCode, requestId: id })
  })
}
