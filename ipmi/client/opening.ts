/** How a session is opened, as a decision: datagrams in, what to do next out. Knows no socket and no clock; whoever has them repeats what is not answered. */
import { suiteNumbered, type Suite } from '../ciphers.ts'
import { answerOf, type Command } from '../commands/command.ts'
import { closeSession, getAuthCapabilities, getCipherSuites, setPrivilege, suiteNumbers, thisChannel, type AuthCapabilities } from '../commands/session.ts'
import { status, statusError } from '../completion.ts'
import { IpmiError } from '../error.ts'
import { authType, decode15, encode15 } from '../lan15.ts'
import { decodePlus, encodePlus, payloadType } from '../lanplus.ts'
import { decodeMessage, encodeMessage, isAnswerTo, request, type Decoded, type Message } from '../message.ts'
import { privilege } from '../privilege.ts'
import {
  additionalKeys, decodeOpenResponse, decodeRakp2, decodeRakp4, encodeOpenRequest, encodeRakp1, encodeRakp3, equal, nameOnly, rakp2Code, rakp3Code, rakp4Code, sessionKey, type Exchange
} from '../rakp.ts'
import { activate15 } from './opening15.ts'
import { createSession20, type Session } from './session.ts'
import type { Terms } from './terms.ts'

/** `packet` is called for every repetition. `silence`: what it means that no answer comes, where that means something; `otherwise`: how it goes on after two in vain. `tell`: goes out once, whatever becomes of it. */
export type Step =
  | { readonly kind: 'send', readonly packet: () => Buffer, readonly silence?: IpmiError, readonly otherwise?: () => Step }
  | { readonly kind: 'open', readonly session: Session }
  | { readonly kind: 'failed', readonly error: IpmiError, readonly tell?: Buffer }
/** What one opening learns for the next. */
export interface Known { capabilities?: AuthCapabilities, suites?: readonly number[] }

/** In this order, where the BMC may choose: what is encrypted first, and the stronger hash. */
const preferred = [17, 3, 16, 2]
const algorithmRefused: ReadonlySet<number> = new Set([status.invalidAuthentication, status.invalidIntegrity, status.confidentiality, status.noMatchingSuite, status.noMatchingAuthentication, status.noMatchingIntegrity])
export const failed = (error: IpmiError, tell?: Buffer): Step => tell === undefined ? { kind: 'failed', error } : { kind: 'failed', error, tell }

export class Opening {
  readonly terms: Terms
  readonly random: (bytes: number) => Buffer
  private readonly known: Known
  private readonly consoleId: number
  private tag: number
  private sequence: number
  private next: (datagram: Buffer) => Step | undefined = () => undefined

  /** `consoleId`: what the BMC's packets are to carry; must be hard to guess, for an answer that does not fit ends the attempt. */
  constructor (terms: Terms, known: Known, consoleId: number, random: (bytes: number) => Buffer) {
    this.terms = terms
    this.known = known
    this.consoleId = consoleId
    this.random = random
    const [tag = 0, sequence = 0] = random(2)
    this.tag = tag
    this.sequence = sequence & 0x3f
  }

  begin (): Step {
    const { lan, cipher } = this.terms
    if (lan === '2.0') return cipher === undefined ? this.askSuites() : this.open(cipher, [])
    return this.known.capabilities === undefined ? this.askCapabilities(true) : this.choose(this.known.capabilities)
  }

  /** Undefined: that was not an answer to what is being waited for. */
  take (datagram: Buffer): Step | undefined { return this.next(datagram) }

  private askCapabilities (v20: boolean): Step {
    return this.ask(getAuthCapabilities, { channel: thisChannel, v20, privilege: this.terms.privilege }, answer => {
      // A BMC of 1.5 may not know the bit that asks for 2.0.
      if (answer instanceof IpmiError) return v20 ? this.askCapabilities(false) : failed(answer)
      this.known.capabilities = answer
      return this.choose(answer)
    })
  }

  private choose (capabilities: AuthCapabilities): Step {
    const { lan, cipher } = this.terms
    if (lan === '1.5' || (lan === 'auto' && !capabilities.v20)) return activate15(this, capabilities)
    return cipher === undefined ? this.askSuites() : this.open(cipher, [])
  }

  private askSuites (): Step {
    if (this.known.suites !== undefined) return this.openBest(this.known.suites)
    const parts: Buffer[] = []
    const unknown = (): Step => { this.known.suites = []; return this.openBest([]) }
    const askPart = (index: number): Step => this.ask(getCipherSuites, { channel: thisChannel, index }, answer => {
      const part = answer instanceof IpmiError ? undefined : answer.part
      if (part !== undefined) parts.push(part)
      if (part?.length === 16 && index < 0x3f) return askPart(index + 1)
      this.known.suites = suiteNumbers(Buffer.concat(parts))
      return this.openBest(this.known.suites)
    }, unknown)
    return askPart(0)
  }

  private openBest (offered: readonly number[]): Step {
    if (offered.length === 0) return this.open(3, [17]) // it does not say: 3 is what every BMC of 2.0 must have
    const [best, ...others] = preferred.filter(number => offered.includes(number))
    return best === undefined ? failed(new IpmiError('unsupported', `it offers no cipher suite that is signed and known here, but ${offered.join(', ')}`)) : this.open(best, others)
  }

  private open (number: number, others: readonly number[]): Step {
    const suite = suiteNumbered(number)
    if (suite === undefined) return failed(new IpmiError('parameter', `cipher suite ${number} is not known here`))
    const { authentication, integrity, confidentiality } = suite
    return this.payload(payloadType.openRequest, tag => encodeOpenRequest({ tag, privilege: this.terms.privilege, consoleId: this.consoleId, authentication: authentication.number, integrity: integrity.number, confidentiality: confidentiality.number }), payloadType.openResponse, decodeOpenResponse, answer => {
      const [other, ...rest] = others
      if (algorithmRefused.has(answer.status) && other !== undefined) return this.open(other, rest)
      if (answer.status !== status.ok) return failed(statusError('opening the session', answer.status))
      if (answer.authentication !== authentication.number || answer.integrity !== integrity.number || answer.confidentiality !== confidentiality.number || answer.systemId === undefined) return failed(new IpmiError('unsupported', `it does not take cipher suite ${number} as it is`))
      return this.prove(suite, answer.systemId)
    })
  }

  private prove (suite: Suite, systemId: number): Step {
    const { authentication } = suite
    const { user, password, kg } = this.terms
    const [consoleRandom, role] = [this.random(16), nameOnly | this.terms.privilege]
    return this.payload(payloadType.rakp1, tag => encodeRakp1({ tag, systemId, random: consoleRandom, role, user }), payloadType.rakp2, decodeRakp2, answer => {
      if (answer.status !== status.ok) return failed(statusError('RAKP 2', answer.status))
      const exchange: Exchange = { consoleId: this.consoleId, systemId, consoleRandom, systemRandom: Buffer.from(answer.random), guid: Buffer.from(answer.guid), role, user }
      if (!equal(answer.code, rakp2Code(authentication, password, exchange))) return failed(new IpmiError('authentication', 'the password is wrong', status.integrityCheck), encodePlus(payloadType.rakp3, encodeRakp3({ tag: this.tag, status: status.integrityCheck, systemId, code: password.subarray(0, 0) })))
      const sik = sessionKey(authentication, kg ?? password, exchange)
      return this.payload(payloadType.rakp3, tag => encodeRakp3({ tag, status: status.ok, systemId, code: rakp3Code(authentication, password, exchange) }), payloadType.rakp4, decodeRakp4, last => {
        if (last.status !== status.ok) return failed(statusError('RAKP 4', last.status))
        if (!equal(last.code, rakp4Code(authentication, sik, exchange))) return failed(new IpmiError('authentication', kg === undefined ? 'it has a key (K_g) of its own, which must be given' : 'the key (K_g) is wrong', status.integrityCheck))
        return this.raise(createSession20({ suite, consoleId: this.consoleId, systemId, ...additionalKeys(authentication, sik), random: this.random }))
      })
    })
  }

  /** A session begins with what users may; the rest has to be asked for. */
  raise (session: Session): Step {
    if (this.terms.privilege <= privilege.user) return { kind: 'open', session }
    return this.exchange(setPrivilege, this.terms.privilege, message => session.seal(message), datagram => session.open(datagram), answer => {
      if (!(answer instanceof IpmiError) && answer >= this.terms.privilege) return { kind: 'open', session }
      return failed(answer instanceof IpmiError ? answer : new IpmiError('authentication', 'the user may not have this privilege level'), session.seal(request(closeSession.netFn, closeSession.command, closeSession.request.encode(session.systemId), this.turn())))
    })
  }

  /** One command outside a session, which goes as IPMI 1.5 does; its answer may come as that of 2.0, too (pyghmi's BMC does so). */
  ask<Q, A> (command: Command<Q, A>, value: Q, then: (answer: A | IpmiError) => Step, otherwise?: () => Step): Step {
    const step = this.exchange(command, value, message => encode15({ authType: authType.none, sequence: 0, sessionId: 0, message: encodeMessage(message) }), datagram => {
      const plus = decodePlus(datagram)
      if (plus !== undefined) return plus.sessionId === 0 && plus.payloadType === payloadType.ipmi && !plus.encrypted && !plus.authenticated ? decodeMessage(plus.payload) : undefined
      const packet = decode15(datagram)
      return packet === undefined || packet.sessionId !== 0 ? undefined : decodeMessage(packet.message)
    }, then)
    return step.kind === 'send' && otherwise !== undefined ? { ...step, otherwise } : step
  }

  exchange<Q, A> (command: Command<Q, A>, value: Q, seal: (message: Message) => Buffer, open: (datagram: Buffer) => Decoded | undefined, then: (answer: A | IpmiError) => Step): Step {
    const message = request(command.netFn, command.command, command.request.encode(value), this.turn())
    this.next = datagram => {
      const answer = open(datagram)
      if (answer === undefined || !isAnswerTo(message, answer)) return undefined
      return then(attempt(() => answerOf(command, answer.data)))
    }
    return { kind: 'send', packet: () => seal(message) }
  }

  private payload<A extends { readonly tag: number, readonly consoleId: number | undefined, readonly status: number }> (type: number, encode: (tag: number) => Buffer, expected: number, decode: (bytes: Buffer) => A | undefined, then: (answer: A) => Step): Step {
    const tag = this.tag = this.tag + 1 & 0xff
    const datagram = encodePlus(type, encode(tag))
    this.next = received => {
      const packet = decodePlus(received)
      if (packet?.payloadType !== expected || packet.sessionId !== 0) return undefined
      const answer = decode(packet.payload)
      if (answer === undefined || answer.tag !== tag || (answer.consoleId ?? this.consoleId) !== this.consoleId) return undefined
      return then(answer)
    }
    return { kind: 'send', packet: () => datagram }
  }

  private turn (): number { return this.sequence = this.sequence + 1 & 0x3f }
}

function attempt<T> (work: () => T): T | IpmiError {
  try { return work() } catch (error) { if (error instanceof IpmiError) return error; throw error }
}
