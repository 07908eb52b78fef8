/** Waiting for a machine to be on or off: what was accepted is not yet done. */
import { BedplateError } from '../../core/errors.ts'
import type { Options } from './driver.ts'
import type { PowerActionName, PowerStateName } from './manifest.ts'

/** The state an action ends in. */
export const endOf = (action: PowerActionName): 'on' | 'off' => action === 'on' || action === 'cycle' ? 'on' : 'off'

/**
 * Looks until the state is the one the action ends in, every `pace.poll` ms for `pace.settle` (or `pace.shutdown`) ms at most. POWER_FAILED,
 * naming the state it was in last, when that time or the signal's is over; what `look` throws is passed on.
 */
export async function reach (look: () => Promise<PowerStateName>, action: PowerActionName, { clock, pace, signal }: Options): Promise<'on' | 'off'> {
  const wanted = endOf(action)
  const limit = action === 'shutdown' ? pace.shutdown : pace.settle
  const end = clock.monotonic() + limit
  for (;;) {
    const state = await look()
    if (state === wanted) return wanted
    if (clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action, reason: `it was accepted, but ${Math.round(limit / 1000)} s later the machine is still ${state}` })
    await clock.sleep(pace.poll, signal)
    if (signal.aborted) throw new BedplateError('POWER_FAILED', { action, reason: `there was no time left to see the machine ${wanted}; it was ${state}` })
  }
}
