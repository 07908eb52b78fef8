/** What else a BMC tells than power, its virtual drive, and the machines behind a chassis. */
import { BedplateError } from '../../../core/errors.ts'
import type { Handlers } from '../../../core/plugin.ts'
import { lacks, tellers } from '../capabilities.ts'
import type { manifest } from '../manifest.ts'
import type { Call } from './calls.ts'

const lookWithin = 55_000 // ms: less than the caller waits
const insertWithin = 115_000

export function createHardware ({ call }: { readonly call: Call }): Pick<Handlers<'rack', typeof manifest.rpc>, 'look' | 'insert' | 'members'> {
  return {
    look: ({ what, ...target }, caller) => call(target, caller, lookWithin, async (driver, parameters, options) => {
      const method = tellers[what]
      if (driver[method] === undefined) throw lacks(driver, what)
      return { value: await driver[method]?.(parameters, options) }
    }, { looks: true }),
    insert: ({ image, ...target }, caller) => call(target, caller, insertWithin, async (driver, parameters, options) => {
      if (driver.insert === undefined) throw lacks(driver, 'insert')
      return { image: (await driver.insert(parameters, image, options)).image }
    }),
    members: (target, caller) => call(target, caller, lookWithin, async (driver, parameters, options) => {
      if (driver.members === undefined) throw lacks(driver, 'members')
      const members = await driver.members(parameters, options)
      if (members.length === 0) throw new BedplateError('POWER_REFUSED', { reason: 'there is no machine behind it' })
      return { members: members.map(({ name, parameters: own, uuid, macs }) => ({ name, parameters: { ...own }, uuid, macs: [...macs] })) }
    })
  }
}
