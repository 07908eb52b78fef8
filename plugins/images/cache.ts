/** The files a rack keeps: pulls what is wanted in the background, what is asked for at once, and drops what nobody wants any more. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError, hasCode, reasonOf } from '../../core/errors.ts'
import { degraded, off, running } from '../../core/health.ts'
import type { Clock, Health, Logger, Service } from '../../core/plugin.ts'
import type { FileStore, ImageFile } from './manifest.ts'
import { pullFile } from './pull.ts'
import type { Source } from './pull.ts'

export interface CacheOptions {
  readonly directory: string, readonly clock: Clock, readonly log: Logger
  /** Where files may be had now, in the order they are asked. */
  sources(): readonly Source[]
  /** A file has come in, whole and verified, after so many seconds. */
  arrived?(sha256: string, seconds: number): void
}
export interface Cache extends FileStore, Service {
  want(files: readonly ImageFile[], gone: readonly string[], whole: boolean): void
}

const atOnce = 2 // pulls in the background; one that a machine waits for never queues
const mostUrgent = 8
const grace = 600_000 // an unwanted file is kept so long: a machine may be reading it
const longestPause = 60_000
const look = 1_000

interface Pull { readonly promise: Promise<void>, readonly urgent: boolean, done: number }
interface Life { readonly signal: AbortSignal, readonly stop: AbortController, readonly done: Promise<void> }

export function createCache ({ directory, sources, clock, log, arrived }: CacheOptions): Cache {
  const held = new Map<string, number>() // sha256 → size
  const wanted = new Map<string, number>()
  const unwantedSince = new Map<string, number>()
  const pulls = new Map<string, Pull>()
  const failures = new Map<string, { readonly reason: string, readonly pause: number, readonly again: number }>()
  let told = false // whether anybody has said yet what is wanted
  let life: Life | undefined
  let turn: Promise<void> = Promise.resolve() // starts and stops, one after the other
  let wake = Promise.withResolvers<void>()
  const nudge = (): void => { wake.resolve(); wake = Promise.withResolvers() }

  /** Finds out what is here. A file has its name only since it was verified, so its size tells whether it was damaged later. */
  async function scan (): Promise<void> {
    await mkdir(directory, { recursive: true })
    held.clear()
    for (const name of await readdir(directory)) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue
      const path = join(directory, name)
      const found = await stat(path)
      const size = wanted.get(name)
      if (found.isFile() && (size === undefined || size === found.size)) held.set(name, found.size)
      else await discard(name, `it has ${found.size} bytes instead of ${size}`)
    }
  }
  async function discard (sha256: string, reason: string): Promise<void> {
    held.delete(sha256)
    log.warn({ sha256 }, `A file in the image cache is damaged and is pulled again: ${reason}`)
    await rm(join(directory, sha256), { force: true, recursive: true })
  }

  function pull (sha256: string, urgent: boolean, { signal }: Life): Promise<void> {
    const began = clock.monotonic()
    const work = async (): Promise<void> => {
      try {
        const size = await pullFile({
          directory, sha256, sources: sources(), size: wanted.get(sha256), signal, progress: done => { entry.done = done },
          passed: (source, error) => { log[hasCode(error, 'LINK_DOWN') ? 'info' : 'warn']({ sha256, source: source.name, reason: reasonOf(error) }, 'A file is pulled from somewhere else') }
        })
        held.set(sha256, size)
        failures.delete(sha256)
        arrived?.(sha256, (clock.monotonic() - began) / 1000)
      } catch (error) {
        if (!signal.aborted) {
          const pause = Math.min(longestPause, (failures.get(sha256)?.pause ?? 500) * 2)
          if (wanted.has(sha256)) failures.set(sha256, { reason: reasonOf(error), pause, again: clock.monotonic() + pause })
          log[hasCode(error, 'LINK_DOWN') ? 'info' : 'warn']({ err: error, sha256 }, 'A file could not be pulled')
        }
        throw error
      } finally {
        pulls.delete(sha256)
        nudge()
      }
    }
    const entry: Pull = { promise: Promise.resolve().then(work), urgent, done: 0 }
    entry.promise.catch(() => {}) // told by health, and to whoever waits for it
    pulls.set(sha256, entry)
    return entry.promise
  }

  async function keep (life: Life): Promise<void> {
    while (!life.signal.aborted) {
      const now = clock.monotonic()
      for (const sha256 of wanted.keys()) {
        if ([...pulls.values()].filter(one => !one.urgent).length >= atOnce) break
        if (!held.has(sha256) && !pulls.has(sha256) && (failures.get(sha256)?.again ?? 0) <= now) void pull(sha256, false, life)
      }
      await tidy(now).catch((error: unknown) => log.warn({ err: error }, 'Files nobody wants could not be removed'))
      const woken = wake.promise
      const pause = new AbortController()
      const ended = () => pause.abort()
      life.signal.addEventListener('abort', ended, { once: true })
      await Promise.race([woken, clock.sleep(look, pause.signal)])
      life.signal.removeEventListener('abort', ended)
      pause.abort()
    }
  }
  async function tidy (now: number): Promise<void> {
    if (!told) return
    for (const sha256 of held.keys()) {
      if (wanted.has(sha256)) { unwantedSince.delete(sha256); continue }
      const since = unwantedSince.get(sha256) ?? now
      unwantedSince.set(sha256, since)
      if (now - since < grace) continue
      unwantedSince.delete(sha256)
      held.delete(sha256)
      await rm(join(directory, sha256), { force: true })
      log.info({ sha256 }, 'A file that no image uses any more was removed')
    }
  }

  return {
    name: 'files',
    want (files, gone, whole) {
      told = true
      if (whole) wanted.clear()
      for (const sha256 of gone) wanted.delete(sha256)
      for (const { sha256, size } of files) wanted.set(sha256, size)
      for (const sha256 of failures.keys()) if (!wanted.has(sha256)) failures.delete(sha256)
      nudge()
    },
    has: sha256 => held.has(sha256),
    size: sha256 => held.get(sha256) ?? wanted.get(sha256),
    async path (sha256, signal) {
      signal?.throwIfAborted()
      const path = join(directory, sha256)
      const size = held.get(sha256)
      if (size !== undefined) {
        const found = await stat(path).catch(() => undefined)
        if (found?.size === size) return path
        await discard(sha256, found === undefined ? 'it is gone' : `it has ${found.size} bytes instead of ${size}`)
      }
      if (life === undefined) throw new BedplateError('UNAVAILABLE', { reason: `the file ${sha256} is not here, and the service that pulls files does not run` })
      const going = pulls.get(sha256)
      if (going === undefined && pulls.size >= mostUrgent) throw new BedplateError('UNAVAILABLE', { reason: 'too many files are being pulled at once' })
      await unlessAborted(going?.promise ?? pull(sha256, true, life), signal)
      return path
    },
    start () {
      turn = turn.catch(() => {}).then(async () => {
        if (life !== undefined) return
        await scan()
        const stop = new AbortController()
        const { promise, resolve } = Promise.withResolvers<void>()
        life = { stop, signal: stop.signal, done: promise }
        keep(life).then(resolve, resolve)
      })
      return turn
    },
    stop () {
      turn = turn.catch(() => {}).then(async () => {
        const ending = life
        life = undefined
        ending?.stop.abort(new BedplateError('UNAVAILABLE', { reason: 'Bedplate is stopping' }))
        await ending?.done
        await Promise.allSettled([...pulls.values()].map(({ promise }) => promise))
      })
      return turn
    },
    health (): Health {
      if (life === undefined) return off('Not started.')
      const missing = [...wanted.keys()].filter(sha256 => !held.has(sha256))
      if (missing.length === 0) return running
      const total = [...wanted.values()].reduce((sum, size) => sum + size, 0)
      const lacking = missing.reduce((sum, sha256) => sum + (wanted.get(sha256) ?? 0) - (pulls.get(sha256)?.done ?? 0), 0)
      const failure = missing.map(sha256 => failures.get(sha256)?.reason).find(reason => reason !== undefined)
      return degraded(`Pulling ${missing.length} of ${wanted.size} files, ${total === 0 ? 0 : Math.floor(100 * (total - lacking) / total)} %.${failure === undefined ? '' : ` The last try failed: ${failure}`}`)
    }
  }
}

/** The promise's outcome, or a rejection as soon as the signal aborts; the work itself goes on. */
async function unlessAborted (promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new BedplateError('UNAVAILABLE', { reason: 'the wait for the file was given up' }))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try { await Promise.race([promise, aborted]) } finally { signal.removeEventListener('abort', onAbort) }
}
