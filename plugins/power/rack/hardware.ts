/** What else a BMC tells than power, and its virtual drive. */
import type { Handlers } from '../../../core/plugin.ts'
import { BedplateError } from '../../../core/errors.ts'
import type { manifest } from '../manifest.ts'
import type { Call } from './calls.ts'

export function createHardware ({ call: _ }: { readonly call: Call }): Pick<Handlers<'rack', typeof manifest.rpc>, 'look' | 'insert'> {
  return {
    look: async ({ driver, what }) => { throw new BedplateError('POWER_UNSUPPORTED', { driver, action: what }) },
    insert: async ({ driver }) => { throw new BedplateError('POWER_UNSUPPORTED', { driver, action: 'insert' }) }
  }
}
