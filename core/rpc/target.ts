/** One region a rack keeps a link to: connects, says hello, waits for the end, and tries again with a growing, jittered pause. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { WebSocket, type ClientOptions } from 'ws'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import { controllerOf } from './certificate.ts'
import { frameLimit, type Hello } from './frames.ts'
import type { Identity } from './identity.ts'
import { notRegion } from './joining.ts'
import type { Link } from './link.ts'
import { socketWire, type Wire } from './wire.ts'

/** ms before attempt `n` (0 = the first retry): 250 doubling to 2,500, of which between half and all is waited. `random` is in [0, 1). */
export const pause = (n: number, random: number): number => Math.min(2500, 250 * 2 ** Math.min(n, 10)) * (0.5 + random / 2)

/** `host`, `host:port`, `[v6]:port` or a URL, as a wss URL with its port. Throws INVALID_REQUEST. */
export function regionUrl (text: string): string {
  const bare = text.trim().replace(/^(https|wss):\/\//, '')
  try {
    if (/\s|^$|[/@?#](?!$)/.test(bare)) throw new TypeError('not a host and port')
    const v6 = bare.split(':').length > 2 && !bare.startsWith('[') ? `[${bare.replace(/\/$/, '')}]` : bare
    const url = new URL(`https://${v6}`)
    return `wss://${url.hostname}:${url.port || (/:443\/?$/.test(v6) ? '443' : '5250')}`
  } catch (cause) {
    throw new BedplateError('INVALID_REQUEST', { reason: `"${text}" is not the address of a region: give host or host:port` }, cause)
  }
}

/** Why a rack has no link to a region that was removed. */
export const removedRegion = (id: string): string => `the region ${id} was removed from the installation: its certificate is accepted no more. Take its address out of the setting regions`

/** Opens a wire to a region's port; rejects when there is none, or it is not a region of ours (any more: `removed`). */
export function openSocket (url: string, identity: Identity, removed: ReadonlySet<string> = new Set(), patience = 4000): Promise<Wire> {
  return new Promise((resolve, reject) => {
    let controller: string | undefined
    const peerFault = (_host: string, { raw }: { readonly raw?: Buffer }): Error | undefined => {
      const certificate = raw === undefined ? undefined : new X509Certificate(raw)
      controller = certificate === undefined ? undefined : controllerOf(certificate)
      return controller !== undefined && removed.has(controller) ? new BedplateError('UNAVAILABLE', { reason: removedRegion(controller) }) : notRegion(certificate)
    }
    const socket = new WebSocket(`${url}/link`, {
      key: identity.key, cert: identity.certificate, ca: identity.authority, minVersion: 'TLSv1.3', handshakeTimeout: patience, maxPayload: frameLimit, perMessageDeflate: false,
      checkServerIdentity: peerFault
    } as ClientOptions & { checkServerIdentity: typeof peerFault }) // what ws passes on to tls.connect, which ws's types do not know
    let tls: TLSSocket | undefined
    socket.on('upgrade', response => { tls = response.socket as TLSSocket })
    socket.once('open', () => { resolve(socketWire(socket, url, tls, controller)) })
    socket.on('unexpected-response', (call, response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { if (chunks.length < 8) chunks.push(chunk) })
      response.on('close', () => { reject(new BedplateError('UNAVAILABLE', { reason: Buffer.concat(chunks).toString('utf8').slice(0, 500) || `the region answered ${response.statusCode}` })); call.destroy() })
    })
    socket.on('error', reject)
    socket.once('close', () => { reject(new BedplateError('LINK_DOWN', { controller: url })) })
  })
}

export interface Target {
  /** The region's id, once known. */
  controller: string | undefined
  urls: readonly string[]
  readonly configured: boolean
  link: Link | undefined
  reason: string | undefined // why there is no link
  since: number // when it went, milliseconds since the epoch
  url: string // the one tried last
  readonly stop: AbortController
  done: Promise<void>
}

export interface TargetOptions {
  readonly clock: Clock
  readonly random: () => number
  /** Opens a wire; may throw. */
  readonly open: (url: string) => Promise<Wire>
  readonly link: (wire: Wire, refuse: (peer: Hello) => string | undefined) => Link
  /** Says why a link to this region is not wanted now (there is one already), or nothing. */
  readonly spare: (target: Target, controller: string) => string | undefined
  readonly up: (target: Target, link: Link) => void
  readonly down: (target: Target, link: Link, reason: string) => void
}

export const notTried = 'not tried yet'

/** Starts keeping a link to one region. */
export function keepLink (seed: { readonly controller?: string, readonly urls: readonly string[], readonly configured: boolean }, o: TargetOptions): Target {
  const target: Target = { controller: seed.controller, urls: seed.urls, configured: seed.configured, link: undefined, reason: notTried, since: o.clock.now(), url: seed.urls[0] ?? '', stop: new AbortController(), done: Promise.resolve() }
  const { signal } = target.stop

  async function once (attempt: number): Promise<boolean> {
    const why = target.controller === undefined ? undefined : o.spare(target, target.controller)
    if (why !== undefined) { target.reason = why; return false }
    target.url = target.urls[attempt % target.urls.length] ?? target.url
    const wire = await o.open(target.url)
    const link = o.link(wire, peer => {
      if (target.configured) target.controller = peer.controller // whatever region stands at a configured address will do
      return target.controller !== undefined && target.controller !== peer.controller ? `another region answers at ${target.url}` : o.spare(target, peer.controller)
    })
    const stopped = () => { link.close('this rack is stopping') }
    signal.addEventListener('abort', stopped, { once: true })
    try {
      if (signal.aborted) { stopped(); return false }
      try { await link.ready } catch { target.reason = await link.closed; return false }
      target.controller = link.peer.controller
      target.link = link
      target.reason = undefined
      o.up(target, link)
      const reason = await link.closed
      target.link = undefined
      target.reason = reason
      target.since = o.clock.now()
      o.down(target, link, reason)
      return true
    } finally {
      signal.removeEventListener('abort', stopped)
    }
  }

  async function run (): Promise<void> {
    for (let attempt = 0, waits = 0; !signal.aborted; attempt++) {
      try {
        if (await once(attempt)) waits = 0
      } catch (error) {
        target.reason = reasonOf(error)
      }
      await o.clock.sleep(pause(waits++, o.random()), signal)
    }
  }
  target.done = run()
  return target
}
