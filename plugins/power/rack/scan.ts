/** Looks for BMCs at addresses. */
import type { Clock, Handlers, Logger } from '../../../core/plugin.ts'
import { BedplateError } from '../../../core/errors.ts'
import type { Kept } from '../kept.ts'
import type { manifest } from '../manifest.ts'

export function createScanning (_: { readonly clock: Clock, readonly log: Logger, readonly kept: Kept }): Pick<Handlers<'rack', typeof manifest.rpc>, 'scan'> {
  return { scan: async () => { throw new BedplateError('POWER_UNSUPPORTED', { driver: 'scan', action: 'scan' }) } }
}
