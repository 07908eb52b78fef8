/** LISTEN on a connection of its own that is checked, replaced when it breaks, and shared by all who listen. */
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Session } from './connection.ts'

/** Ends a subscription; what it returns resolves when the connection is gone too, if this was the last. */
export type Unlisten = () => void | Promise<void>
export interface Listener {
  listen(channel: string, listener: (payload: string) => void): Unlisten
  close(): Promise<void>
}
interface ListenerOptions { readonly session: () => Promise<Session>, readonly clock: Clock, readonly log: Logger, readonly heartbeat?: number }

const longestWait = 1000 // ms; whoever opens a session looks patiently for a primary already

/** The session, or undefined once `signal` aborts: a stop does not wait for a server that is gone. A session that comes too late is closed. */
async function soon (opening: Promise<Session>, signal: AbortSignal): Promise<Session | undefined> {
  const aborted = Promise.withResolvers<undefined>()
  const abort = (): void => { aborted.resolve(undefined) }
  signal.addEventListener('abort', abort, { once: true })
  try {
    const first = await Promise.race([opening, aborted.promise])
    if (!first) opening.then(late => late.close(), () => {})
    return first
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Connects when the first one listens and goes away with the last. A listener is also called, with an empty payload, each time the connection was made
 * anew: what was said in between is lost. `heartbeat` is ms between checks of a silent connection, default 5,000.
 */
export function createListener ({ session, clock, log, heartbeat = 5000 }: ListenerOptions): Listener {
  const channels = new Map<string, Set<(payload: string) => void>>()
  let loop: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let current: Session | undefined

  const call = (channel: string, payload: string): void => {
    for (const listener of [...channels.get(channel) ?? []]) {
      try { listener(payload) } catch (error) { log.error({ err: error, channel }, 'a listener to the database threw') }
    }
  }

  async function keep (signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      let mine: Session | undefined
      try {
        mine = await soon(session(), signal)
        if (!mine) break
        mine.onNotification(call)
        for (const channel of channels.keys()) await mine.query(`listen "${channel}"`)
        current = mine
        if (failures > 0) log.info({ host: mine.host }, 'listening to the database again')
        failures = 0
        for (const channel of channels.keys()) call(channel, '')
        const either = AbortSignal.any([signal, mine.ended])
        while (!either.aborted) {
          await clock.sleep(heartbeat, either)
          if (either.aborted) break
          const beat = new AbortController()
          const answered = mine.query('select 1').then(() => true, () => false).finally(() => { beat.abort() })
          if (!await Promise.race([answered, clock.sleep(heartbeat, AbortSignal.any([either, beat.signal])).then(() => beat.signal.aborted)])) break // the other side has gone without a word
        }
      } catch (error) {
        if (!signal.aborted) log.debug({ reason: reasonOf(error) }, 'the listening connection broke')
      }
      if (current === mine) current = undefined
      await mine?.close()
      failures++
      if (!signal.aborted) await clock.sleep(Math.min(longestWait, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2), signal)
    }
  }

  async function close (): Promise<void> {
    const ending = loop
    loop = undefined
    ending?.stop.abort()
    await ending?.done
  }

  return {
    listen (channel, listener) {
      const listeners = channels.get(channel) ?? new Set()
      const first = listeners.size === 0
      listeners.add(listener)
      channels.set(channel, listeners)
      // A failure here breaks the connection, and the next one listens to every channel.
      if (first) current?.query(`listen "${channel}"`).catch((error: unknown) => { log.debug({ reason: reasonOf(error) }, 'listening failed') })
      if (!loop) {
        const stop = new AbortController()
        loop = { stop, done: keep(stop.signal) }
      }
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        channels.delete(channel)
        if (channels.size === 0) return close()
        current?.query(`unlisten "${channel}"`).catch(() => {})
      }
    },
    close
  }
}
