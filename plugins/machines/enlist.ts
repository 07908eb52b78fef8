/** How machines come to be known, and what commissioning found of them. */
import { BedplateError } from '../../core/errors.ts'
import type { Clock, Tx } from '../../core/plugin.ts'
import type { BmcLinks } from './bmc.ts'
import type { Lifecycle } from './lifecycle.ts'
import { parseMac } from './mac.ts'
import type { Inventory, Machine, MachineService } from './manifest.ts'
import { newHostname, newId } from './names.ts'
import * as store from './store.ts'
import type { MachineRow } from './transition.ts'

type Found = Parameters<MachineService['enlist']>[1]
export interface Registration { readonly hostname?: string | undefined, readonly macs: readonly string[], readonly architecture: string, readonly by?: string | undefined }

export function createEnlistment (lifecycle: Lifecycle, clock: Clock, bmcs: BmcLinks) {
  const { record, locked, atomically, hooks } = lifecycle

  async function create (tx: Tx, { hostname, architecture, firmware, inventory, interfaces }: Pick<Machine, 'architecture' | 'firmware' | 'inventory' | 'interfaces'> & { readonly hostname?: string | undefined }, message: string): Promise<MachineRow> {
    return await atomically(tx, async () => {
      let id: string | undefined
      for (let attempt = 0; id === undefined && attempt < 10; attempt++) {
        const wish = { id: newId(), hostname: hostname ?? newHostname(attempt), status: 'New' as const, since: new Date(clock.now()), architecture, firmware, inventory }
        if (await store.insert(tx, wish)) id = wish.id
        else if (hostname !== undefined && await store.find(tx, hostname) !== undefined) throw new BedplateError('CONFLICT', { reason: `There is already a machine ${hostname}.` })
      }
      if (id === undefined) throw new BedplateError('CONFLICT', { reason: 'No free name was found for the machine; give it one.' })
      for (const one of interfaces) if (!await store.putInterface(tx, id, one)) throw new BedplateError('CONFLICT', { reason: `The MAC address ${one.mac} belongs to another machine.` })
      const machine = await locked(tx, id)
      await hooks.transition.promise(tx, { machine, from: null, to: 'New', event: 'enlisted' })
      await record(tx, id, { type: 'status', level: 'info', message, data: { to: 'New', event: 'enlisted' } })
      await tx.changed('machines.machine', id)
      return machine
    })
  }

  /** Makes the machine an operator describes. CONFLICT when its name or a MAC is taken. */
  async function register (tx: Tx, { hostname, macs, architecture, by }: Registration): Promise<MachineRow> {
    const own = [...new Set(macs.map(parseMac))]
    await store.lockMacs(tx, own)
    const interfaces = own.map((mac, index) => ({ mac, name: null, vlanId: null, boot: index === 0 }))
    return await create(tx, { hostname, architecture, firmware: 'unknown', inventory: null, interfaces }, `Registered${by === undefined ? '' : ` by ${by}`}`)
  }

  async function enlist (tx: Tx, found: Found): Promise<MachineRow> {
    const bootMac = parseMac(found.bootMac)
    const macs = [...new Set([bootMac, ...found.macs.map(parseMac)])]
    await store.lockMacs(tx, macs)
    const owners = await store.owners(tx, macs)
    const known = (owners.find(one => one.mac === bootMac) ?? owners[0])?.machine
    const names = new Map(found.inventory?.interfaces.map(one => [one.mac.toLowerCase(), one.name]))
    const interfaces = macs.map(mac => ({ mac, name: names.get(mac) ?? null, vlanId: mac === bootMac ? found.vlanId : null, boot: mac === bootMac }))
    if (known === undefined) {
      const { id } = await create(tx, { ...found, interfaces }, `Enlisted: booted from ${bootMac}`)
      await bmcs.told(tx, id, found.inventory)
      return await locked(tx, id)
    }
    const machine = await locked(tx, known)
    // Anybody on the segment can post an enlistment; only a machine that nothing was decided about yet may be described by one.
    if (machine.status !== 'New') {
      await record(tx, known, { type: 'enlist', level: 'warning', message: `Something that calls itself ${bootMac} booted as a machine nobody knows; ${machine.hostname} is ${machine.status}, so nothing of it was changed` })
      return machine
    }
    await store.saveInventory(tx, known, found)
    await putInterfaces(tx, known, interfaces)
    await store.setBoot(tx, known, bootMac)
    await record(tx, known, { type: 'enlist', level: 'info', message: `Booted from ${bootMac} and told what it is; it was known already` })
    await tx.changed('machines.machine', known)
    await bmcs.told(tx, known, found.inventory)
    return await locked(tx, known)
  }

  /** Another machine's MAC is left with it, and said. */
  async function putInterfaces (tx: Tx, id: string, interfaces: Machine['interfaces']): Promise<void> {
    for (const one of interfaces) {
      if (!await store.putInterface(tx, id, one)) await record(tx, id, { type: 'enlist', level: 'warning', message: `The MAC address ${one.mac} belongs to another machine; it stays there.` })
    }
  }

  async function saveInventory (tx: Tx, id: string, inventory: Inventory, vlanOfBoot: string | null): Promise<void> {
    const machine = await locked(tx, id)
    const interfaces = inventory.interfaces.map(({ mac, name }) => ({ mac: parseMac(mac), name, vlanId: null, boot: false }))
    await store.lockMacs(tx, interfaces.map(one => one.mac))
    await store.saveInventory(tx, id, { inventory, architecture: inventory.architecture, firmware: inventory.firmware })
    await putInterfaces(tx, id, interfaces)
    const boot = machine.interfaces.find(one => one.boot)
    if (boot !== undefined && vlanOfBoot !== null) await store.putInterface(tx, id, { ...boot, name: null, vlanId: vlanOfBoot })
    await store.dropInterfaces(tx, id, interfaces.map(one => one.mac))
    await record(tx, id, { type: 'inventory', level: 'info', message: `${inventory.cpu.count} × ${inventory.cpu.model}, ${inventory.memory} MiB, ${inventory.disks.length} disks, ${inventory.interfaces.length} interfaces, ${inventory.firmware}` })
    await tx.changed('machines.machine', id)
    await bmcs.told(tx, id, inventory)
  }

  return { register, enlist, saveInventory }
}
