/** What keeps this process busy: sockets, servers, timers, children. For tests that nothing is left behind. */
import { until } from './wait.ts'

/** Counts by kind, without what the test runner itself comes and goes with. */
export function resources (): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    if (/^(PipeWrap|TTYWrap|MessagePort|Immediate|FSReqPromise|FSReqCallback|CloseReq|TickObject)$/.test(kind)) continue
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

/** Waits until there is no more of anything than in `before`; rejects naming what is left. Sockets and timers take a turn or two to go. */
export async function nothingLeft (before: Readonly<Record<string, number>>, timeout = 3_000): Promise<void> {
  const left = () => Object.entries(resources()).filter(([kind, count]) => count > (before[kind] ?? 0)).map(([kind, count]) => `${kind}: ${count} (was ${before[kind] ?? 0})`)
  await until(() => left().length === 0, { timeout, what: 'nothing to be left running' }).catch(() => { expectNone(left()) })
}

function expectNone (left: readonly string[]): void {
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
}
