/** Says who a bearer token belongs to. Answers come from a small memory that every change of a token empties. */
import type { Clock, Credentials, Principal, Query } from '../../core/plugin.ts'
import { bearerOf, hashOf } from './secret.ts'
import { knownToken, noteUse } from './store.ts'

const rememberedMs = 30_000 // a missed hint costs no more than this
const most = 1_000

export interface Authentication {
  /** undefined: no token, or none that is known and unexpired. */
  authenticate(credentials: Credentials): Promise<Principal | undefined>
  /** Tokens changed: ask the database anew, also for answers on their way. */
  forget(): void
}

/** Only known tokens are remembered, so guessing fills no memory. */
export function createAuthentication (db: Query, clock: Clock): Authentication {
  const remembered = new Map<string, { readonly principal: Principal, readonly until: number, readonly expires: number }>()
  let generation = 0
  return {
    async authenticate ({ authorization }) {
      const text = bearerOf(authorization)
      if (text === undefined) return undefined
      const hash = hashOf(text)
      const key = hash.toString('base64')
      const hit = remembered.get(key)
      if (hit !== undefined && clock.monotonic() < hit.until && clock.now() < hit.expires) return hit.principal
      remembered.delete(key)
      const asked = generation
      const token = await knownToken(db, hash)
      if (token === undefined) return undefined
      if (token.stale) noteUse(db, hash).catch(() => {}) // beside the answer: a commit may have to wait for a standby that is away, and a read must not; the next use notes it again
      const principal: Principal = Object.freeze({ id: token.id, name: `${token.account}/${token.name}`, scopes: Object.freeze([...token.scopes]) })
      if (asked !== generation) return principal
      if (remembered.size >= most) remembered.clear()
      remembered.set(key, { principal, until: clock.monotonic() + rememberedMs, expires: token.expiresAt?.getTime() ?? Infinity })
      return principal
    },
    forget () {
      generation++
      remembered.clear()
    }
  }
}
