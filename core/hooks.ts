/** What the core itself announces. A hook that belongs to one plugin is part of the service it provides under a token. */
import { AsyncParallelHook, AsyncSeriesBailHook } from 'tapable'
import type { ServiceStatus } from './supervise.ts'

export interface Principal { readonly id: string, readonly name: string, readonly scopes: readonly string[] } // scopes: 'read', 'write', 'admin'
export interface Credentials { readonly authorization: string | undefined, readonly address: string }
export interface Audited { readonly principal: Principal | undefined, readonly method: string, readonly url: string, readonly status: number, readonly requestId: string }

export interface Hooks {
  /** bail: the first answer says who is asking; no answer means nobody known. */
  readonly authenticate: AsyncSeriesBailHook<[Credentials], Principal | undefined>
  /** parallel: each mutating API request, after its answer. */
  readonly audited: AsyncParallelHook<[Audited]>
  /** parallel: a link between this controller and another came up or went down. */
  readonly link: AsyncParallelHook<[{ readonly controller: string, readonly up: boolean }]>
  /** parallel: this region gained or lost leadership. */
  readonly leader: AsyncParallelHook<[{ readonly leading: boolean, readonly term: bigint }]>
  /** parallel: a supervised service of this controller came into another state, or has another reason for the same one. Silent once the controller stops; `ctx.status()` has the whole list. */
  readonly service: AsyncParallelHook<[ServiceStatus]>
}

/** Hears of an observer that threw. */
export type ObserverFailed = (error: unknown, observer: string) => void

/** A parallel hook whose observers cannot hinder one another: tapable's own would skip those after one that throws at once. */
function observed<T> (argument: string, failed: ObserverFailed): AsyncParallelHook<[T]> {
  const hook = new AsyncParallelHook<[T]>([argument])
  hook.intercept({
    register (tap) {
      const { fn, name, type } = tap
      const run = (value: T): unknown => type === 'async'
        ? new Promise<void>((resolve, reject) => { fn(value, (error?: unknown) => { if (error) reject(error); else resolve() }) })
        : fn(value)
      return { ...tap, type: 'promise', fn: async (value: T) => { try { await run(value) } catch (error) { failed(error, name) } } }
    }
  })
  return hook
}

/** `failed` hears of observers that throw; without it they are passed over. */
export const createHooks = (failed: ObserverFailed = () => {}): Hooks => Object.freeze({
  authenticate: new AsyncSeriesBailHook<[Credentials], Principal | undefined>(['credentials']),
  audited: observed<Audited>('request', failed),
  link: observed<{ readonly controller: string, readonly up: boolean }>('link', failed),
  leader: observed<{ readonly leading: boolean, readonly term: bigint }>('leader', failed),
  service: observed<ServiceStatus>('status', failed)
})
