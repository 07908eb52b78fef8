/** Who a machine is, as its BMC says (DSP0268 ComputerSystem, Manager). */
import type { Identity } from '../../driver.ts'
import { text, type Json } from '../../connection/json.ts'
import { quirksFor, systemOf } from './power.ts'
import type { Quirks } from './quirks.ts'
import type { Found, Service } from './service.ts'
import { systemFrom } from './system.ts'

/** A UUID as all the world compares it; null for what is none, and for those BMCs give that have none: all zeros or all ones. Pure. */
export function uuidFrom (value: unknown): string | null {
  const read = text(value)?.trim().toLowerCase()
  return read === undefined || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(read) || /^[0-]+$|^[f-]+$/.test(read) ? null : read
}

/** Pure. */
export function identityFrom (system: Json, manager: Json, { serial }: Pick<Quirks, 'serial'>): Identity {
  return {
    uuid: uuidFrom(system.UUID),
    manufacturer: text(system.Manufacturer) ?? null,
    model: text(system.Model) ?? null,
    serial: text(system[serial]) ?? text(system.SerialNumber) ?? null,
    bmcVersion: text(manager.FirmwareVersion) ?? null
  }
}

/** The manager of this system: the one it names, or the first there is. */
export async function managerOf (service: Service, system: Found): Promise<Found | undefined> {
  const [named] = systemFrom(system.path, system.body).managers
  return await service.look(named) ?? (await service.members(service.root.managers, 1))[0]
}

export async function identity (service: Service): Promise<Identity> {
  const system = await service.get(await systemOf(service))
  return identityFrom(system.body, (await managerOf(service, system))?.body ?? {}, quirksFor(service, system))
}
