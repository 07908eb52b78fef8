/** Health of a service, in the words operators know from MAAS. */
export type Health =
  | { readonly state: 'running' }
  | { readonly state: 'degraded' | 'dead' | 'off' | 'unknown', readonly reason: string } // the reason says what to do

export const running: Health = Object.freeze({ state: 'running' })
export const degraded = (reason: string): Health => ({ state: 'degraded', reason })
export const dead = (reason: string): Health => ({ state: 'dead', reason })
export const off = (reason: string): Health => ({ state: 'off', reason })
