/** What a ComputerSystem says of itself (DSP0268), read with suspicion. Pure. */
import { BedplateError } from '../../../../core/errors.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'

export interface System {
  readonly powerState: string | undefined
  readonly bootMode: string | undefined
  readonly resetTarget: string
  readonly resetTypes: readonly string[] | undefined // undefined: the BMC does not say
  readonly etag: string | undefined
}

export type Json = Readonly<Record<string, unknown>>
export const object = (value: unknown): Json => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Json : {}
export const text = (value: unknown): string | undefined => typeof value === 'string' && value !== '' ? value : undefined

/** The parts of a ComputerSystem resource that matter. A missing reset target is at its usual place. */
export function systemFrom (path: string, body: Json, etag: string | undefined): System {
  const reset = object(object(body.Actions)['#ComputerSystem.Reset'])
  const types = reset['ResetType@Redfish.AllowableValues']
  return {
    powerState: text(body.PowerState),
    bootMode: text(object(body.Boot).BootSourceOverrideMode),
    resetTarget: text(reset.target) ?? `${path}/Actions/ComputerSystem.Reset`,
    resetTypes: Array.isArray(types) ? types.filter(type => typeof type === 'string') : undefined,
    etag: etag ?? text(body['@odata.etag'])
  }
}

/** The power state in our words. A state on its way counts as the one it comes from, or, when it must be `settled`, as unknown. */
export function stateOf ({ powerState }: Pick<System, 'powerState'>, how?: 'settled'): PowerStateName {
  switch (powerState) {
    case 'On': case 'Paused': return 'on'
    case 'Off': return 'off'
    case 'PoweringOff': return how === 'settled' ? 'unknown' : 'on'
    case 'PoweringOn': return how === 'settled' ? 'unknown' : 'off'
    default: return 'unknown'
  }
}

const candidates: { readonly [A in PowerActionName]: readonly string[] } = { on: ['On', 'ForceOn'], off: ['ForceOff'], shutdown: ['GracefulShutdown'], cycle: [] }

/** The ResetType to ask for; the first this BMC takes. POWER_UNSUPPORTED. */
export function resetTypeFor ({ resetTypes }: Pick<System, 'resetTypes'>, action: PowerActionName): string {
  const type = candidates[action].find(one => resetTypes === undefined || resetTypes.includes(one))
  if (type === undefined) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: `${action} on this BMC (it allows ${resetTypes?.join(', ') ?? 'nothing'})` })
  return type
}
