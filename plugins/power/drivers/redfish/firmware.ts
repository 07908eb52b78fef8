/** The firmware that is installed (DSP0268 UpdateService, SoftwareInventory). */
import type { FirmwareItem } from '../../driver.ts'
import { link, text, type Json } from '../../connection/json.ts'
import { managerOf } from './identity.ts'
import { quirksFor, systemOf } from './power.ts'
import type { Quirks } from './quirks.ts'
import type { Service } from './service.ts'

const most = 256

/** What is installed, each item once: some BMCs list it under several names. Pure. */
export function itemsFrom (inventory: readonly Json[], { notInstalled }: Pick<Quirks, 'notInstalled'>): readonly FirmwareItem[] {
  const items = inventory.filter(one => notInstalled === undefined || !notInstalled.test(text(one.Id) ?? '')).flatMap(one => {
    const name = text(one.Name) ?? text(one.Id)
    return name === undefined ? [] : [{ name, version: text(one.Version) ?? null, updateable: typeof one.Updateable === 'boolean' ? one.Updateable : null }]
  })
  return [...new Map(items.map(item => [JSON.stringify(item), item])).values()]
}

/** Of the inventory; where there is none, what system and manager say of themselves. */
export async function firmware (service: Service): Promise<readonly FirmwareItem[]> {
  const system = await service.get(await systemOf(service))
  const updates = await service.look(service.root.updates)
  const items = itemsFrom((await service.members(link(updates?.body.FirmwareInventory), most)).map(one => one.body), quirksFor(service, system))
  if (items.length > 0) return items
  const manager = await managerOf(service, system)
  return [['BIOS', system.body.BiosVersion], ['BMC', manager?.body.FirmwareVersion]].flatMap(([name, version]) => text(version) === undefined ? [] : [{ name: String(name), version: String(version), updateable: null }])
}
