/** The API of the parts (parts.ts), through the API host's own Fastify, for somebody who may do everything. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { createApp } from '../../../core/http/app.ts'
import { authenticate } from '../../../core/http/authenticate.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createHooks } from '../../../core/hooks.ts'
import { quiet, type Parts } from './parts.ts'

/** `text` is the body as it was sent, for what must not be in it. */
export interface Answer { readonly status: number, readonly text: string, readonly body: any }
export interface Caller {
  /** `path` after /api/v1/. */
  call(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<Answer>
  close(): Promise<void>
}

export async function createCaller (parts: Parts): Promise<Caller> {
  const hooks = createHooks()
  hooks.authenticate.tap('test', () => ({ id: '1', name: 'ann', scopes: ['admin'] }))
  const app = createApp(quiet)
  conventions(app)
  authenticate(app, hooks)
  for (const [name, { routes }] of Object.entries(parts.running)) if (routes !== undefined) await app.withTypeProvider<TypeBoxTypeProvider>().register(routes, { prefix: `/api/v1/${name}` })
  await app.ready()
  return {
    async call (method, path, body) {
      const response = await app.inject({ method, url: `/api/v1/${path}`, ...(body === undefined ? {} : { payload: body }) })
      return { status: response.statusCode, text: response.body, body: response.body === '' ? undefined : response.json() }
    },
    close: () => app.close()
  }
}
