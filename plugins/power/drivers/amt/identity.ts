/** What AMT tells of its machine. Pure. */
import type { Identity } from '../../driver.ts'
import { realUuid } from '../../uuid.ts'
import { object, text } from '../../connection/json.ts'

/** The UUID of `PlatformGUID`: SMBIOS's sixteen bytes in hexadecimal, where the first three fields have their low byte first (DSP0134, 7.2.1). */
export function uuidOf (guid: unknown): string | null {
  const hex = text(guid)?.replace(/[-{}]/g, '').toLowerCase() ?? ''
  if (!/^[0-9a-f]{32}$/.test(hex)) return null
  const field = (from: number, to: number): string => (hex.slice(from, to).match(/../g) ?? []).reverse().join('')
  return realUuid([field(0, 8), field(8, 12), field(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'))
}

/** From CIM_ComputerSystemPackage, CIM_Chassis and the CIM_SoftwareIdentity of AMT itself. */
export const identityOf = (system: unknown, chassis: unknown, software: unknown): Identity => ({
  uuid: uuidOf(object(system).PlatformGUID), manufacturer: text(object(chassis).Manufacturer) ?? null, model: text(object(chassis).Model) ?? null, serial: text(object(chassis).SerialNumber) ?? null,
  bmcVersion: text(object(software).VersionString) ?? null
})
