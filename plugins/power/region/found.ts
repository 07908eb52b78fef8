/** Whose BMC it is that was found, and what is behind a chassis: what power tells machines, which know neither drivers nor scans. */
import { hasCode } from '../../../core/errors.ts'
import type { Logger, Secrets, Tx } from '../../../core/plugin.ts'
import { can, lacks } from '../capabilities.ts'
import type { ChassisMember, PowerService, Sign } from '../manifest.ts'
import { checked, driverFor, split, type Parameters } from '../parameters.ts'
import type { FoundRow } from '../store/found.ts'
import * as store from '../store/found.ts'
import { bmc } from '../store.ts'
import { realUuid, spellings } from '../uuid.ts'
import type { Racks } from './racks.ts'
import type { PowerCore } from './service.ts'

export interface Account { readonly user: string, readonly password: string }
export interface FoundOptions { readonly log: Logger, readonly secrets: Secrets, readonly power: PowerCore, readonly racks: Racks }
type Found = Pick<PowerService, 'link' | 'members'>

export const sealedAs = (host: string, driver: string): string => `power/found/${host}/${driver}`
const membersWithin = 150_000 // ms, for all racks: one that does not reach it takes half a minute to say so

/**
 * The BMC that is the machine's: by UUID if exactly one host has it, else the one at the address the machine names, unless that one knows another UUID. Redfish
 * before IPMI, where a host speaks both. Pure.
 */
export function pick (rows: readonly FoundRow[], { uuid, address }: Sign): FoundRow | undefined {
  const mine = spellings(uuid)
  const byUuid = rows.filter(row => row.uuid !== null && mine.includes(row.uuid))
  const hosts = new Set(byUuid.map(({ host }) => host))
  const right = hosts.size === 1 ? byUuid : rows.filter(row => row.host === address && (mine.length === 0 || realUuid(row.uuid) === null || byUuid.includes(row))) // a UUID two boards have tells neither
  return right.find(({ driver }) => driver === 'redfish') ?? right[0]
}

export function createFound ({ log, secrets, power, racks }: FoundOptions): Found {
  /** What to configure the machine with, or undefined where the credentials open no more. */
  function parametersOf (row: FoundRow): Parameters | undefined {
    try {
      const account = JSON.parse(secrets.open(row.secrets ?? '', sealedAs(row.host, row.driver))) as Account
      return { address: row.address, ...account, ...row.tls === null ? {} : { tls: row.tls } }
    } catch (error) {
      if (!hasCode(error, 'SECRET_UNREADABLE')) throw error
      log.warn({ host: row.host }, 'the credentials of a BMC that was found cannot be opened; scan it again')
      return undefined
    }
  }

  async function link (tx: Tx, machine: string, sign: Sign): Promise<{ readonly driver: string, readonly host: string } | undefined> {
    if (await bmc(tx, machine) !== undefined) return undefined
    const uuids = spellings(sign.uuid)
    if (uuids.length === 0 && sign.address === null) return undefined
    const row = pick(await store.freeFound(tx, uuids, sign.address), sign)
    const parameters = row === undefined ? undefined : parametersOf(row)
    if (row === undefined || parameters === undefined) return undefined
    await power.configure(tx, machine, row.driver, parameters)
    await tx.changed('power.found', row.host)
    return { driver: row.driver, host: row.host }
  }

  async function members (name: string | undefined, given: Parameters): Promise<{ readonly driver: string, readonly members: readonly ChassisMember[] }> {
    const driver = driverFor(name, given)
    if (!can(driver, 'members')) throw lacks(driver, 'members')
    const parameters = checked(driver, given)
    const { secret } = split(driver, parameters)
    const machine = `chassis/${String(parameters.address ?? driver.name)}`
    const { value } = await racks.ask(machine, 'list the machines', membersWithin, (client, options) => client.members({ machine, driver: driver.name, parameters: { ...parameters } }, options))
    return { driver: driver.name, members: value.members.map(({ name, uuid, macs, parameters: own }) => ({ name, uuids: spellings(uuid), macs, parameters: { ...own, ...secret } })) }
  }
  return { link, members }
}
