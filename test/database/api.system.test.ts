/** A region's API while its database fails over: requests with an Idempotency-Key are repeated until they are answered, and each is done exactly once. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'
import { things } from '../http/toy.ts'
import { createServers } from '../kit/servers.ts'
import type { Server, Servers } from '../kit/servers.ts'
import { until } from '../kit/wait.ts'

const soon = 5000 // ms: what docs/adr/0008 allows between the promotion and the first write
let servers: Servers
let first: Server
let second: Server
let daemon: Daemon

beforeEach(async () => {
  servers = await createServers()
  first = await servers.primary('first')
  second = await servers.standby('second', first)
  await first.synchronous('second')
  daemon = await startDaemon({ plugins: [things({ count: 0 })], roles: ['region'], config: { database: { hosts: [first.at, second.at], name: servers.database, user: servers.user, password: servers.password } } })
})
afterEach(async () => {
  try { await daemon?.stop() } finally { await servers.destroy() }
})

test.each([['is killed', (server: Server) => server.kill9()], ['hangs', (server: Server) => server.pause()], ['goes on', async () => {}]])('each request is done once and answered, when the primary %s and the standby is promoted', async (how, hurt) => {
  const answered = new Map<string, number>()
  const statuses = new Map<string, number>()
  const wrong: string[] = []
  let going = true
  const client = async (name: string): Promise<void> => {
    for (let n = 0; going; n++) {
      const id = `${name}${n}`
      for (;;) {
        const { status, body, headers } = await daemon.request<{ code?: string, detail?: string }>('POST', `/api/v1/things/change/${id}`, undefined, { 'idempotency-key': id })
        const what = body.code ?? String(status)
        statuses.set(what, (statuses.get(what) ?? 0) + 1)
        if (status === 200 || body.code === 'ALREADY_DONE') { answered.set(id, performance.now()); break }
        if (status !== 503 && !headers.has('retry-after')) { wrong.push(`${status} ${body.detail}`); break }
      }
    }
  }
  const clients = ['a', 'b', 'c', 'd'].map(client)
  await until(() => answered.size > 50, { what: 'the load to be under way' })
  expect((await daemon.request('GET', '/readyz')).status).toBe(200)
  await hurt(first)
  await second.promote()
  const returned = performance.now()
  const after = () => [...answered.values()].filter(at => at > returned).sort((a, b) => a - b)
  await until(() => after().length > 50, { timeout: 30_000, what: 'writes to go on' })
  going = false
  await Promise.all(clients)
  process.stdout.write(`API, the primary ${how}: the first answered write ${Math.round((after()[0] ?? NaN) - returned)} ms after the promotion; answers ${JSON.stringify(Object.fromEntries(statuses))}\n`)
  expect((after()[0] ?? Infinity) - returned).toBeLessThan(soon)
  expect(wrong).toEqual([])
  const rows = await second.sql<{ id: string, count: number }>("select id, count(*)::int as count from core.change where topic = 'things.thing' group by id", { database: servers.database })
  expect(rows.filter(({ count }) => count !== 1)).toEqual([])
  const there = new Set(rows.map(({ id }) => id))
  expect([...answered.keys()].filter(id => !there.has(id))).toEqual([])
  await until(async () => (await daemon.request('GET', '/readyz')).status === 200, { what: 'the region to be ready' })
})
