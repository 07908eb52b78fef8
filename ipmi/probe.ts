/**
 * Whether a BMC answers at an address, asked without credentials: ASF's presence ping, and Get Channel Authentication Capabilities, which every BMC must answer.
 * Thousands at a time, on one socket for each address family.
 */
import { answerOf } from './commands/command.ts'
import { getAuthCapabilities, thisChannel, type AuthCapabilities } from './commands/session.ts'
import { createDeadlines } from './deadlines.ts'
import { authType, decode15, encode15 } from './lan15.ts'
import { decodeMessage, encodeMessage, request } from './message.ts'
import { privilege } from './privilege.ts'
import { resolveHost } from './resolve.ts'
import { classOf, decodeAsf, encodePing } from './rmcp.ts'
import { udpTransport, type OpenTransport } from './transport.ts'

/** `rtt`: ms until the first answer. `capabilities`: null where it answered the ping alone. */
export interface Probed { readonly reachable: boolean, readonly rtt: number | null, readonly capabilities: AuthCapabilities | null }
export interface Prober {
  /** Never fails: what does not answer within `timeout` ms, or has no address, is not reachable. Asked twice, at the beginning and after a third of the time. */
  probe(host: string, port: number, options: { readonly timeout: number, readonly signal?: AbortSignal }): Promise<Probed>
  close(): Promise<void>
}

const nobody: Probed = { reachable: false, rtt: null, capabilities: null }
const patience = 30 // ms a pong waits for the other answer, at the least

interface Waiting { readonly sent: Map<number, number>, rtt: number | null, readonly done: (result: Probed) => void }

export function createProber (open: OpenTransport = udpTransport): Prober {
  const waiting = new Map<string, Set<Waiting>>()
  const deadlines = createDeadlines()
  let sequence = 0

  const transport = open((datagram, address, port) => {
    const here = waiting.get(`${address} ${port}`)
    if (here === undefined) return
    const answer = read(datagram)
    if (answer === undefined) return
    for (const one of here) {
      const sent = one.sent.get(answer.sequence)
      if (sent === undefined) continue // not asked by this one
      one.rtt ??= performance.now() - sent
      const { rtt } = one
      if (answer.capabilities !== null) one.done({ reachable: true, rtt, capabilities: answer.capabilities })
      else deadlines.after(Math.max(patience, 2 * rtt), () => { one.done({ reachable: true, rtt, capabilities: null }) })
    }
  })

  const ask = async (host: string, port: number, timeout: number, signal: AbortSignal | undefined): Promise<Probed> => {
    const address = await resolveHost(host)
    if (signal?.aborted === true) return nobody
    const key = `${address} ${port}`
    const { promise, resolve } = Promise.withResolvers<Probed>()
    const one: Waiting = { sent: new Map(), rtt: null, done: resolve }
    const here = waiting.get(key) ?? new Set()
    waiting.set(key, here.add(one))
    let over = false
    const send = (): void => {
      if (over) return
      sequence = (sequence + 1) % 64
      one.sent.set(sequence, performance.now())
      transport.send(encodePing(sequence), address, port)
      transport.send(encode15({ authType: authType.none, sequence: 0, sessionId: 0, message: encodeMessage(request(getAuthCapabilities.netFn, getAuthCapabilities.command, getAuthCapabilities.request.encode({ channel: thisChannel, v20: true, privilege: privilege.user }), sequence)) }), address, port)
    }
    const stop = (): void => { resolve(nobody) }
    signal?.addEventListener('abort', stop, { once: true })
    send()
    deadlines.after(timeout / 3, send)
    deadlines.after(timeout, () => { resolve(one.rtt === null ? nobody : { reachable: true, rtt: one.rtt, capabilities: null }) })
    try { return await promise } finally {
      over = true
      signal?.removeEventListener('abort', stop)
      here.delete(one)
      if (here.size === 0) waiting.delete(key)
    }
  }

  return {
    probe: (host, port, { timeout, signal }) => ask(host, port, timeout, signal).catch(() => nobody), // a name nobody knows
    async close () {
      for (const here of waiting.values()) for (const one of here) one.done(nobody)
      deadlines.clear()
      await transport.close()
    }
  }
}

/** What an answer says, and to which question; undefined for what is none. */
function read (datagram: Buffer): { readonly sequence: number, readonly capabilities: AuthCapabilities | null } | undefined {
  const kind = classOf(datagram)
  if (kind === 'asf') {
    const presence = decodeAsf(datagram)
    return presence?.kind === 'pong' && presence.ipmi ? { sequence: presence.tag, capabilities: null } : undefined
  }
  const packet = kind === 'ipmi' ? decode15(datagram) : undefined
  const message = packet === undefined ? undefined : decodeMessage(packet.message)
  if (message?.netFn !== (getAuthCapabilities.netFn | 1) || message.command !== getAuthCapabilities.command) return undefined
  try { return { sequence: message.seq, capabilities: answerOf(getAuthCapabilities, message.data) } } catch { return undefined }
}
