/** The drivers there are. A new one is one file and one line. */
import { BedplateError } from '../../core/errors.ts'
import type { Driver } from './driver.ts'
import { amt } from './drivers/amt.ts'
import { apc } from './drivers/apc.ts'
import { ipmi } from './drivers/ipmi.ts'
import { manual } from './drivers/manual.ts'
import { proxmox } from './drivers/proxmox.ts'
import { qemu } from './drivers/qemu.ts'
import { redfish } from './drivers/redfish.ts'
import { virsh } from './drivers/virsh.ts'
import { webhook } from './drivers/webhook.ts'
import { wol } from './drivers/wol.ts'

export const drivers: readonly Driver[] = [ipmi, redfish, webhook, proxmox, virsh, qemu, amt, apc, wol, manual]

/** The driver of that name. POWER_PARAMETERS_INVALID. */
export function driverNamed (name: string): Driver {
  const driver = drivers.find(one => one.name === name)
  if (driver === undefined) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: name, reason: `there is no such driver; there are ${drivers.map(one => one.name).join(', ')}` })
  return driver
}
