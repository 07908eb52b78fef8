/** The device of the next boot: AMT_BootSettingData holds wishes beside the order (redirection, BIOS setup); a boot source is then put first, for once. Pure. */
import { BedplateError } from '../../../../core/errors.ts'
import { object, text, type Json } from '../../connection/json.ts'
import { invoke, reference, type Message } from './wsman.ts'

const sources = { network: 'Intel(r) AMT: Force PXE Boot', disk: 'Intel(r) AMT: Force Hard-drive Boot' } as const
const configuration = { InstanceID: 'Intel(r) AMT: Boot Configuration 0' }
const nextSingleUse = 1 // CIM_BootService.SetBootConfigRole, Role: IsNextSingleUse

/** Puts this source first; with null, takes away whatever was put there. */
export const changeOrder = (boot: 'network' | 'disk' | null): Message => invoke('CIM_BootConfigSetting', 'ChangeBootOrder', boot === null ? {} : { Source: { raw: reference('CIM_BootSourceSetting', { InstanceID: sources[boot] }) } })
/** Has the configuration be used for the next boot, and that alone. */
export const useOnce = (): Message => invoke('CIM_BootService', 'SetBootConfigRole', { BootConfigSetting: { raw: reference('CIM_BootConfigSetting', configuration) }, Role: nextSingleUse })

/** Wishes that would lead the next boot elsewhere, and how they are written when there are none. */
const none: Readonly<Record<string, string>> = { BIOSPause: 'false', BIOSSetup: 'false', BootMediaIndex: '0', ConfigurationDataReset: 'false', IDERBootDevice: '0', PlatformErase: 'false', ReflashBIOS: 'false', SecureErase: 'false', UseIDER: 'false', UseSOL: 'false', UseSafeMode: 'false', UserPasswordBypass: 'false' }
/** What AMT tells but takes not back. */
const told: ReadonlySet<string> = new Set(['BIOSLastStatus', 'BootguardStatus', 'OptionsCleared', 'RPEEnabled', 'SecureBootControlEnabled', 'UEFIHTTPSBootEnabled', 'UEFILocalPBABootEnabled', 'UefiBootParametersArray', 'WinREBootEnabled'])

/** The settings without wishes, to be put; undefined when there are no wishes. POWER_FAILED for what are no settings. */
export function cleared (settings: unknown): Json | undefined {
  const now = object(settings)
  if (text(now.InstanceID) === undefined) throw new BedplateError('POWER_FAILED', { action: 'on', reason: 'AMT told no boot settings' })
  if (Object.entries(none).every(([name, value]) => now[name] === undefined || now[name] === value)) return undefined
  return Object.fromEntries(Object.entries(now).filter(([name]) => !told.has(name)).map(([name, value]) => [name, none[name] ?? value]))
}
