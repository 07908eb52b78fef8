/** A machine's power parameters: checked against the driver's schema, and split into what may be shown and what is sealed. Pure. */
import Value from 'typebox/value'
import { BedplateError } from '../../core/errors.ts'
import { secretFields, type Driver } from './driver.ts'
import { driverNamed } from './drivers.ts'

export type Parameters = Readonly<Record<string, unknown>>
export interface Split { readonly open: Parameters, readonly secret: Parameters }

/** The driver that is meant: the one named, or the one the address begins with (`redfish+https://…`, `redfish://…`), or the one there was. POWER_PARAMETERS_INVALID. */
export function driverFor (name: string | undefined, parameters: Parameters, before?: string): Driver {
  if (name !== undefined) return driverNamed(name)
  const scheme = typeof parameters.address === 'string' ? /^([a-z]+)(\+[a-z]+)?:\/\//i.exec(parameters.address)?.[1]?.toLowerCase() : undefined
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') return driverNamed(scheme)
  if (before === undefined) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'the machine', reason: 'no driver is named; name one, or begin the address with it, like redfish+https://host' })
  return driverNamed(before)
}

/** The parameters as the driver takes them. The message names fields, never values. POWER_PARAMETERS_INVALID. */
export function checked (driver: Driver, parameters: Parameters): Parameters {
  conforms(driver, parameters)
  const normal: Parameters = driver.normalise?.(parameters) ?? parameters
  conforms(driver, normal)
  return normal
}

function conforms (driver: Driver, parameters: Parameters): void {
  const [error] = Value.Errors(driver.parameters, parameters)
  if (error === undefined) return
  const unknown = error.keyword === 'additionalProperties' ? ` (${error.params.additionalProperties.join(', ')})` : ''
  throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: driver.name, reason: `${error.instancePath.replace(/^\//, '').replaceAll('/', '.') || 'the whole'} ${error.message}${unknown}` })
}

export function split (driver: Driver, parameters: Parameters): Split {
  const secrets = new Set(secretFields(driver.parameters))
  const entries = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return { open: Object.fromEntries(entries.filter(([name]) => !secrets.has(name))), secret: Object.fromEntries(entries.filter(([name]) => secrets.has(name))) }
}
