/** The rack's routes over TLS, for firmware that has the region's authority: with a certificate for the addresses machines reach this rack at, renewed while it serves. */
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Clock, Health, Logger, Service } from '../../../core/plugin.ts'
import { faultOf, isGood, publicKeyOf } from './identity.ts'
import type { Shown, ShownStore } from './identity.ts'

export interface SecureOptions {
  /** 0: not at all. */
  readonly port: number
  readonly host?: string
  readonly store: ShownStore, readonly clock: Clock, readonly log: Logger
  /** IP addresses of this rack as machines know them, and of those it may hold in turn. */
  addresses(): readonly string[]
  /** Asks a region for a certificate. */
  certify(publicKey: string, addresses: readonly string[], signal: AbortSignal): Promise<{ readonly certificate: string, readonly authority: string }>
}
export interface Secure extends Service {
  /** Whoever answers the requests, from now on. */
  handle(listener: RequestListener): void
  /** Addresses may have changed. */
  look(): void
  /** The port taken, once it serves. */
  port(): number | undefined
}

const every = 10_000 // ms between two looks at addresses and certificate
const drainTime = 5_000 // ms answers in progress get before their connections are cut
const notYet: RequestListener = (_request, response) => { response.writeHead(503, { 'retry-after': '2', 'content-length': 0 }).end() }
// What firmware is trusted by is the certificate, so nobody is asked for one. TLS 1.2: what UEFI has.
const settings = { minVersion: 'TLSv1.2', handshakeTimeout: 10_000, headersTimeout: 60_000, requestTimeout: 300_000 } as const

export function createSecure ({ port, host, store, clock, log, addresses, certify }: SecureOptions): Secure {
  let listener: RequestListener = notYet
  let server: Server | undefined
  let shown: Shown | undefined
  let fault: string | undefined
  let asked = false // since the start: an installation made anew has another authority
  let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let turn: Promise<void> = Promise.resolve()
  let wake = Promise.withResolvers<void>()
  const look = (): void => { wake.resolve(); wake = Promise.withResolvers() }

  async function open ({ key, certificate }: Shown): Promise<void> {
    const made = createServer({ ...settings, key, cert: certificate }, (request, response) => listener(request, response))
    made.on('tlsClientError', (error, socket) => { log.debug({ address: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed') })
    made.on('clientError', (_error, socket) => { socket.destroy() })
    await new Promise<void>((resolve, reject) => { made.once('error', reject); made.listen({ port, ...host === undefined ? {} : { host } }, resolve) })
    made.on('error', error => { log.warn({ reason: reasonOf(error) }, 'a connection over TLS could not be taken') })
    server = made
    log.info({ address: made.address() }, 'HTTPS for firmware listens')
  }

  /** Sees to it that what is shown fits, and that it is shown. */
  async function attend (signal: AbortSignal): Promise<void> {
    const wanted = addresses()
    shown ??= await store.load()
    const why = shown === undefined ? 'there is none yet' : faultOf(shown, wanted, clock.now())
    if (wanted.length > 0 && (why !== undefined || !asked)) {
      try {
        const { certificate, authority } = await certify(publicKeyOf(await store.key()), wanted, signal)
        asked = true
        if (why !== undefined || authority !== shown?.authority) {
          shown = await store.save(certificate, authority)
          server?.setSecureContext({ ...settings, key: shown.key, cert: shown.certificate })
          log.info({ addresses: wanted }, 'a certificate for HTTPS was made')
        }
        fault = undefined
      } catch (error) {
        fault = why === undefined ? undefined : `No certificate that fits could be had from a region: ${reasonOf(error)}. Of what is here: ${why}.`
      }
    } else fault = wanted.length === 0 ? 'This rack has no address that a certificate could name.' : undefined
    if (!signal.aborted && shown !== undefined && server === undefined && isGood(shown, clock.now())) {
      try { await open(shown) } catch (error) { fault = `TCP port ${port} cannot be opened: ${reasonOf(error)}` }
    }
  }

  async function keep (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const woken = wake.promise
      await attend(signal).catch((error: unknown) => { fault = reasonOf(error) })
      const pause = new AbortController()
      const ended = () => pause.abort()
      signal.addEventListener('abort', ended, { once: true })
      if (signal.aborted) ended()
      await Promise.race([woken, clock.sleep(every, pause.signal)])
      signal.removeEventListener('abort', ended)
      pause.abort()
    }
  }

  async function close (): Promise<void> {
    const open = server
    server = undefined
    if (open === undefined) return
    await new Promise<void>(resolve => {
      const late = setTimeout(() => open.closeAllConnections(), drainTime)
      const idle = setInterval(() => open.closeIdleConnections(), 50)
      open.close(() => { clearTimeout(late); clearInterval(idle); resolve() })
      open.closeIdleConnections()
    })
  }

  return {
    name: 'https',
    handle (handler) { listener = handler },
    look,
    port: () => (server?.address() as AddressInfo | null | undefined)?.port,
    start () {
      turn = turn.catch(() => {}).then(() => {
        if (life !== undefined || port === 0) return
        const stop = new AbortController()
        life = { stop, done: keep(stop.signal) }
      })
      return turn
    },
    stop () {
      turn = turn.catch(() => {}).then(async () => {
        const ending = life
        life = undefined
        ending?.stop.abort()
        look()
        await ending?.done
        await close()
        asked = false
      })
      return turn
    },
    health (): Health {
      if (port === 0) return off('boot.httpsPort is 0.')
      if (life === undefined) return off('Not started.')
      return fault === undefined ? server === undefined ? degraded('Waiting for a certificate from a region.') : running : degraded(fault)
    }
  }
}
