/** How long a rack may act on what it knows without a region: docs/dhcp-availability.md section 4. Pure. */
import type { Heard } from './journal.ts'

/** ms by which a rack stops before the regions stop waiting for it: room for clocks that drift, and for databases that follow one another. */
export const margin = (autonomySeconds: number): number => Math.max(autonomySeconds * 10, 60_000)

/**
 * The end of the right to act on knowledge, in ms of boot time; undefined: there is none. `boot`: the host's present start. `shown`: the standing its wanted state shows;
 * another one than was answered means that the regions have stopped waiting for it meanwhile, and that not all they did since has reached it.
 */
export function until (heard: Heard | undefined, boot: string, shown: string | undefined): number | undefined {
  if (heard === undefined || heard.boot !== boot || shown !== heard.standing) return undefined
  return heard.start + heard.autonomySeconds * 1000 - margin(heard.autonomySeconds)
}

/** A lease given by knowledge lasts at least so long, in seconds, or is not given. */
export const shortest = 60

/** How long a lease by knowledge may be, in whole seconds, of those wished for; undefined: not long enough to be given. */
export function secondsLeft (end: number | undefined, now: number, wished: number): number | undefined {
  if (end === undefined) return undefined
  const seconds = Math.min(wished, Math.floor((end - now) / 1000))
  return seconds >= Math.min(shortest, wished) ? seconds : undefined // a subnet whose leases are shorter keeps them
}
