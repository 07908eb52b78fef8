/** What can be wrong with a BMC. All may be changed while it runs. */
import { BedplateError } from '../../core/errors.ts'

export interface Faults {
  /** ms before each answer. */
  slow: number
  /** Share (0 to 1) of what is lost: packets of IPMI, each way; requests of Redfish before and answers after they were carried out. */
  loss: number
  /** So many requests are answered 503, or node busy (0xC0). */
  busy: number
  /** Power actions are accepted, and nothing is done. */
  lies: boolean
  /** The power state it tells, whatever is true. `hidden`: it tells none. */
  tells: 'true' | 'on' | 'off' | 'hidden'
  /** So many power actions are carried out, but their answers are lost. */
  loseAnswer: number
  /** So many requests end in a cut connection, or in silence, before anything was done. */
  hangsUp: number
  /** Answers are no JSON, or random bytes. */
  garbage: boolean
  /** Integrity codes of IPMI sessions are wrong. */
  wrongIntegrity: boolean
  /** Every command in an IPMI session is answered with this completion code; 0: none. */
  completion: number
  /** No session is free. */
  exhausted: boolean
  /** So many times the system changes, with its ETag, after it was read. */
  changing: number
  /** Changes need If-Match, whatever the profile says. */
  needsEtag: boolean
  /** Reads of the system until a power action shows. */
  takes: number
  /** A reset answers 202 with a task, whatever the profile says. */
  tasks: boolean
  /** Tasks end in an exception, and nothing is done. */
  taskFails: boolean
  /** Even the service root asks for a login. */
  closed: boolean
  /** There is no session collection (404), only Basic. */
  noSessions: boolean
}

const none: Readonly<Faults> = {
  slow: 0, loss: 0, busy: 0, lies: false, tells: 'true', loseAnswer: 0, hangsUp: 0, garbage: false, wrongIntegrity: false, completion: 0, exhausted: false,
  changing: 0, needsEtag: false, takes: 0, tasks: false, taskFails: false, closed: false, noSessions: false
}
export const createFaults = (given: Partial<Faults> = {}): Faults => ({ ...none, ...given })

/** True so many times as the counter says. */
export function takes (faults: Faults, counter: 'busy' | 'loseAnswer' | 'hangsUp' | 'changing'): boolean {
  if (faults[counter] <= 0) return false
  faults[counter]--
  return true
}

/** Whether this one is lost. */
export const lost = ({ loss }: Faults, chance: () => number = Math.random): boolean => loss > 0 && chance() < loss

/** Names with what they take, for people. */
export const faultNames = Object.entries(none).map(([name, value]) => typeof value === 'boolean' ? name : typeof value === 'string' ? `${name}=on|off|hidden` : name === 'loss' ? 'loss=0.1' : `${name}=N`)

/** Reads `slow=200`, `lies`, `tells=off`. OPTION_INVALID. */
export function parseFault (text: string): Partial<Faults> {
  const [, name = '', , value] = /^([^=]*)(=(.*))?$/s.exec(text) ?? []
  const usual = Object.entries(none).find(([key]) => key === name)?.[1]
  const invalid = (reason: string) => new BedplateError('OPTION_INVALID', { option: '--fault', reason })
  if (usual === undefined) throw invalid(`${text} is no fault there is; there are ${faultNames.join(', ')}`)
  if (typeof usual === 'boolean') {
    if (value !== undefined && value !== 'true' && value !== 'false') throw invalid(`${name} is there or not: write ${name}`)
    return { [name]: value !== 'false' }
  }
  if (typeof usual === 'string') {
    if (value !== 'on' && value !== 'off' && value !== 'hidden' && value !== 'true') throw invalid(`write tells=on, tells=off or tells=hidden`)
    return { tells: value }
  }
  const number = value === undefined || value === '' ? NaN : Number(value)
  if (!Number.isFinite(number) || number < 0 || (name === 'loss' && number > 1)) throw invalid(name === 'loss' ? 'write loss=0.1 for every tenth; it is from 0 to 1' : `write ${name}=N with a number from 0`)
  return { [name]: number }
}
