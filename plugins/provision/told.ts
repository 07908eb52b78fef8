/** What became of what a machine said: a region has stored it, or this rack alone keeps it. A machine that says the same again waits with the first time, and adds nothing. */
import { createHash } from 'node:crypto'
import type { Reported } from '../../core/plugin.ts'

/** ms a machine waits for the answer: a region that is there stores within milliseconds, and one that comes back is asked again by the machine. */
export const patience = 4_000
const most = 4096 // facts that are waited for, as hashes: a few hundred KiB

export interface Told {
  /** True when a region has stored it in time. `report` is not called when the very same fact still waits. */
  tell(kind: string, body: unknown, report: () => Reported): Promise<boolean>
}

export function createTold (limit = patience): Told {
  const waiting = new Map<string, Reported>()
  return {
    async tell (kind, body, report) {
      const key = createHash('sha256').update(`${kind} ${JSON.stringify(body)}`).digest('base64')
      let reported = waiting.get(key)
      if (reported === undefined) {
        const own = reported = report()
        if (waiting.size < most) {
          waiting.set(key, own)
          void own.stored().then(() => { if (waiting.get(key) === own) waiting.delete(key) }) // also when it was dropped: the next time it is new
        }
      }
      return await reported.stored(AbortSignal.timeout(limit))
    }
  }
}
