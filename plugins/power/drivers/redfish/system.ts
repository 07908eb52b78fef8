/** What a ComputerSystem says of itself (DSP0268), read with suspicion. Pure. */
import { BedplateError } from '../../../../core/errors.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'
import { link, links, object, pathOf, text, texts, within, type Json } from '../../connection/json.ts'

export interface Boot { readonly target: string | undefined, readonly enabled: string | undefined, readonly mode: string | undefined, readonly targets: readonly string[] | undefined, readonly modes: readonly string[] | undefined }
export interface System {
  readonly powerState: string | undefined
  readonly boot: Boot
  readonly resetTarget: string
  readonly resetTypes: readonly string[] | undefined // undefined: the BMC does not say
  readonly resetInfo: string | undefined // where it says so instead
  readonly settings: string | undefined // the resource that holds what is to become of it (DSP0266 clause 7.10)
  readonly chassis: readonly string[]
  readonly managers: readonly string[]
}

const allowed = (of: Json, property: string): readonly string[] | undefined => {
  const values = of[`${property}@Redfish.AllowableValues`]
  return Array.isArray(values) ? texts(values) : undefined
}

/** The parts of a ComputerSystem resource that matter to power. A missing reset target is at its usual place. */
export function systemFrom (path: string, body: Json): System {
  const reset = object(within(body, 'Actions', '#ComputerSystem.Reset'))
  return {
    powerState: text(body.PowerState),
    boot: bootFrom(body),
    resetTarget: pathOf(reset.target) ?? `${path.replace(/\/$/, '')}/Actions/ComputerSystem.Reset`,
    resetTypes: allowed(reset, 'ResetType'),
    resetInfo: pathOf(reset['@Redfish.ActionInfo']),
    settings: link(within(body, '@Redfish.Settings', 'SettingsObject')),
    chassis: links(within(body, 'Links', 'Chassis')),
    managers: [...links(within(body, 'Links', 'ManagedBy')), ...links(within(body, 'Links', 'Managers'))] // the second is how Huawei spells it
  }
}

/** Of a ComputerSystem, or of its settings. */
export function bootFrom (body: Json): Boot {
  const boot = object(body.Boot)
  return { target: text(boot.BootSourceOverrideTarget), enabled: text(boot.BootSourceOverrideEnabled), mode: text(boot.BootSourceOverrideMode), targets: allowed(boot, 'BootSourceOverrideTarget'), modes: allowed(boot, 'BootSourceOverrideMode') }
}

/** The reset types in an ActionInfo resource. */
export function resetTypesIn (info: Json): readonly string[] | undefined {
  const parameter = (Array.isArray(info.Parameters) ? info.Parameters : []).map(object).find(one => one.Name === 'ResetType')
  return parameter === undefined || !Array.isArray(parameter.AllowableValues) ? undefined : texts(parameter.AllowableValues)
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

// The button is last: it switches either way, so it serves only because the state was looked at just before.
const candidates: { readonly [A in PowerActionName]: readonly string[] } = { on: ['On', 'ForceOn', 'PushPowerButton'], off: ['ForceOff'], shutdown: ['GracefulShutdown', 'PushPowerButton'], cycle: [] }

/** The ResetType to ask for; the first this BMC takes. POWER_UNSUPPORTED. */
export function resetTypeFor ({ resetTypes }: Pick<System, 'resetTypes'>, action: PowerActionName): string {
  const types = resetTypes === undefined || resetTypes.length === 0 ? undefined : resetTypes
  const type = candidates[action].find(one => types === undefined || types.includes(one))
  if (type === undefined) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: `${action} on this BMC (it allows ${types?.join(', ') ?? 'nothing'})` })
  return type
}
