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
const identifyWithin = 40_000 // ms; a chunk has 120 s, and few of its addresses are slow BMCs

export function createScanning ({ clock, log, kept, ports = { redfish: 443, ipmi: 623 }, answerWithin = 2_500 }: ScanningOptions): Pick<Handlers<'rack', typeof manifest.rpc>, 'scan'> {
  const turns = createTurns(atOnce)
  const prober = (): Prober => kept.of('scan.prober', createProber)

  /** The same with what the BMC tells those who log in, or why it does not. */
  async function identified (found: Found, { user, password }: Account, signal: AbortSignal): Promise<Found> {
    const own = createKept() // its session ends with the scan
    try {
      const driver = driverNamed(found.driver)
      if (driver.identify === undefined) return { ...found, problem: `the driver ${driver.name} cannot tell whose BMC it is` }
      const parameters = checked(driver, { address: found.address, user, password, ...found.tls === undefined ? {} : { tls: found.tls } })
      const { uuid, manufacturer, model, serial } = await driver.identify(parameters, { signal: AbortSignal.any([signal, AbortSignal.timeout(identifyWithin)]), clock, pace, kept: own })
      return { ...found, uuid, vendor: manufacturer ?? found.vendor, model: model ?? found.model, serial }
    } catch (error) {
      signal.throwIfAborted()
      const clean = redacted(error, [password])
      if (!hasCode(clean, 'POWER_AUTHENTICATION')) log.debug({ host: found.host, reason: clean.message }, 'a BMC that was found could not be asked whose it is')
      return { ...found, problem: clean.message }
    } finally { await own.close() }
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
    return account === undefined ? found : await Promise.all(found.map(one => identified(one, account, signal)))
  }

  return {
    async scan ({ addresses, user, password }, { signal }) {
      const account = user === undefined || password === undefined ? undefined : { user, password }
      const found = await Promise.all(addresses.map(host => turns.take(async () => { signal.throwIfAborted(); return await look(host, account, signal) })))
      return { found: found.flat() }
    }
  }
}
