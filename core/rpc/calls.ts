/** Calls from a rack to whichever region answers: in what order the links are asked, when a second one is, and which errors are final. */
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import type { CallOptions, Method } from '../plugin.ts'
import { quiet, smoothed, type Link } from './link.ts'
import { checkResult, defaultTimeout } from './methods.ts'

export interface CallerOptions {
  readonly clock: Clock, readonly metrics: Metrics
  /** The links that are up, in no order. */
  readonly links: () => readonly Link[]
  /** The region of this same process, asked before any other. */
  readonly loopback?: string | undefined
}

/** ms until an idempotent call goes over a second link as well, when the first has fallen silent. */
export const hedgeAfter = (timeout: number): number => Math.min(1500, timeout / 3)
/** The same when the first link lives: what usually takes long (`usual` ms: a large answer over a thin cable) is not asked for twice for that. */
export const patienceWith = (timeout: number, usual: number | undefined): number => Math.max(hedgeAfter(timeout), Math.min(3 * (usual ?? 0), timeout / 3))

/** The links in the order to ask them: those that can answer, the one in this process, those with little to do, those that answer fast. */
export function inOrder (links: readonly Link[], loopback: string | undefined): Link[] {
  const keys = new Map(links.map(link => [link, [
    link.fault === undefined ? 0 : 1, link.silence() > quiet ? 1 : 0, link.peer.controller === loopback ? 0 : 1, link.busy, link.answerTime ?? 0
  ]]))
  return [...links].sort((a, b) => {
    const [left, right] = [keys.get(a) ?? [], keys.get(b) ?? []]
    for (const [index, key] of left.entries()) if (key !== right[index]) return key - (right[index] ?? 0)
    return 0
  })
}

/** Says that the region could not answer, not what it answered: another may. */
const troubles: readonly string[] = ['LINK_DOWN', 'DATABASE_UNREACHABLE', 'TRANSACTION_UNKNOWN']

/** Why something is aborted that nobody needs any more: without a reason an error is made each time, with its stack. */
const enough = 'enough'

interface Outcome { readonly link: Link, readonly error?: BedplateError, readonly result?: unknown }

/** Makes the calls of one rack end. What it gives rejects with LINK_DOWN (nobody to ask), CALL_UNKNOWN, CALL_TIMEOUT, CALL_FAILED, or the handler's own error. */
export function createCaller ({ clock, metrics, links, loopback }: CallerOptions): (plugin: string, name: string, method: Method, params: unknown, options: CallOptions) => Promise<unknown> {
  const calls = metrics.counter('calls_total', 'Calls this controller made', ['plugin', 'method', 'outcome'])
  const hedged = metrics.counter('calls_hedged_total', 'Calls that went over a second link because the first had not answered', ['plugin', 'method'])

  const usual = new Map<string, number>() // ms a method takes, smoothed

  async function ask (link: Link, plugin: string, name: string, method: Method, params: unknown, timeout: number, signal: AbortSignal): Promise<Outcome> {
    const label = `${plugin}.${name}`
    const { controller } = link.peer
    const began = clock.monotonic()
    try {
      const result = await link.call(plugin, name, params, { timeout, signal })
      usual.set(label, smoothed(usual.get(label), clock.monotonic() - began))
      checkResult(method, label, controller, result)
      return { link, result }
    } catch (thrown) {
      const error = thrown instanceof BedplateError ? thrown : new BedplateError('CALL_FAILED', { method: label, controller, reason: reasonOf(thrown) }, thrown)
      const broke = error.code === 'LINK_DOWN' && !link.up && method.idempotent !== true
      return { link, error: broke ? new BedplateError('CALL_UNKNOWN', { method: label, controller, reason: error.details.reason }, error) : error }
    }
  }

  async function carry (plugin: string, name: string, method: Method, params: unknown, timeout: number, signal: AbortSignal): Promise<unknown> {
    const deadline = clock.monotonic() + timeout
    const patience = patienceWith(timeout, usual.get(`${plugin}.${name}`))
    const tried = new Set<Link>()
    const asked = new Map<Link, Promise<Outcome>>()
    let last: BedplateError | undefined
    let started = -Infinity
    for (let hurry = true; ;) {
      const next = inOrder(links(), loopback).find(link => !tried.has(link))
      // At most two regions that are alive work on one call: when all are slow, asking more makes them slower.
      const waiting = [...asked.keys()].filter(link => link.silence() <= quiet).length
      const left = deadline - clock.monotonic()
      if ((hurry || waiting === 0 || clock.monotonic() - started >= patience - 20) && next !== undefined && waiting < 2 && (tried.size === 0 || left > 0)) {
        if (asked.size > 0) hedged.inc({ plugin, method: name })
        tried.add(next)
        started = clock.monotonic()
        asked.set(next, ask(next, plugin, name, method, params, Math.max(1, Math.ceil(left)), signal))
      }
      if (asked.size === 0) throw last ?? new BedplateError('LINK_DOWN', { controller: 'any region' })
      const answered = new AbortController()
      const outcome = await Promise.race([
        ...asked.values(),
        ...(method.idempotent === true ? [clock.sleep(hedgeAfter(timeout), answered.signal).then(() => undefined)] : [])
      ]).finally(() => { answered.abort(enough) })
      hurry = outcome !== undefined
      if (outcome === undefined) continue
      asked.delete(outcome.link)
      if (outcome.error === undefined) return outcome.result
      if (method.idempotent !== true || !troubles.includes(outcome.error.code)) throw outcome.error
      last = outcome.error
    }
  }

  return async (plugin, name, method, params, { timeout = method.timeout ?? defaultTimeout, signal }) => {
    const over = new AbortController() // ends what still waits once there is an answer
    const cancel = () => { over.abort(enough) }
    if (signal?.aborted) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      const result = await carry(plugin, name, method, params, timeout, over.signal)
      calls.inc({ plugin, method: name, outcome: 'ok' })
      return result
    } catch (error) {
      calls.inc({ plugin, method: name, outcome: error instanceof BedplateError ? error.code : 'INTERNAL' })
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
      over.abort(enough)
    }
  }
}
