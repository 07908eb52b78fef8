/** The device of the next boot alone (DSP0268 ComputerSystem.Boot). */
import { BedplateError } from '../../../../core/errors.ts'
import type { Start } from '../../driver.ts'
import { amend } from './amend.ts'
import type { Quirks } from './quirks.ts'
import type { Found, Service } from './service.ts'
import { bootFrom, type Boot } from './system.ts'
import { finished } from './task.ts'

export type Override = Readonly<Record<string, string>>

/** What to ask for, at best first: some BMCs refuse a mode that changes nothing, or a duration that is set already. Pure. POWER_UNSUPPORTED. */
export function overridesFor (boot: Boot, device: 'network' | 'disk', firmware: Start['firmware'], { bootMode }: Pick<Quirks, 'bootMode'>): readonly Override[] {
  const target = (device === 'network' ? ['Pxe', ...firmware === 'bios' ? [] : ['UefiHttp']] : ['Hdd']).find(one => boot.targets === undefined || boot.targets.length === 0 || boot.targets.includes(one))
  if (target === undefined) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: `boot from ${device === 'network' ? 'the network' : 'disk'} on this BMC (it allows ${boot.targets?.join(', ') ?? 'nothing'})` })
  const wanted = firmware === undefined ? undefined : firmware === 'uefi' ? 'UEFI' : 'Legacy'
  const modeKnown = boot.mode !== undefined || (boot.modes ?? []).length > 0
  const mode = bootMode === 'always' ? wanted ?? boot.mode ?? 'UEFI' : bootMode === 'known' && modeKnown ? wanted ?? boot.mode : wanted !== undefined && modeKnown && wanted !== boot.mode ? wanted : undefined
  const least = { BootSourceOverrideTarget: target }
  const once = { BootSourceOverrideEnabled: 'Once', ...least }
  const changes = mode !== undefined && mode !== boot.mode && boot.mode !== undefined
  return [
    mode === undefined ? once : { ...once, BootSourceOverrideMode: mode },
    ...mode === undefined || changes ? [] : [once], // what would change the mode is not left out: the machine would start another way
    ...boot.enabled === 'Once' && !changes ? [least] : []
  ]
}

/** Whether the BMC shows the override it took; undefined where it shows none. Pure. */
export function shows (boot: Boot, override: Override): boolean | undefined {
  if (boot.target === undefined) return undefined
  return boot.target === override.BootSourceOverrideTarget && boot.enabled !== 'Disabled'
}

/** Sets it in the system, or in the system's settings where the BMC has it there, and looks whether it shows. Gives a note for the operator when the BMC took it and shows something else. POWER_UNSUPPORTED, POWER_FAILED, POWER_REFUSED. */
export async function bootOnce (service: Service, system: Found, settings: string | undefined, device: 'network' | 'disk', firmware: Start['firmware'], quirks: Quirks): Promise<string | undefined> {
  const later = await service.look(settings)
  const there = later !== undefined && bootFrom(later.body).target !== undefined ? later : system // Dell's iDRAC 10 and others
  const [own, other] = [bootFrom(there.body), bootFrom(system.body)]
  const overrides = overridesFor({ target: own.target, enabled: own.enabled, mode: own.mode ?? other.mode, targets: own.targets ?? other.targets, modes: own.modes ?? other.modes }, device, firmware, quirks)
  for (const [index, override] of overrides.entries()) {
    const last = index === overrides.length - 1
    const answer = await amend(service, there, { Boot: override }, { action: 'on', allow: last ? [] : [400, 405, 422] })
    if (answer.status >= 300) continue
    await finished(service, answer, 'on')
    return await seen(service, there.path, override)
  }
  return undefined
}

/** Some BMCs take a moment to show it, and some accept what they ignore: that is said, and no failure, since others set it without ever showing it. */
async function seen (service: Service, path: string, override: Override): Promise<string | undefined> {
  const { clock, pace, signal } = service.options
  for (let look = 0; ; look++) {
    const { body } = await service.get(path)
    const boot = bootFrom(body)
    if (shows(boot, override) !== false) return undefined
    if (look >= 3 || signal.aborted) return `The BMC took ${override.BootSourceOverrideTarget} as the device of the next boot, but shows ${boot.enabled === 'Disabled' ? 'none' : boot.target ?? 'none'}: look that the machine boots from it.`
    await clock.sleep(pace.poll, signal)
  }
}
