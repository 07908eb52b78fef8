/** What lasts longer than one answer, against a region that comes and goes: --wait and events --follow. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { run } from './cli.kit.ts'

let close: (() => Promise<unknown>) | undefined
afterEach(async () => { await close?.(); close = undefined })

/** A region that answers by script. */
async function region (handle: (request: IncomingMessage, response: ServerResponse, path: string) => void): Promise<string> {
  const server = createServer((request, response) => { handle(request, response, new URL(request.url ?? '', 'http://x').pathname.replace('/api/v1', '')) })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  close = () => { server.closeAllConnections(); return new Promise(resolve => server.close(resolve)) }
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const json = (response: ServerResponse, body: unknown, status = 200): void => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)) }

it('a wait outlives a region that restarts, and tells every event once', async () => {
  let asked = 0
  const url = await region((request, response, path) => {
    if (request.method === 'POST') return json(response, { id: 'm', hostname: 'web', status: 'Commissioning', reason: null })
    if (path.endsWith('/events')) {
      const after = Number(new URL(request.url ?? '', 'http://x').searchParams.get('after') ?? 0)
      const events = [1, 2, 3].filter(id => id > after && id <= asked + 1).map(id => ({ id: String(id), at: '', type: 't', level: id === 2 ? 'warning' : 'info', message: `step ${id}` }))
      return json(response, { items: events })
    }
    asked++
    if (asked === 2) { request.socket.destroy(); return }
    if (asked === 3) return json(response, { code: 'DATABASE_UNREACHABLE', detail: 'The database is away.' }, 503)
    json(response, { id: 'm', hostname: 'web', status: asked < 5 ? 'Commissioning' : 'Ready', reason: null })
  })
  const { code, out, err } = await run('machine commission web --wait', { env: { BEDPLATE_URL: url } })
  expect([code, out]).toEqual([0, 'Machine web is Ready.\n'])
  const lines = err.trim().split('\n').map(line => line.replace(/^\[[^\]]*\] /, ''))
  expect(lines).toEqual(['web is Commissioning', '  step 1', '  warning: step 2', expect.stringContaining('No answer'), 'The database is away.', '  step 3', 'web is Ready'])
})

it('a wait ends when the machine is gone', async () => {
  const url = await region((request, response, path) => {
    if (request.method === 'POST') return json(response, { id: 'm', hostname: 'web', status: 'Releasing', reason: null })
    if (path.endsWith('/events')) return json(response, { items: [] })
    json(response, { code: 'NOT_FOUND', detail: 'There is no machine m.' }, 404)
  })
  expect(await run('machine release web --wait', { env: { BEDPLATE_URL: url } })).toEqual({ code: 1, out: '', err: 'bedplate: There is no machine m. [NOT_FOUND]\n' })
})

it('events are followed over a restart from where they were, none twice', async () => {
  const positions: (string | undefined)[] = []
  const change = (seq: number) => `event: change\ndata: {"seq":"${seq}","topic":"t.t","id":"${seq}"}\nid: p${seq}\n\n`
  const url = await region((request, response) => {
    positions.push(request.headers['last-event-id'] as string | undefined)
    if (positions.length === 2) { request.socket.destroy(); return }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (positions.length === 1) response.end(`: hello\n\n${change(1)}${change(2)}`)
    else response.write(`${change(2)}event: gap\ndata: {}\n\n${change(3)}`)
  })
  const { code, out, err } = await run('events --follow --count 3', { env: { BEDPLATE_URL: url } })
  expect([code, out, positions]).toEqual([0, 't.t 1\nt.t 2\nt.t 3\n', [undefined, 'p2', 'p2']])
  expect(err).toMatch(/No answer[^\n]*\nSome changes are no longer known: read everything again\.\n/)
})

it('events without --follow end with their stream', async () => {
  const url = await region((_, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: change\ndata: {"seq":"1","topic":"a.b","id":"c"}\n\n') })
  expect(await run('events -o json', { env: { BEDPLATE_URL: url } })).toEqual({ code: 0, out: '{"seq":"1","topic":"a.b","id":"c"}\n', err: '' })
})
