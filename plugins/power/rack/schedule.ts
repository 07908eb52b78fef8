/** When each of thousands of things is due again: each at its own place in the interval, all on one beat, none with a timer. Pure. */
import { shareOf } from '../hash.ts'

export interface Schedule {
  /** Due soon for the first time, at most `atOnce` new ones a second, then once an interval at its place. One that is there stays as it is. */
  add(key: string, now: number): void
  remove(key: string): void
  /** Due after `ms` (an interval at most), and from then on at its place again. */
  again(key: string, ms: number, now: number): void
  /** What has become due, each once however late this is. */
  due(now: number): string[]
  has(key: string): boolean
  readonly size: number
}

export interface ScheduleOptions {
  readonly interval: number, readonly beat: number // ms
  /** What is added to a key before its place is taken from it: two racks do not look at the same moment. */
  readonly salt: string
  /** New keys a second that are due at once. */
  readonly atOnce: number
}

/** A ring of beats, one interval and a little long; every key is in one of its slots. */
export function createSchedule ({ interval, beat, salt, atOnce }: ScheduleOptions): Schedule {
  const beats = Math.max(1, Math.ceil(interval / beat))
  const ring = Array.from({ length: beats + 2 }, () => new Set<string>())
  const at = new Map<string, number>() // the beat a key is due in
  let next: number | undefined // the first beat that was not looked at
  let free = -Infinity // ms from when on a new key may be due

  const beatOf = (ms: number): number => Math.floor(ms / beat)
  const slot = (number: number): Set<string> => ring[number % ring.length] as Set<string>
  const put = (key: string, number: number): void => {
    const old = at.get(key)
    if (old !== undefined) slot(old).delete(key)
    at.set(key, number)
    slot(number).add(key)
  }
  /** The first beat after `number` that is the key's place. */
  const placeAfter = (key: string, number: number): number => {
    const place = Math.floor(shareOf(`${salt}/${key}`) * beats)
    return number + 1 + (((place - number - 1) % beats) + beats) % beats
  }
  const reachable = (number: number, now: number): number => Math.min(Math.max(number, next ?? beatOf(now)), (next ?? beatOf(now)) + beats)

  return {
    get size () { return at.size },
    has: key => at.has(key),
    add (key, now) {
      if (at.has(key)) return
      next ??= beatOf(now)
      // When there are many, the place in the interval is as soon as whichever other.
      free = Math.max(free + 1000 / atOnce, now)
      const place = placeAfter(key, beatOf(now))
      put(key, reachable(Math.min(beatOf(free), place), now))
    },
    remove (key) {
      const number = at.get(key)
      if (number === undefined) return
      slot(number).delete(key)
      at.delete(key)
    },
    again (key, ms, now) {
      if (at.has(key)) put(key, reachable(beatOf(now + ms), now))
    },
    due (now) {
      const last = beatOf(now)
      next ??= last
      const found: string[] = []
      // After a long pause a whole turn of the ring is all there is.
      for (let number = Math.max(next, last - ring.length + 1); number <= last; number++) {
        const here = slot(number)
        found.push(...here)
        here.clear()
      }
      if (last >= next) next = last + 1
      for (const key of found) {
        at.delete(key)
        put(key, reachable(placeAfter(key, last), now))
      }
      return found
    }
  }
}
