/** The hook by which another plugin answers for a boot request first; a bad tap costs a machine two seconds at most. */
import { AsyncSeriesBailHook } from 'tapable'
import { Value } from 'typebox/value'
import { reasonOf } from '../../../core/errors.ts'
import type { Clock } from '../../../core/plugin.ts'
import { manifest } from '../manifest.ts'
import type { BootAnswer, BootRequest } from '../manifest.ts'

export const patience = 2_000 // ms; the loader itself repeats its request only later

export interface HookOptions {
  readonly clock: Pick<Clock, 'sleep'>
  /** Hears of each failure of a tap. */
  failed(tap: string, reason: string): void
}

/** Whatever is tapped is run under guard, by `tap`, `tapPromise` or `tapAsync` alike. */
export function createRequestHook ({ clock, failed }: HookOptions): AsyncSeriesBailHook<[BootRequest], BootAnswer | undefined> {
  const hook = new AsyncSeriesBailHook<[BootRequest], BootAnswer | undefined>(['request'])
  hook.intercept({
    register (tap) {
      const { fn, name, type } = tap
      const run = (request: BootRequest): unknown => type === 'async'
        ? new Promise((resolve, reject) => { fn(request, (error?: unknown, answer?: unknown) => { if (error) reject(error as Error); else resolve(answer) }) })
        : fn(request)
      const guarded = async (request: BootRequest): Promise<BootAnswer | undefined> => {
        const done = new AbortController()
        const late = Symbol('late')
        try {
          const answer = await Promise.race([Promise.resolve(run(request)), clock.sleep(patience, done.signal).then(() => late)])
          if (answer === undefined || isAnswer(answer)) return answer
          failed(name, answer === late ? `it took longer than ${patience} ms` : 'it answered what cannot be served')
        } catch (error) {
          failed(name, reasonOf(error))
        } finally { done.abort() }
        return undefined
      }
      return { ...tap, type: 'promise', fn: guarded }
    }
  })
  return hook
}

function isAnswer (value: unknown): value is BootAnswer {
  if (typeof value !== 'object' || value === null) return false
  if ('script' in value) return typeof value.script === 'string'
  return 'machine' in value && Value.Check(manifest.wanted.machine, value.machine)
}
