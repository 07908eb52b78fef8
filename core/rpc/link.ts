/** A link: a wire on which both ends said hello. Carries calls both ways, watches that the peer lives, hands on every other frame. */
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import { versionFault } from '../version.ts'
import { copyFrame, decodeFrame, encodeFrame, protocol, type Frame, type Frames, type Hello } from './frames.ts'
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
  /** Why this end had better not be asked now, or nothing: goes over with each ping. */
  readonly fault?: () => string | undefined
  /** The peer has answered a ping. */
  readonly answered?: (link: Link) => void
  /** The peer's fault has come, gone or changed. */
  readonly faulty?: (link: Link) => void
  readonly timing?: Partial<Timing>
}
/** ms. A peer that was silent for `dead` is gone; `welcome` is for the hello. A silence is noticed at most one `ping` late. */
export interface Timing { readonly ping: number, readonly dead: number, readonly welcome: number }
const usual: Timing = { ping: 500, dead: 4000, welcome: 5000 }
/** ms. A peer that was silent for longer than this is asked only when there is no other: a ping is answered well within it. */
export const quiet = 1000
const stopped = 2000 // ms without a tick: this process itself stood still

export interface Link {
  readonly wire: Wire
  readonly peer: Hello // valid after `ready`
  readonly up: boolean
  /** Why the peer had better not be asked now, as it says itself: it cannot reach its database. */
  readonly fault: string | undefined
  /** Calls that wait for the peer's answer. */
  readonly busy: number
  /** Calls of the peer that are being answered. */
  readonly serving: number
  /** ms the peer takes to answer a ping, smoothed; undefined before the first answer. */
  readonly answerTime: number | undefined
  /** When it came up: milliseconds since the epoch. */
  readonly since: number
  /** ms since the peer was last heard. */
  silence(): number
  /** Resolves when the peer said hello; rejects with LINK_DOWN. */
  readonly ready: Promise<void>
  /** Resolves with the reason when the link is over; never rejects. */
  readonly closed: Promise<string>
  /** Aborts when the link is over. */
  readonly signal: AbortSignal
  /** Rejects with LINK_DOWN (the link broke: the peer may or may not have acted; with the detail `peerClosed` it acts no more, for its end closed the connection), CALL_TIMEOUT, or the peer's error. */
  call(plugin: string, method: string, params: unknown, options: { readonly timeout: number, readonly signal?: AbortSignal | undefined }): Promise<unknown>
  /** Sends a frame; on a closed link it is dropped. Throws FRAME_INVALID when it is too large. */
  send(frame: Carried): void
  /** Tells the peer of a fault of this end, or that it is over, now and not with the next ping. */
  announce(): void
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
  let fault: string | undefined
  let answerTime: number | undefined
  let since = clock.now()
  let asked: { readonly n: number, readonly at: number } | undefined // the last ping
  let heard = wire.heard()
  let last = clock.monotonic() // when the peer was last heard
  let ticked = last
  let n = 0 // of the next ping
  const name = () => peer?.controller ?? wire.name

  function write (frame: Frame): void {
    if (ended !== undefined) return
    if (wire.hand === undefined) wire.send(encodeFrame(frame))
    else {
      const { copy, size } = copyFrame(frame)
      wire.hand(copy, size)
    }
    if (wire.waiting() > unreadLimit) close('the peer does not read what it is sent')
  }

  function finish (reason: string, peerClosed = false): void {
    if (ended !== undefined) return
    ended = reason
    over.abort()
    const down = new BedplateError('LINK_DOWN', { controller: name(), reason, ...(peerClosed ? { peerClosed } : {}) })
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
    const why = hello.protocol === protocol ? options.refuse?.(hello) ?? versionFault(options.self.version, hello.version, hello.controller) : `this controller speaks protocol ${protocol}, ${hello.controller} ${hello.protocol}: upgrade the older one`
    if (why !== undefined) { close(why); return }
    peer = hello
    since = clock.now()
    if (options.second === true) write(options.self)
    ready.resolve()
  }

  function learn (reason: string | undefined): void {
    if (reason === fault) return
    fault = reason
    options.faulty?.(link)
  }

  function receive (message: unknown): void {
    if (ended !== undefined) return
    last = clock.monotonic()
    let frame: Frame
    try {
      frame = decodeFrame(message)
    } catch (error) {
      const { id, reason } = error instanceof BedplateError ? error.details : { id: undefined, reason: reasonOf(error) }
      if (typeof id === 'number' && peer !== undefined) write({ t: 'answer', id, error: toWire(error, 'call', options.self.controller) })
      drop(String(reason))
      return
    }
    if (frame.t === 'hello') { welcome(frame); return }
    if (peer === undefined) { drop(`${frame.t} before hello`); return }
    switch (frame.t) {
      case 'ping': write({ t: 'pong', n: frame.n }); learn(frame.fault); return
      case 'pong':
        if (frame.n !== asked?.n) return
        answerTime = smoothed(answerTime, last - asked.at)
        options.answered?.(link)
        return
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

  function ping (): void {
    asked = { n: n++, at: clock.monotonic() }
    const why = options.fault?.()
    write({ t: 'ping', n: asked.n, ...(why === undefined ? {} : { fault: why.slice(0, 1000) }) })
  }

  /** Closes the link when the peer stays silent; a pause of this process is not held against the peer. */
  async function watch (): Promise<void> {
    while (ended === undefined) {
      await clock.sleep(timing.ping, over.signal)
      const now = clock.monotonic()
      // Half-received frames are signs of life too.
      if (now - ticked > Math.max(stopped, 2 * timing.ping) || wire.heard() !== heard) { heard = wire.heard(); last = now }
      ticked = now
      const limit = peer === undefined ? timing.welcome : timing.dead
      if (ended === undefined && now - last >= limit) close(peer === undefined ? 'no hello' : `silent for ${limit / 1000} s`)
      if (peer === undefined) continue
      ping()
    }
  }

  const link: Link = {
    wire,
    get peer () {
      if (peer === undefined) throw new BedplateError('LINK_DOWN', { controller: wire.name })
      return peer
    },
    get up () { return peer !== undefined && ended === undefined },
    get fault () { return fault },
    get busy () { return waiting.size },
    get serving () { return serving.size },
    get answerTime () { return answerTime },
    get since () { return since },
    silence () {
      const now = clock.monotonic()
      if (wire.heard() !== heard) { heard = wire.heard(); last = now }
      return now - ticked > stopped ? 0 : now - last // after a pause of this process what the peer sent is yet to be read
    },
    ready: ready.promise,
    closed: closed.promise,
    signal: over.signal,
    send: write,
    announce () { if (link.up) ping() },
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
        done.abort('answered')
        signal?.removeEventListener('abort', cancelled)
        if (error === undefined) resolve(result)
        else reject(error)
      }
      waiting.set(id, { label, settle })
      signal?.addEventListener('abort', cancelled, { once: true })
      void clock.sleep(timeout, done.signal).then(() => {
        if (waiting.has(id)) give(new BedplateError('CALL_TIMEOUT', { method: label, seconds: Math.ceil(timeout / 10) / 100, controller: name() }))
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

/** A running mean in which the newest counts a quarter. */
export const smoothed = (before: number | undefined, now: number): number => before === undefined ? now : before * 0.75 + now * 0.25
