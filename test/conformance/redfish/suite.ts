/** Runs the checks one after another against a Redfish service, leaves the machine as it was, and says what came of each. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { redacted, type Options } from '../../../plugins/power/driver.ts'
import { redfish } from '../../../plugins/power/drivers/redfish.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import { checked } from '../../../plugins/power/parameters.ts'
import { checks, NotTried, type Check, type Subject } from './checks.ts'

export type Verdict = 'passed' | 'failed' | 'not offered' | 'not tried'
export interface Outcome { readonly check: string, readonly verdict: Verdict, readonly milliseconds: number, readonly said: string }
export interface Wanted { readonly address: string, readonly tls?: string, readonly image?: string, readonly switching: boolean, readonly only?: string }

/** `heard` gets each outcome as it comes. Rejects with POWER_PARAMETERS_INVALID for an address that is none. */
export async function run ({ address, tls, image, switching, only }: Wanted, options: Omit<Options, 'kept'>, heard: (outcome: Outcome) => void = () => {}): Promise<readonly Outcome[]> {
  const kept = createKept()
  const parameters = checked(redfish, { address, ...(tls === undefined ? {} : { tls }) }) as Subject['parameters']
  const subject: Subject = { parameters, options: { ...options, kept }, image }
  const outcomes: Outcome[] = []
  try {
    const before = switching ? await redfish.query(parameters, subject.options).catch(() => 'unknown') : 'unknown'
    for (const check of checks.filter(({ name }) => only === undefined || name.includes(only))) {
      const outcome = await tried(check, subject, switching)
      outcomes.push(outcome)
      heard(outcome)
    }
    if (before === 'on' || before === 'off') await redfish.power(parameters, before, { ...subject.options, boot: null }).catch(() => {}) // what does not go was told above
  } finally { await kept.close() }
  return outcomes
}

async function tried (check: Check, subject: Subject, switching: boolean): Promise<Outcome> {
  const began = performance.now()
  const ended = (verdict: Verdict, said: string): Outcome => ({ check: check.name, verdict, milliseconds: Math.round(performance.now() - began), said })
  if (check.switches === true && !switching) return ended('not tried', '--no-switch')
  try { return ended('passed', await check.run(subject)) } catch (error) {
    return ended(verdictOf(error), redacted(error instanceof BedplateError ? error : new BedplateError('POWER_FAILED', { action: 'check', reason: reasonOf(error) }), [subject.parameters.password ?? '']).message.replace(/^Power check failed: /, ''))
  }
}

/** What a service does not do is no failure of its; everything else that is thrown is. Pure. */
export const verdictOf = (thrown: unknown): Verdict => thrown instanceof NotTried ? 'not tried' : thrown instanceof BedplateError && thrown.code === 'POWER_UNSUPPORTED' ? 'not offered' : 'failed'

/** One line, in columns. Pure. */
export const line = ({ check, verdict, milliseconds, said }: Outcome): string => `${verdict.padEnd(11)}  ${check.padEnd(Math.max(...checks.map(({ name }) => name.length)))}  ${`${milliseconds} ms`.padStart(9)}  ${said}`

/** As Markdown, for the documents. Pure. */
export const row = ({ check, verdict, said }: Outcome): string => `| ${check} | ${verdict} | ${said.replaceAll('|', '\\|')} |`
