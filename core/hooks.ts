/** What the core itself announces. A hook that belongs to one plugin is part of the service it provides under a token. */
import { AsyncParallelHook, AsyncSeriesBailHook } from 'tapable'

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
}

export const createHooks = (): Hooks => Object.freeze({
  authenticate: new AsyncSeriesBailHook<[Credentials], Principal | undefined>(['credentials']),
  audited: new AsyncParallelHook<[Audited]>(['request']),
  link: new AsyncParallelHook<[{ readonly controller: string, readonly up: boolean }]>(['link']),
  leader: new AsyncParallelHook<[{ readonly leading: boolean, readonly term: bigint }]>(['leader'])
})
