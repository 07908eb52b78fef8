/** What a power driver is: one file, one object, judged by test/kit/conformance/power-driver.ts. */
import type { Static, TObject } from 'typebox'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Clock } from '../../core/plugin.ts'
import type { PowerActionName, PowerStateName } from './manifest.ts'

/** Pauses and limits in ms. Tests hand in shorter ones. */
export interface Pace {
  readonly request: number // one exchange with the BMC
  readonly poll: number // between two looks at the state while it changes
  readonly settle: number // until an accepted on or off must show
  readonly shutdown: number // until a system asked to shut down must be off
}
export const pace: Pace = { request: 10_000, poll: 1_000, settle: 30_000, shutdown: 90_000 }

export interface Options { readonly signal: AbortSignal, readonly clock: Clock, readonly pace: Pace }
export interface Reached { readonly state: PowerStateName, readonly note?: string } // note: what an operator must do

/**
 * A driver keeps nothing between calls and is safe to call again after any failure: it looks at the state first and does only
 * what is missing. `power` resolves once the state is *seen*, not when the BMC has said yes. Errors are fatal (see `isFatal`) or worth
 * another try, and hold no credential.
 */
export interface Driver<P extends TObject = TObject> {
  readonly name: string
  readonly title: string
  readonly parameters: P // fields marked `writeOnly` are secrets: sealed at rest, never shown
  readonly actions: readonly PowerActionName[] // a cycle that is not among them is made of off and on
  readonly queries: boolean // whether the state can be asked for
  readonly boots: boolean // whether a one-time boot device can be set
  /** Fills parameters from an `address` given as URL, checks what the schema cannot. Pure. POWER_PARAMETERS_INVALID. */
  normalise?(parameters: Static<P>): Static<P>
  power(parameters: Static<P>, action: PowerActionName, options: Options & { readonly boot: 'network' | 'disk' | null }): Promise<Reached>
  query(parameters: Static<P>, options: Options): Promise<PowerStateName>
}

/** Keeps the driver's types while the list of all drivers forgets them. */
export const defineDriver = <P extends TObject>(driver: Driver<P>): Driver => driver as Driver<any>

const fatal = new Set(['POWER_AUTHENTICATION', 'POWER_REFUSED', 'POWER_UNSUPPORTED', 'POWER_PARAMETERS_INVALID', 'SECRET_UNREADABLE'])
/** True when trying again, from here or elsewhere, cannot help: credentials, parameters, something the BMC does not do. */
export const isFatal = (thrown: unknown): boolean => thrown instanceof BedplateError && fatal.has(thrown.code)

/** Names of the fields that are secrets. */
export const secretFields = (schema: TObject): readonly string[] => Object.entries(schema.properties).filter(([, field]) => 'writeOnly' in field && field.writeOnly === true).map(([name]) => name)

/** The text without any of the secrets, whatever made it. */
export const redact = (text: string, secrets: readonly string[]): string => secrets.filter(secret => secret.length > 0).reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text)

/** The same error with no secret in its sentence, details or cause. */
export function redacted (thrown: unknown, secrets: readonly string[]): BedplateError {
  if (!(thrown instanceof BedplateError)) return new BedplateError('POWER_FAILED', { action: 'action', reason: redact(reasonOf(thrown), secrets) })
  return new BedplateError(thrown.code, Object.fromEntries(Object.entries(thrown.details).map(([key, value]) => [key, redact(String(value), secrets)])))
}
