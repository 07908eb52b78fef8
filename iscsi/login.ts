/** The target's side of a login, request by request: RFC 7143 sections 6.3 and 11.12. Pure: knows no socket and no session table. */
import { Chap } from './chap.ts'
import type { ChapOptions } from './chap.ts'
import { agree, defaults, settle, wished } from './negotiate.ts'
import type { Parameters } from './negotiate.ts'
import { loginStatus, stage } from './opcode.ts'
import { formatText, parseText, TextError } from './text.ts'
import type { Pairs } from './text.ts'

export interface LoginRequest {
  readonly transit: boolean
  /** More of the same text follows. */
  readonly continued: boolean
  readonly current: number
  readonly next: number
  readonly versionMin: number
  readonly tsih: number
  readonly text: Uint8Array
}
export interface LoginReply {
  /** Class and detail; anything but `loginStatus.success` ends the connection once it is sent. */
  readonly status: number
  /** For the log: what is wrong. */
  readonly reason?: string
  readonly transit: boolean
  readonly current: number
  readonly next: number
  readonly text: Buffer
  readonly established?: Established
}
/** A session as it was agreed on. */
export interface Established { readonly initiator: string, readonly discovery: boolean, /** Name; absent in a discovery session. */ readonly target: string | undefined, readonly parameters: Parameters }

/** Who may log in to what; looked up once, when the names are known. */
export interface Admission {
  /** Its status: success, or why not (`notFound`, `forbidden`). */
  readonly status: number
  readonly alias?: string
  /** What the initiator must prove, if anything. */
  readonly chap?: ChapOptions
}
export interface LoginOptions {
  /** `target` is absent for a discovery session. */
  readonly admit: (initiator: string, target: string | undefined) => Admission
  readonly portalGroup: number
  /** Whether there is a session of that number, of this initiator or any other. */
  readonly hasSession: (tsih: number) => boolean
}

/** A negotiation that has not ended after so many requests never will. */
const mostRequests = 32
/** Of a text in pieces; more than any login needs. */
const longestText = 64 << 10
/** RFC 3720 section 3.2.6.1 and RFC 7143 section 4.2.7: 223 bytes, in one of three forms. */
const nameForm = /^(?:iqn\.\d{4}-\d{2}\.[a-z0-9.\-]+(?::[^\s]*)?|eui\.[0-9A-F]{16}|naa\.(?:[0-9A-F]{16}|[0-9A-F]{32}))$/i
export const isName = (name: string): boolean => Buffer.byteLength(name) <= 223 && nameForm.test(name)

const security = new Set(['AuthMethod', 'CHAP_A', 'CHAP_I', 'CHAP_C', 'CHAP_N', 'CHAP_R'])
const declarations = new Set(['InitiatorName', 'InitiatorAlias', 'TargetName', 'SessionType'])

class Refusal extends Error {
  readonly status: number
  constructor (status: number, reason: string) { super(reason); this.status = status }
}

export class Login {
  private readonly options: LoginOptions
  private requests = 0
  private current: number | undefined
  private pieces: Uint8Array[] = []
  private names: { readonly initiator: string, readonly target: string | undefined, readonly admission: Admission } | undefined
  private chap: Chap | undefined
  private proven = false
  private declared = false
  private readonly settled = new Set<string>()
  private parameters = defaults

  constructor (options: LoginOptions) { this.options = options }

  /** Takes one request. Never throws: what is wrong is in the status. */
  step (request: LoginRequest): LoginReply {
    try {
      return this.take(request)
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof TextError)) throw error
      return { status: error instanceof Refusal ? error.status : loginStatus.initiatorError, reason: error.message, transit: false, current: request.current, next: 0, text: Buffer.alloc(0) }
    }
  }

  private take (request: LoginRequest): LoginReply {
    const { transit, continued, current, next, versionMin, tsih, text } = request
    if (++this.requests > mostRequests) throw new Refusal(loginStatus.initiatorError, `the negotiation has not ended after ${mostRequests} requests`)
    if (versionMin > 0) throw new Refusal(loginStatus.versionUnsupported, `version ${versionMin} is the oldest the initiator speaks`)
    if (current !== stage.security && current !== stage.operational) throw new Refusal(loginStatus.initiatorError, `there is no stage ${current} in a login`)
    if (this.current !== undefined && current !== this.current) throw new Refusal(loginStatus.initiatorError, `stage ${current} instead of ${this.current}`)
    if (transit && (continued || next <= current || (next !== stage.operational && next !== stage.full))) throw new Refusal(loginStatus.initiatorError, `from stage ${current} to ${next}${continued ? ' in the middle of a text' : ''}`)
    if (this.current === undefined && tsih !== 0) throw new Refusal(this.options.hasSession(tsih) ? loginStatus.tooManyConnections : loginStatus.sessionDoesNotExist, 'a session here has one connection')
    this.current = current

    if (this.pieces.reduce((sum, piece) => sum + piece.length, text.length) > longestText) throw new Refusal(loginStatus.initiatorError, 'the text is too long')
    if (continued) {
      this.pieces.push(Uint8Array.from(text)) // a copy: the buffer it came in is used again
      return { status: loginStatus.success, transit: false, current, next: 0, text: Buffer.alloc(0) }
    }
    const pairs = parseText(this.pieces.length === 0 ? text : Buffer.concat([...this.pieces, text]))
    this.pieces = []
    return this.answer(request, pairs)
  }

  private answer ({ transit, current, next }: LoginRequest, pairs: Pairs): LoginReply {
    const answers: (readonly [string, string])[] = []
    const first = this.names === undefined
    const { initiator, target, admission } = this.names ??= this.admitted(pairs)
    if (first && target !== undefined) {
      if (admission.alias !== undefined) answers.push(['TargetAlias', admission.alias])
      answers.push(['TargetPortalGroupTag', String(this.options.portalGroup)])
    }
    const begins = pairs.some(([key]) => key === 'AuthMethod')
    if (current === stage.security) answers.push(...begins ? this.choose(pairs, admission) : this.prove(pairs.filter(([key]) => security.has(key))))
    const proven = this.proven || admission.chap === undefined
    if (current === stage.operational && !proven) throw new Refusal(loginStatus.authenticationFailed, 'the initiator left the proof out')

    const { answers: agreed, change, fault } = agree(pairs.filter(([key]) => !security.has(key) && !declarations.has(key)), { discovery: target === undefined, settled: this.settled })
    if (fault !== undefined) throw new Refusal(loginStatus.initiatorError, fault)
    this.parameters = settle(this.parameters, change)
    answers.push(...agreed)
    if (current === stage.operational && !this.declared) {
      this.declared = true
      answers.push(['MaxRecvDataSegmentLength', String(wished.receiveSegmentLength)])
    }

    const moves = transit && proven && !(begins && this.chap !== undefined)
    if (moves) this.current = next
    return {
      status: loginStatus.success, transit: moves, current, next: moves ? next : 0, text: formatText(answers),
      ...moves && next === stage.full ? { established: { initiator, discovery: target === undefined, target, parameters: this.parameters } } : {}
    }
  }

  private admitted (pairs: Pairs): NonNullable<Login['names']> {
    const said = new Map(pairs)
    const initiator = said.get('InitiatorName')
    const [type, name] = [said.get('SessionType') ?? 'Normal', said.get('TargetName')]
    if (initiator === undefined) throw new Refusal(loginStatus.missingParameter, 'InitiatorName is missing')
    if (!isName(initiator)) throw new Refusal(loginStatus.initiatorError, `"${initiator.slice(0, 64)}" is no iSCSI name`)
    if (type !== 'Normal' && type !== 'Discovery') throw new Refusal(loginStatus.sessionTypeUnsupported, `there are no sessions of type ${type.slice(0, 64)}`)
    if (type === 'Normal' && name === undefined) throw new Refusal(loginStatus.missingParameter, 'TargetName is missing')
    const target = type === 'Discovery' ? undefined : name?.toLowerCase()
    const admission = this.options.admit(initiator.toLowerCase(), target)
    if (admission.status !== loginStatus.success) throw new Refusal(admission.status, `${initiator} may not log in to ${target ?? 'discover'}`)
    return { initiator: initiator.toLowerCase(), target, admission }
  }

  /** Answers AuthMethod: what is required, else nothing. 6.3.2 */
  private choose (pairs: Pairs, { chap }: Admission): Pairs {
    if (this.chap !== undefined || this.settled.has('AuthMethod')) throw new Refusal(loginStatus.initiatorError, 'AuthMethod is named twice')
    this.settled.add('AuthMethod')
    const offered = (new Map(pairs).get('AuthMethod') ?? '').split(',')
    const method = chap === undefined ? 'None' : 'CHAP'
    if (!offered.includes(method)) throw new Refusal(loginStatus.authenticationFailed, `the initiator offers ${offered.join(',').slice(0, 64)}, and not ${method}`)
    if (chap !== undefined) this.chap = new Chap(chap)
    return [['AuthMethod', method]]
  }

  private prove (pairs: Pairs): Pairs {
    if (this.chap === undefined || this.proven) {
      if (pairs.length > 0) throw new Refusal(loginStatus.initiatorError, 'nothing is to be proven')
      return []
    }
    if (pairs.length === 0) return []
    const step = this.chap.step(pairs)
    if (step.kind === 'failed') throw new Refusal(loginStatus.authenticationFailed, step.reason)
    if (step.kind === 'done') this.proven = true
    return step.answers
  }
}
