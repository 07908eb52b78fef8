/** Operational parameters of a session and a connection, and how each is agreed on: RFC 7143 sections 6.2 and 13, RFC 7144 section 7. Pure. */
import { parseNumber } from './text.ts'
import type { Pairs } from './text.ts'

/** What holds once it is agreed on. Sizes in bytes, times in seconds. */
export interface Parameters {
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly initialR2T: boolean
  readonly immediateData: boolean
  readonly maxBurstLength: number
  readonly firstBurstLength: number
  readonly maxOutstandingR2T: number
  readonly dataPduInOrder: boolean
  readonly dataSequenceInOrder: boolean
  readonly errorRecoveryLevel: number
  readonly defaultTime2Wait: number
  readonly defaultTime2Retain: number
  /** How much data the initiator takes in one PDU; each side says its own. */
  readonly sendSegmentLength: number
  readonly protocolLevel: number
}

/** What holds where nothing is said: section 13. */
export const defaults: Parameters = {
  headerDigest: false, dataDigest: false, initialR2T: true, immediateData: true, maxBurstLength: 262_144, firstBurstLength: 65_536, maxOutstandingR2T: 1, dataPduInOrder: true, dataSequenceInOrder: true,
  errorRecoveryLevel: 0, defaultTime2Wait: 2, defaultTime2Retain: 20, sendSegmentLength: 8192, protocolLevel: 1
}

/** What this target would rather have, and can do. */
export const wished = { maxBurstLength: 1 << 20, firstBurstLength: 1 << 18, maxOutstandingR2T: 8, receiveSegmentLength: 1 << 18, protocolLevel: 2, defaultTime2Wait: 2, defaultTime2Retain: 0 } as const

type Change = Partial<{ -readonly [Key in keyof Parameters]: Parameters[Key] }>
/** The answer to a value, and what it changes. `reject`: the value is none that the key can have; the old one stays. */
type Outcome = { readonly answer: string | undefined, readonly change?: Change }
interface Rule {
  /** Of the session; not to be renegotiated, and Irrelevant in a discovery session where that is said. */
  readonly irrelevantInDiscovery?: boolean
  /** May be said in the full feature phase, too. 13.12 */
  readonly anyTime?: boolean
  readonly agree: (value: string) => Outcome | 'reject'
}

const flag = (value: string): boolean | undefined => value === 'Yes' ? true : value === 'No' ? false : undefined
const word = (value: boolean): string => value ? 'Yes' : 'No'

/** Both sides' answers joined: by OR, the feature is off only when both say No; by AND, on only when both say Yes. 6.2.2 */
const boolean = (key: keyof Parameters, join: 'or' | 'and', own: boolean): Rule['agree'] => value => {
  const theirs = flag(value)
  if (theirs === undefined) return 'reject'
  const result = join === 'or' ? theirs || own : theirs && own
  return { answer: word(result), change: { [key]: result } }
}
const number = (key: keyof Parameters | undefined, [least, most]: readonly [number, number], join: (theirs: number) => number): Rule['agree'] => value => {
  const theirs = parseNumber(value)
  if (theirs === undefined || theirs < least || theirs > most) return 'reject'
  const result = join(theirs)
  return key === undefined ? { answer: String(result) } : { answer: String(result), change: { [key]: result } }
}
/** The first of theirs that is ours: the offering side's order counts. 6.2.1 */
const list = (ours: readonly string[], change: (chosen: string) => Change): Rule['agree'] => value => {
  const chosen = value.split(',').find(one => ours.includes(one))
  return chosen === undefined ? 'reject' : { answer: chosen, change: change(chosen) }
}
const least = (own: number) => (theirs: number): number => Math.min(own, theirs)
const declared = (change: (value: string) => Change | undefined): Rule['agree'] => value => {
  const made = change(value)
  return made === undefined ? 'reject' : { answer: undefined, change: made }
}

const segment = [512, 0xffffff] as const
const rules: Readonly<Record<string, Rule>> = {
  HeaderDigest: { agree: list(['CRC32C', 'None'], chosen => ({ headerDigest: chosen === 'CRC32C' })) },
  DataDigest: { agree: list(['CRC32C', 'None'], chosen => ({ dataDigest: chosen === 'CRC32C' })) },
  MaxConnections: { irrelevantInDiscovery: true, agree: number(undefined, [1, 65_535], least(1)) },
  InitialR2T: { irrelevantInDiscovery: true, agree: boolean('initialR2T', 'or', false) },
  ImmediateData: { irrelevantInDiscovery: true, agree: boolean('immediateData', 'and', true) },
  MaxRecvDataSegmentLength: { anyTime: true, agree: declared(value => { const size = parseNumber(value); return size === undefined || size < segment[0] || size > segment[1] ? undefined : { sendSegmentLength: size } }) },
  MaxBurstLength: { irrelevantInDiscovery: true, agree: number('maxBurstLength', segment, least(wished.maxBurstLength)) },
  FirstBurstLength: { irrelevantInDiscovery: true, agree: number('firstBurstLength', segment, least(wished.firstBurstLength)) },
  DefaultTime2Wait: { agree: number('defaultTime2Wait', [0, 3600], theirs => Math.max(theirs, wished.defaultTime2Wait)) },
  DefaultTime2Retain: { agree: number('defaultTime2Retain', [0, 3600], least(wished.defaultTime2Retain)) },
  MaxOutstandingR2T: { irrelevantInDiscovery: true, agree: number('maxOutstandingR2T', [1, 65_535], least(wished.maxOutstandingR2T)) },
  DataPDUInOrder: { irrelevantInDiscovery: true, agree: boolean('dataPduInOrder', 'or', true) },
  DataSequenceInOrder: { irrelevantInDiscovery: true, agree: boolean('dataSequenceInOrder', 'or', true) },
  ErrorRecoveryLevel: { agree: number('errorRecoveryLevel', [0, 2], least(0)) },
  TaskReporting: { irrelevantInDiscovery: true, agree: list(['RFC3720'], () => ({})) },
  iSCSIProtocolLevel: { irrelevantInDiscovery: true, agree: number('protocolLevel', [0, 31], least(wished.protocolLevel)) },
  // Markers are gone from the protocol; an initiator that still asks is told No, never NotUnderstood. 13.25
  IFMarker: { agree: value => flag(value) === undefined ? 'reject' : { answer: 'No' } },
  OFMarker: { agree: value => flag(value) === undefined ? 'reject' : { answer: 'No' } },
  IFMarkInt: { agree: () => 'reject' },
  OFMarkInt: { agree: () => 'reject' }
}

export interface Agreed {
  readonly answers: Pairs
  readonly change: Change
  /** What breaks the negotiation as a whole: 6.2 and 6.11. */
  readonly fault?: string
}
export interface Circumstances {
  readonly discovery: boolean
  /** Keys that were settled before in this login; naming one again is an error. 6.2 */
  readonly settled: Set<string>
  /** In the full feature phase only some keys may be said. */
  readonly fullFeature?: boolean
}

/** Answers to keys that are not the login's own (names, authentication); what nobody knows is NotUnderstood. */
export function agree (pairs: Pairs, { discovery, settled, fullFeature = false }: Circumstances): Agreed {
  const answers: [string, string][] = []
  const change: Change = {}
  for (const [key, value] of pairs) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (rule === undefined) {
      if (value !== 'NotUnderstood') answers.push([key, 'NotUnderstood'])
      continue
    }
    if (settled.has(key) && rule.anyTime !== true) return { answers, change, fault: `${key} is named twice` }
    settled.add(key)
    if (value === 'Reject' || value === 'Irrelevant' || value === 'NotUnderstood') continue // their answer, not an offer
    if (fullFeature && rule.anyTime !== true) answers.push([key, 'Reject'])
    else if (discovery && rule.irrelevantInDiscovery === true) answers.push([key, 'Irrelevant'])
    else {
      const outcome = rule.agree(value)
      if (outcome === 'reject') { answers.push([key, 'Reject']); continue }
      Object.assign(change, outcome.change)
      if (outcome.answer !== undefined) answers.push([key, outcome.answer])
    }
  }
  return { answers, change }
}

/** The parameters once all is said: the first burst is never longer than a whole one. 13.14 */
export const settle = (parameters: Parameters, change: Change): Parameters => {
  const joined = { ...parameters, ...change }
  return joined.firstBurstLength > joined.maxBurstLength ? { ...joined, firstBurstLength: joined.maxBurstLength } : joined
}
