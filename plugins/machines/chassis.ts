/** All machines of a chassis or hypervisor: those nobody knows are registered, and each is powered through it. */
import { BedplateError } from '../../core/errors.ts'
import type { Database, Tx } from '../../core/plugin.ts'
import type { ChassisMember, PowerService } from '../power/manifest.ts'
import type { createEnlistment } from './enlist.ts'
import type { Lifecycle } from './lifecycle.ts'
import { parseMac } from './mac.ts'
import { hostnamePattern } from './names.ts'
import * as store from './store.ts'

export interface ChassisOptions { readonly db: Database, readonly power: PowerService, readonly lifecycle: Lifecycle, readonly enlistment: ReturnType<typeof createEnlistment> }
export interface ChassisWish { readonly driver?: string | undefined, readonly parameters: Readonly<Record<string, unknown>>, readonly architecture: string, readonly by?: string | undefined }
/** `configured`: its power was set now; one that had its own keeps it. */
export interface Added { readonly member: string, readonly id: string, readonly hostname: string, readonly configured: boolean }
export interface Chassis { readonly driver: string, readonly added: readonly Added[], readonly known: readonly Added[], readonly failed: readonly { readonly member: string, readonly reason: string }[] }

/** The member's name as a hostname, or undefined: then one is made up. Pure. */
export function hostnameOf (name: string): string | undefined {
  const label = name.toLowerCase().replace(/[^a-z0-9-]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63).replace(/-+$/, '')
  return new RegExp(hostnamePattern).test(label) ? label : undefined
}

export function createChassis ({ db, power, lifecycle, enlistment }: ChassisOptions) {
  /** By a MAC, else by what its firmware says it is. */
  async function knownAs (tx: Tx, { macs, uuids }: ChassisMember): Promise<string | undefined> {
    const [owner] = await store.owners(tx, macs)
    if (owner !== undefined || uuids.length === 0) return owner?.machine
    const [one, another] = await store.signed(tx, uuids, [])
    return another === undefined ? one?.id : undefined
  }

  async function take (tx: Tx, driver: string, member: ChassisMember, { architecture, by }: ChassisWish): Promise<Added & { readonly isNew: boolean }> {
    const macs = member.macs.map(parseMac)
    await store.lockMacs(tx, macs)
    const who = by === undefined ? '' : ` by ${by}`
    const known = await knownAs(tx, { ...member, macs })
    if (known === undefined && macs.length === 0) throw new BedplateError('INVALID_REQUEST', { reason: 'it tells no MAC address, by which it could be known when it boots. Register it by hand: bedplate machine create --mac <mac>' })
    const wished = hostnameOf(member.name)
    const hostname = wished === undefined || await store.find(tx, wished) !== undefined ? undefined : wished
    const machine = known === undefined ? await enlistment.register(tx, { hostname, macs, architecture, by }) : await lifecycle.locked(tx, known)
    const configured = await power.configuration(tx, machine.id) === undefined
    if (configured) {
      await power.configure(tx, machine.id, driver, member.parameters)
      await store.bump(tx, machine.id)
      await lifecycle.record(tx, machine.id, { type: 'power', level: 'info', message: `Powered through its chassis as ${member.name}, by ${driver}; added${who}` })
      await tx.changed('machines.machine', machine.id)
    }
    return { member: member.name, id: machine.id, hostname: machine.hostname, configured, isNew: known === undefined }
  }

  /** Asks the chassis, then takes one member after the other, each in its own transaction: one that cannot be taken keeps none of the others out. Safe to repeat. */
  return async function add (wish: ChassisWish): Promise<Chassis> {
    const { driver, members } = await power.members(wish.driver, wish.parameters)
    const [added, known, failed]: [Added[], Added[], { member: string, reason: string }[]] = [[], [], []]
    for (const member of members) {
      try {
        const { isNew, ...one } = await db.tx(tx => take(tx, driver, member, wish))
        ;(isNew ? added : known).push(one)
      } catch (error) {
        if (!(error instanceof BedplateError) || error.status >= 500) throw error
        failed.push({ member: member.name, reason: error.message })
      }
    }
    return { driver, added, known, failed }
  }
}
