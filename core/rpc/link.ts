/** A link: a wire on which both ends said hello. Carries calls both ways, watches that the peer lives, hands on every other frame. */
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import { decodeFrame, encodeFrame, protocol, type Frame, type Frames, type Hello } from './frames.ts'
import { fromWire, toWire } from './methods.ts'
import type { Wire } from './wire.ts'

export type Carried = Exclude<Frame, Frames['hello' | 'call' | 'answer' | 'cancel' | 'ping' | 'pong']>

export interface LinkOptions {
  readonly wire: Wire
  readonly self: Hello
  /** Say hello only to a peer that said it and is welcome: then a link nobody wants never comes up at the other end. */
  readonly second?: boolean
  readonly clock: Clock
  /** Says why this peer is not welcome, or nothing. */
  readonly refuse?: (peer: Hello) => string | undefined
  readonly answer: (call: Frames['call'], link: Link, signal: AbortSignal) => Promise<unknown>
  readonly receive: (frame: Carried, link: Link) => void
  readonly dropped?: (reason: string) => void
  readonly timing?: Partial<Timing>
}
/** ms. A peer that was silent for `dead` is gone; `welcome` is for the hello. */
export interface Timing { readonly ping: number, readonly dead: number, readonly welcome: number }
const usual: Timing = { ping: 1000, dead: 4000, welcome: 5000 }

export interface Link {
  readonly wire: Wire
  readonly peer: Hello // valid after `ready`
  readonly up: boolean
  /** Resolves when the peer said hello; rejects with LINK_DOWN. */
  readonly ready: Promise<void>
  /** Resolves with the reason when the link is over; never rejects. */
  readonly closed: Promise<string>
  /** Aborts when the link is over. */
  readonly signal: AbortSignal
  /** Rejects with LINK_DOWN (the link broke: the peer may or may not have acted), CALL_TIMEOUT, or the peer's error. */
  call(plugin: string, method: string, params: unknown, options: { readonly timeout: number, readonly signal?: AbortSignal | undefined }): Promise<unknown>
  /** Sends a frame; on a closed link it is dropped. Throws FRAME_INVALID when it is too large. */
  send(frame: Carried): void
  close(reason: string): void
}

interface Waiting { readonly label: string, readonly settle: (error: BedplateError | undefined, result?: unknown) => void }
const abuseLimit = 10 // malformed frames on one link
const atOnce = 1024 // calls a peer may have open
const unreadLimit = 64 * 1024 * 1024 // bytes a peer may leave unread

/** Opens a link over a wire and says hello. */
export function createLink (options: LinkOptions): Link {
  const { wire, clock } = options
  const timing = { ...usual, ...options.timing }
  const over = new AbortController()
  const waiting = new Map<number, Waiting>()
  const serving = new Map<number, AbortController>()
  const ready = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<string>()
  let peer: Hello | undefined
  let ended: string | undefined
  let nextId = 1
  let malformed = 0
  const name = () => peer?.controller ?? wire.name

  function write (frame: Frame): void {
    if (ended !== undefined) return
    wire.send(encodeFrame(frame))
    if (wire.waiting() > unreadLimit) close('the peer does not read what it is sent')
  }

  function finish (reason: string): void {
    if (ended !== undefined) return
    ended = reason
    over.abort()
    const down = new BedplateError('LINK_DOWN', { controller: name(), reason })
    for (const call of [...waiting.values()]) call.settle(down)
    for (const call of serving.values()) call.abort()
    ready.reject(down)
    closed.resolve(reason)
  }
  function close (reason: string): void {
    wire.close(reason)
    finish(reason)
  }

  function drop (reason: string): void {
    malformed++
    options.dropped?.(reason)
    if (malformed >= abuseLimit) close('too many malformed frames')
  }

  async function serve (call: Frames['call']): Promise<void> {
    const label = `${call.plugin}.${call.method}`
    const abort = new AbortController()
    const fail = (thrown: unknown) => { write({ t: 'answer', id: call.id, error: toWire(thrown, label, options.self.controller) }) }
    if (serving.size >= atOnce || serving.has(call.id)) { fail(new BedplateError('UNAVAILABLE', { reason: 'too many calls at once' })); return }
    serving.set(call.id, abort)
    try {
      const result = await options.answer(call, link, abort.signal)
      try { write({ t: 'answer', id: call.id, ...(result === undefined ? {} : { result }) }) } catch (error) { fail(error) }
    } catch (error) {
      fail(error)
    } finally {
      serving.delete(call.id)
    }
  }

  function welcome (hello: Hello): void {
    if (peer !== undefined) { drop('a second hello'); return }
    const why = hello.protocol === protocol ? options.refuse?.(hello) : `this controller speaks protocol ${protocol}, ${hello.controller} ${hello.protocol}: upgrade the older one`
    if (why !== undefined) { close(why); return }
    peer = hello
    if (options.second === true) write(options.self)
    ready.resolve()
  }

  function receive (text: string): void {
    if (ended !== undefined) return
    let frame: Frame
    try {
      frame = decodeFrame(text)
    } catch (error) {
      const { id, reason } = error instanceof BedplateError ? error.details : { id: undefined, reason: reasonOf(error) }
      if (typeof id === 'number' && peer !== undefined) write({ t: 'answer', id, error: toWire(error, 'call', options.self.controller) })
      drop(String(reason))
      return
    }
    if (frame.t === 'hello') { welcome(frame); return }
    if (peer === undefined) { drop(`${frame.t} before hello`); return }
    switch (frame.t) {
      case 'ping': write({ t: 'pong', n: frame.n }); return
      case 'pong': return
      case 'call': void serve(frame); return
      case 'cancel': serving.get(frame.id)?.abort(); return
      case 'answer': {
        const call = waiting.get(frame.id) // gone: it timed out here, and its answer is late
        call?.settle(frame.error === undefined ? undefined : fromWire(frame.error, call.label, name()), frame.result)
        return
      }
      default:
        try { options.receive(frame, link) } catch (error) { drop(`${frame.t}: ${reasonOf(error)}`) }
    }
  }

  /** Closes the link when the peer stays silent; a pause of this process is not held against the peer. */
  async function watch (): Promise<void> {
    let heard = wire.heard()
    let last = clock.monotonic()
    let before = last
    for (let n = 0; ended === undefined; n++) {
      await clock.sleep(timing.ping, over.signal)
      const now = clock.monotonic()
      if (now - before > 2 * timing.ping || wire.heard() !== heard) { heard = wire.heard(); last = now }
      before = now
      const limit = peer === undefined ? timing.welcome : timing.dead
      if (ended === undefined && now - last >= limit) close(peer === undefined ? 'no hello' : `silent for ${limit / 1000} s`)
      if (peer !== undefined) write({ t: 'ping', n })
    }
  }

  const link: Link = {
    wire,
    get peer () {
      if (peer === undefined) throw new BedplateError('LINK_DOWN', { controller: wire.name })
      return peer
    },
    get up () { return peer !== undefined && ended === undefined },
    ready: ready.promise,
    closed: closed.promise,
    signal: over.signal,
    send: write,
    close,
    call (plugin, method, params, { timeout, signal }) {
      const label = `${plugin}.${method}`
      if (!link.up) return Promise.reject(new BedplateError('LINK_DOWN', { controller: name() }))
      if (signal?.aborted) return Promise.reject(new BedplateError('UNAVAILABLE', { reason: `${label} was cancelled` }))
      const id = nextId++
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const give = (error: BedplateError) => { write({ t: 'cancel', id }); settle(error) }
      const cancelled = () => { give(new BedplateError('UNAVAILABLE', { reason: `${label} was cancelled` })) }
      const done = new AbortController()
      const settle = (error: BedplateError | undefined, result?: unknown) => {
        waiting.delete(id)
        done.abort()
        signal?.removeEventListener('abort', cancelled)
        if (error === undefined) resolve(result)
        else reject(error)
      }
      waiting.set(id, { label, settle })
      signal?.addEventListener('abort', cancelled, { once: true })
      void clock.sleep(timeout, done.signal).then(() => {
        if (waiting.has(id)) give(new BedplateError('CALL_TIMEOUT', { method: label, seconds: Math.ceil(timeout) / 1000, controller: name() }))
      })
      try {
        write({ t: 'call', id, plugin, method, ...(params === undefined ? {} : { params }), timeout: Math.ceil(timeout) })
      } catch (error) {
        settle(error as BedplateError) // encodeFrame: too large
      }
      return promise
    }
  }
  ready.promise.catch(() => {}) // whoever opens the link may only be waiting for `closed`
  wire.listen(receive, finish)
  if (options.second !== true) write(options.self)
  void watch()
  return link
}
