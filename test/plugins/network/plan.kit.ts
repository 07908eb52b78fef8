/** A network plan over real HTTP routes and a real database, without the rest of a region. */
import type { FastifyInstance, InjectOptions } from 'fastify'
import { createApp } from '../../../core/http/app.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createLogger } from '../../../core/log.ts'
import { routes } from '../../../plugins/network/api.ts'
import { manifest } from '../../../plugins/network/manifest.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'

export interface Answer { readonly status: number, readonly body: any, readonly headers: Record<string, unknown> }
export interface Plan {
  readonly db: TestDatabase
  readonly app: FastifyInstance
  call(method: NonNullable<InjectOptions['method']>, path: string, body?: object, headers?: Record<string, string>): Promise<Answer>
  /** Adds a subnet to the first VLAN; gives its id. */
  subnet(cidr: string, more?: object): Promise<string>
  range(subnetId: string, start: string, end: string, kind?: string): Promise<Answer>
  /** Changes logged since the last look, as `topic id`. */
  changes(): Promise<string[]>
  close(): Promise<void>
}

export async function openPlan (size = 5): Promise<Plan> {
  const db = await testDatabase({ migrations: [manifest], size })
  const app = createApp(createLogger('silent'))
  conventions(app)
  await app.register(routes(db), { prefix: '/api/v1/network' })
  await app.ready()
  let position = await db.feed.position()
  const plan: Plan = {
    db, app,
    async call (method, path, body, headers = {}) {
      const answer = await app.inject({ method, url: `/api/v1/network${path}`, headers, ...(body === undefined ? {} : { payload: body }) })
      return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json(), headers: answer.headers }
    },
    async subnet (cidr, more = {}) {
      const { body } = await plan.call('POST', '/subnets', { vlanId: '1', cidr, ...more })
      return body.id
    },
    range: (subnetId, start, end, kind = 'dynamic') => plan.call('POST', '/ranges', { subnetId, kind, start, end }),
    async changes () {
      const found = await db.feed.since(position)
      position = found.position
      return found.changes.map(({ topic, id }) => `${topic} ${id}`)
    },
    async close () {
      await app.close()
      await db.drop()
    }
  }
  return plan
}
