/** Bounds on how long a part may take, with the culprit in the error. */
import type { Clock } from './clock.ts'
import { BedplateError } from './errors.ts'
import type { ErrorCode } from './errors.ts'

/**
 * Runs `work` with a signal that aborts after `ms` or with `outer`. Rejects with `code` (START_TIMEOUT, STOP_TIMEOUT; `what` names the part)
 * when time is up, and with UNAVAILABLE when `outer` aborts, even if `work` never settles: what it does later is its own affair.
 */
export async function withDeadline<T> (clock: Clock, ms: number, code: Extract<ErrorCode, 'START_TIMEOUT' | 'STOP_TIMEOUT'>, what: string, work: (signal: AbortSignal) => Promise<T>, outer?: AbortSignal): Promise<T> {
  const inner = new AbortController()
  const finished = new AbortController()
  const late = clock.sleep(ms, finished.signal).then((): never | Promise<never> => {
    if (finished.signal.aborted) return never
    throw new BedplateError(code, { what, seconds: ms / 1000 })
  })
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new BedplateError('UNAVAILABLE', { reason: `${what} was interrupted: Bedplate is stopping` }))
    if (outer?.aborted) onAbort()
    else outer?.addEventListener('abort', onAbort, { once: true })
  })
  aborted.catch(() => {})
  try {
    return await Promise.race([aborted, Promise.resolve().then(() => outer?.aborted ? never : work(inner.signal)), late])
  } catch (error) {
    inner.abort(error)
    throw error
  } finally {
    finished.abort()
    if (onAbort !== undefined) outer?.removeEventListener('abort', onAbort)
  }
}

/** What `work` gives, or undefined as soon as `signal` aborts: a stop does not wait for somebody who may never answer. What comes later is nobody's. */
export async function orAborted<T> (work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>()
  const abort = (): void => { resolve(undefined) }
  work.catch(() => {})
  if (signal.aborted) return undefined
  signal.addEventListener('abort', abort, { once: true })
  try { return await Promise.race([work, aborted]) } finally { signal.removeEventListener('abort', abort) }
}

const never = new Promise<never>(() => {})
