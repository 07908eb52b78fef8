/** Looks for BMCs at addresses: who answers as IPMI or Redfish without credentials, and, with credentials, whose BMC it is. */
import { hasCode } from '../../../core/errors.ts'
import type { Clock, Handlers, Logger } from '../../../core/plugin.ts'
import type { Static } from 'typebox'
import { createProber, type Prober } from '../../../ipmi/probe.ts'
import { hostInUrl } from '../address.ts'
import { pace, redacted } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import { createKept, type Kept } from '../kept.ts'
import type { FoundBmc, manifest } from '../manifest.ts'
import { checked } from '../parameters.ts'
import { lookForRedfish } from './scan/redfish.ts'
import { createTurns } from './scan/turns.ts'

type Found = Static<typeof FoundBmc>
interface Account { readonly user: string, readonly password: string }
export interface ScanningOptions { readonly clock: Clock, readonly log: Logger, readonly kept: Kept, /** Where BMCs listen, and how long (ms) an answer may take to what is asked without credentials; tests have their own. */ readonly ports?: { readonly redfish: number, readonly ipmi: number }, readonly answerWithin?: number }

const atOnce = 128 // addresses: each is an entry in the neighbour table of the system, which takes about a thousand
const identifyWithin = { first: 40_000, next: 15_000 } // ms, by Redfish and then by IPMI; a chunk has 120 s, and few of its addresses are slow BMCs

export function createScanning ({ clock, log, kept, ports = { redfish: 443, ipmi: 623 }, answerWithin = 2_500 }: ScanningOptions): Pick<Handlers<'rack', typeof manifest.rpc>, 'scan'> {
  const turns = createTurns(atOnce)
  const prober = (): Prober => kept.of('scan.prober', createProber)

  /** The same with what the BMC tells those who log in, or why it does not. `refused`: it was the credentials. */
  async function identified (found: Found, { user, password }: Account, limit: number, signal: AbortSignal): Promise<{ readonly found: Found, readonly refused: boolean }> {
    const own = createKept() // its session ends with the scan
    try {
      const driver = driverNamed(found.driver)
      if (driver.identify === undefined) return { found: { ...found, problem: `the driver ${driver.name} cannot tell whose BMC it is` }, refused: false }
      const parameters = checked(driver, { address: found.address, user, password, ...found.tls === undefined ? {} : { tls: found.tls } })
      const { uuid, manufacturer, model, serial } = await driver.identify(parameters, { signal: AbortSignal.any([signal, AbortSignal.timeout(limit)]), clock, pace, kept: own })
      return { found: { ...found, uuid, vendor: manufacturer ?? found.vendor, model: model ?? found.model, serial }, refused: false }
    } catch (error) {
      signal.throwIfAborted()
      const clean = redacted(error, [password])
      const refused = hasCode(clean, 'POWER_AUTHENTICATION')
      if (!refused) log.debug({ host: found.host, reason: clean.message }, 'a BMC that was found could not be asked whose it is')
      return { found: { ...found, problem: clean.message }, refused }
    } finally { await own.close() }
  }

  /** All ways to one BMC, one after the other: an account it refused by the first is not tried by the next, for BMCs lock accounts. */
  async function identifiedAll (found: readonly Found[], account: Account, signal: AbortSignal): Promise<Found[]> {
    const all: Found[] = []
    let problem: string | null = null
    for (const one of found) {
      if (problem !== null) { all.push({ ...one, problem }); continue }
      const told = await identified(one, account, all.length === 0 ? identifyWithin.first : identifyWithin.next, signal)
      all.push(told.found)
      if (told.refused) problem = told.found.problem
    }
    return all
  }

  async function look (host: string, account: Account | undefined, signal: AbortSignal): Promise<Found[]> {
    const [root, { reachable }] = await Promise.all([lookForRedfish(host, ports.redfish, { timeout: answerWithin, signal }), prober().probe(host, ports.ipmi, { timeout: answerWithin, signal })])
    signal.throwIfAborted()
    const none = { host, uuid: null, serial: null, problem: null }
    const portOf = (port: number, usual: number): string => port === usual ? '' : `:${port}`
    const found: Found[] = [
      ...root === undefined ? [] : [{ ...none, driver: 'redfish' as const, address: `redfish+https://${hostInUrl(host)}${portOf(ports.redfish, 443)}`, vendor: root.vendor, model: root.product, tls: root.tls }],
      ...reachable ? [{ ...none, driver: 'ipmi' as const, address: `ipmi://${hostInUrl(host)}${portOf(ports.ipmi, 623)}`, vendor: null, model: null }] : []
    ]
    return account === undefined ? found : await identifiedAll(found, account, signal)
  }

  return {
    async scan ({ addresses, user, password }, { signal }) {
      const account = user === undefined || password === undefined ? undefined : { user, password }
      const found = await Promise.all(addresses.map(host => turns.take(async () => { signal.throwIfAborted(); return await look(host, account, signal) })))
      return { found: found.flat() }
    }
  }
}
