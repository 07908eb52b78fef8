/** A simulated BMC of a machine that is made of nothing, spoken to by Redfish over HTTP. */
import { startBmc as start, type Bmc as Simulated } from '../../sim/bmc/bmc.ts'
import { createNothing, type Nothing } from '../../sim/machine/nothing.ts'

export interface Bmc extends Simulated { readonly machine: Nothing, readonly url: string }
export const account = { user: 'root', password: 'calvin/&?%é' } as const

export async function startBmc (): Promise<Bmc> {
  const machine = createNothing()
  const bmc = await start({ machine, account, redfish: {} })
  return Object.assign(bmc, { machine, url: bmc.redfish?.url ?? '' })
}

/** As `redfish+http://user:password@…`. */
export const addressOf = (bmc: Bmc, { user, password }: { readonly user: string, readonly password: string } = account): string => `redfish+${bmc.url.replace('//', `//${user}:${encodeURIComponent(password)}@`)}/redfish/v1/Systems/1`
