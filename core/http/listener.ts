/** Serves an app on addresses that can be opened and closed again; one service each, so that a port in use costs no more than itself. */
import type { FastifyInstance } from 'fastify'
import { lstat, unlink } from 'node:fs/promises'
import { STATUS_CODES, createServer } from 'node:http'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { BedplateError, reasonOf } from '../errors.ts'
import { dead, off, running } from '../health.ts'
import type { Health } from '../health.ts'
import { listenAt, nameOf, remedyFor } from '../listening.ts'
import type { Where } from '../listening.ts'
import type { Logger } from '../log.ts'
import type { Service } from '../plugin.ts'

export type { Where }
export interface Listener extends Service { address(): AddressInfo | string | undefined }

const drainTime = 5_000 // ms answers in progress get before their connections are cut

/** A service that listens at `where`. `onStop` ends what would keep connections open, such as event streams. */
export function createListener ({ name, app, where, log, onStop }: { name: string, app: FastifyInstance, where: Where, log: Logger, onStop?: () => void }): Listener {
  const shown = nameOf(where)
  let server: Server | undefined
  let health: Health = off('Not started yet.')
  let turn: Promise<unknown> = Promise.resolve()
  let generation = 0 // a stop makes the starts queued before it void
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => { const result = turn.then(work); turn = result.catch(() => {}); return result }

  async function open (): Promise<void> {
    if (server?.listening) return
    const made = createServer({ requestTimeout: 300_000, headersTimeout: 60_000 }, (request, response) => app.routing(request, response))
    made.on('clientError', (error, socket) => {
      if (socket.writable) socket.end(refusal((error as NodeJS.ErrnoException).code))
      else socket.destroy()
    })
    try {
      if ('socket' in where) await removeStale(where.socket)
      await listenAt(made, where)
    } catch (error) {
      health = dead(remedyFor(error, where))
      throw new BedplateError('START_FAILED', { what: `${name} at ${shown}`, reason: remedyFor(error, where) }, error)
    }
    made.on('error', error => { health = dead(`It no longer listens at ${shown}: ${reasonOf(error)}`) })
    server = made
    health = running
    log.info({ address: made.address() }, `${name} listens at ${shown}`)
  }

  async function close (): Promise<void> {
    const open = server
    server = undefined
    health = off('Stopped.')
    if (open === undefined) return
    onStop?.()
    await new Promise<void>(resolve => {
      const late = setTimeout(() => open.closeAllConnections(), drainTime)
      const idle = setInterval(() => open.closeIdleConnections(), 50) // those kept alive after their last answer
      open.close(() => { clearTimeout(late); clearInterval(idle); resolve() })
      open.closeIdleConnections()
    })
  }

  return {
    name,
    start (signal) {
      const mine = generation
      return inTurn(async () => { if (mine === generation && !signal.aborted) await open() })
    },
    stop () { generation++; return inTurn(close) },
    health: () => health,
    address: () => server?.address() ?? undefined
  }
}

/** The answer to what never became a request, as bytes: there is no reply object for it. */
function refusal (code: string | undefined): string {
  const [status, reason] = code === 'HPE_HEADER_OVERFLOW' ? [431, 'Its headers are larger than 16 KiB.'] as const : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? [408, 'It did not arrive in time.'] as const : [400, 'It is not HTTP.'] as const
  const title = STATUS_CODES[status] ?? ''
  const { message } = new BedplateError('INVALID_REQUEST', { reason })
  const body = JSON.stringify({ reason, type: 'urn:bedplate:error:INVALID_REQUEST', title, status, detail: message, code: 'INVALID_REQUEST' })
  return `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** A socket file left by a killed process refuses connections; one in use does not, and stays. */
async function removeStale (path: string): Promise<void> {
  if (!(await lstat(path).catch(() => undefined))?.isSocket()) return
  const refused = await new Promise<boolean>(resolve => {
    const probe = connect(path, () => { probe.destroy(); resolve(false) })
    probe.on('error', error => resolve((error as NodeJS.ErrnoException).code === 'ECONNREFUSED'))
  })
  if (refused) await unlink(path).catch(() => {})
}
