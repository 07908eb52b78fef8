/** What a power driver is: one file, one object, judged by test/kit/conformance/power-driver.ts. */
import type { Static, TObject } from 'typebox'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Clock } from '../../core/plugin.ts'
import type { Kept } from './kept.ts'
import type { PowerActionName, PowerStateName } from './manifest.ts'
import { redact } from './redact.ts'

export { redact }

/** Pauses and limits in ms. Tests hand in shorter ones. */
export interface Pace {
  readonly request: number // one exchange with the BMC
  readonly poll: number // between two looks at the state while it changes
  readonly settle: number // until an accepted on or off must show
  readonly shutdown: number // until a system asked to shut down must be off
}
export const pace: Pace = { request: 10_000, poll: 1_000, settle: 30_000, shutdown: 90_000 }

export interface Options {
  readonly signal: AbortSignal, readonly clock: Clock, readonly pace: Pace
  /** Sessions, sockets and the like that outlive a call. */
  readonly kept: Kept
}
export interface Reached { readonly state: PowerStateName, readonly note?: string } // note: what an operator must do
/** What a machine is started with. `firmware`: how it boots, where that is known: some BMCs must be told together with the device. */
export interface Start { readonly boot: 'network' | 'disk' | null, readonly firmware?: 'bios' | 'uefi' }

/** Where a BMC is, for whoever wants to know whether it can be reached, without credentials. `broadcast`: reached by whoever has an interface in that network. */
export interface Endpoint { readonly by: 'tcp' | 'ipmi' | 'broadcast', readonly host: string, readonly port: number }

/** What a BMC says of its machine. `uuid`: as the machine's own firmware says it (SMBIOS type 1), lower case; null where the BMC does not know. */
export interface Identity { readonly uuid: string | null, readonly manufacturer: string | null, readonly model: string | null, readonly serial: string | null, readonly bmcVersion: string | null }
export interface Sensor { readonly name: string, readonly kind: 'temperature' | 'fan' | 'voltage' | 'current' | 'power' | 'other', readonly value: number | null, readonly unit: string, readonly status: 'ok' | 'warning' | 'critical' | 'unknown' }
/** One record of the BMC's own log (IPMI's SEL). `at`: ISO 8601, null where the BMC had no clock. */
export interface LogEntry { readonly id: string, readonly at: string | null, readonly severity: 'info' | 'warning' | 'critical', readonly message: string }
export interface FirmwareItem { readonly name: string, readonly version: string | null, readonly updateable: boolean | null }
/** What is in the virtual drive. */
export interface Media { readonly image: string | null }
/** One machine of a chassis or hypervisor: the parameters that power it, without the secrets, which are the chassis's. */
export interface Member { readonly name: string, readonly parameters: Readonly<Record<string, unknown>>, readonly uuid: string | null, readonly macs: readonly string[] }

/**
 * A driver keeps nothing between calls but in `kept`, and is safe to call again after any failure: it looks at the state first and does only
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
  /** Why an operator should try it before relying on it: what it was checked against, where no implementation by somebody else could be had. Absent: it was tried against one. */
  readonly experimental?: string
  /** Fills parameters from an `address` given as URL, checks what the schema cannot. Pure. POWER_PARAMETERS_INVALID. */
  normalise?(parameters: Static<P>): Static<P>
  /** Where the BMC is; undefined when any rack will do. Pure. */
  endpoint?(parameters: Static<P>): Endpoint | undefined
  power(parameters: Static<P>, action: PowerActionName, options: Options & Start): Promise<Reached>
  query(parameters: Static<P>, options: Options): Promise<PowerStateName>
  identify?(parameters: Static<P>, options: Options): Promise<Identity>
  sensors?(parameters: Static<P>, options: Options): Promise<readonly Sensor[]>
  /** The newest first, 500 at most. */
  log?(parameters: Static<P>, options: Options): Promise<readonly LogEntry[]>
  /** Firmware that is installed, the BMC's and the machine's. */
  inventory?(parameters: Static<P>, options: Options): Promise<readonly FirmwareItem[]>
  media?(parameters: Static<P>, options: Options): Promise<Media>
  /** Puts the image at this URL into the virtual drive, or takes out what is in it (null); resolves once that is seen. */
  insert?(parameters: Static<P>, image: string | null, options: Options): Promise<Media>
  /** All machines behind this address, for drivers of chassis and hypervisors. */
  members?(parameters: Static<P>, options: Options): Promise<readonly Member[]>
}

/** Keeps the driver's types while the list of all drivers forgets them. */
export const defineDriver = <P extends TObject>(driver: Driver<P>): Driver => driver as Driver<any>

const fatal = new Set(['POWER_AUTHENTICATION', 'POWER_REFUSED', 'POWER_UNSUPPORTED', 'POWER_PARAMETERS_INVALID', 'POWER_LAST_RACK', 'SECRET_UNREADABLE'])
/** True when trying again, from here or elsewhere, cannot help: credentials, parameters, something the BMC does not do. */
export const isFatal = (thrown: unknown): boolean => thrown instanceof BedplateError && fatal.has(thrown.code)

/** Names of the fields that are secrets. */
export const secretFields = (schema: TObject): readonly string[] => Object.entries(schema.properties).filter(([, field]) => 'writeOnly' in field && field.writeOnly === true).map(([name]) => name)

/** The same error with no secret in its sentence, details or cause. */
export function redacted (thrown: unknown, secrets: readonly string[]): BedplateError {
  if (!(thrown instanceof BedplateError)) return new BedplateError('POWER_FAILED', { action: 'action', reason: redact(reasonOf(thrown), secrets) })
  return new BedplateError(thrown.code, Object.fromEntries(Object.entries(thrown.details).map(([key, value]) => [key, redact(String(value), secrets)])))
}
