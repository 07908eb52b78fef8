/** What a driver can do besides power, by the name the API and the calls give it. Pure. */
import { BedplateError } from '../../core/errors.ts'
import type { Driver } from './driver.ts'

/** What can be looked at → the driver's method. */
export const tellers = { identity: 'identify', sensors: 'sensors', log: 'log', firmware: 'inventory', media: 'media' } as const
export type Looked = keyof typeof tellers
type Extra = Looked | 'insert' | 'members'

const words: Readonly<Record<Extra, string>> = {
  identity: 'tell what its machine is', sensors: 'read sensors', log: 'read a log', firmware: 'list firmware', media: 'tell what is in a virtual drive', insert: 'put an image into a virtual drive', members: 'list the machines of a chassis'
}

export const can = (driver: Driver, what: Extra): boolean => driver[what === 'insert' || what === 'members' ? what : tellers[what]] !== undefined
/** POWER_UNSUPPORTED, in words. */
export const lacks = (driver: Driver, what: Extra): BedplateError => new BedplateError('POWER_UNSUPPORTED', { driver: driver.name, action: words[what] })

/** Everything the driver can do: its actions, then what it tells. */
export const capabilities = (driver: Driver): string[] => [
  ...driver.actions, ...driver.queries ? ['state'] : [], ...driver.boots ? ['boot-device'] : [],
  ...(['identity', 'sensors', 'log', 'firmware', 'media', 'members'] as const).filter(what => can(driver, what))
]
