/** Points in time as PostgreSQL writes them to a session in UTC. Pure. */
import { types } from 'pg'

const usual = types.getTypeParser(types.builtins.TIMESTAMPTZ)

function digits (text: string, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + (text.charCodeAt(at) & 15)
  return value
}

/** Reads `2026-01-02 03:04:05.678901+00`, to the millisecond; what looks otherwise (before Christ, infinity) the client library reads. By hand, because every row of a lease has one. */
export function instant (text: string): unknown {
  const end = text.length - 3
  if (end < 19 || end > 26 || text.charCodeAt(4) !== 45 || text.charCodeAt(10) !== 32 || text.charCodeAt(end) !== 43 || !text.endsWith('+00')) return usual(text)
  let fraction = 0
  for (let at = 20; at < 23; at++) fraction = fraction * 10 + (at < end ? text.charCodeAt(at) & 15 : 0)
  return new Date(Date.UTC(digits(text, 0, 4), digits(text, 5, 7) - 1, digits(text, 8, 10), digits(text, 11, 13), digits(text, 14, 16), digits(text, 17, 19), fraction))
}
