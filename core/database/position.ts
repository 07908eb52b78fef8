/** A position in the change log, `<timeline>/<snapshot>`: which transactions had been seen. Pure. */
import { BedplateError } from '../errors.ts'

/** Every transaction below `xmax` was over, but those `running`. Numbers stay text: they have 64 bits. */
export interface Snapshot { readonly xmin: string, readonly xmax: string, readonly running: readonly string[] }
export interface Position { readonly timeline: string, readonly snapshot: Snapshot }

/**
 * Reads a position as `Feed.position` wrote it: the eight digits of the timeline, and PostgreSQL's `xmin:xmax:xip,xip`.
 * @throws BedplateError INVALID_REQUEST
 */
export function parsePosition (text: string): Position {
  const [, timeline, xmin, xmax, list] = /^([0-9A-F]{8})\/([1-9]\d{0,19}):([1-9]\d{0,19}):((?:[1-9]\d{0,19}(?:,[1-9]\d{0,19})*)?)$/.exec(text) ?? []
  const running = list ? list.split(',') : []
  if (timeline === undefined || xmin === undefined || xmax === undefined || [xmin, xmax, ...running].some(xid => BigInt(xid) > 0xffff_ffff_ffff_ffffn)) throw new BedplateError('INVALID_REQUEST', { reason: `"${text.slice(0, 100)}" is no position in the change log` })
  return { timeline, snapshot: { xmin, xmax, running } }
}

/** The lowest transaction that had not been seen: rows pruned below it are no loss. */
export const horizonOf = ({ xmax, running }: Snapshot): string => running.reduce((lowest, xid) => BigInt(xid) < BigInt(lowest) ? xid : lowest, xmax)
