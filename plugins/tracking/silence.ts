/** Whether a silence may be believed: after a time in which nobody could write down that he lives, everybody looks silent at first. Pure. */
import type { Known, Said } from './state.ts'

/** Since when a region has seen itself being heard of without a gap, and when it looked last; both by the clock of the database. */
export interface Vigil { readonly since: Date, readonly last: Date }

/** Regions write down every 5 s that they and their racks live, and look as often; two rounds missed are a gap. ms */
export const gap = 10_000

const words = 'not heard of since'
export const silence = ({ seenAt }: Pick<Known, 'seenAt'>): string => `${words} ${seenAt.toISOString().replace(/\.\d+Z$/, 'Z')}; see whether the host runs, and on it: systemctl status bedplate`
export const silent = ({ seenAt }: Pick<Known, 'seenAt'>, now: Date, quiet: number): boolean => now.getTime() - seenAt.getTime() > quiet

/** The vigil after a look at `now` that found `own` of the region itself. It begins anew when the region was not heard of itself, or has not looked for a while. */
export function vigilAfter (before: Vigil | undefined, own: Pick<Known, 'seenAt'> | undefined, now: Date, quiet: number): Vigil | undefined {
  if (own === undefined || silent(own, now, Math.min(quiet, gap))) return undefined
  return before === undefined || now.getTime() - before.last.getTime() > gap ? { since: now, last: now } : { since: before.since, last: now }
}

/**
 * Whether somebody is silent, and that is news, who may only not have been written down: the vigil has not lasted for the quiet time yet.
 * What a look derives from such a silence is not for the history: within that time all who live are heard of again.
 */
export const doubtful = (vigil: Vigil | undefined, controllers: readonly Known[], shown: ReadonlyMap<string, Pick<Said, 'state' | 'reason'>>, now: Date, quiet: number): boolean =>
  (vigil === undefined || now.getTime() - vigil.since.getTime() < quiet) && controllers.some(one => silent(one, now, quiet) && !toldSilent(shown.get(one.id)))
const toldSilent = (said: Pick<Said, 'state' | 'reason'> | undefined): boolean => said?.state === 'unknown' && said.reason?.startsWith(words) === true // others are unknown because they have told nothing yet
