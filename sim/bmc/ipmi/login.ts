/** The managed system's side of an RMCP+ login: Open Session and RAKP (IPMI 2.0 sections 13.17 to 13.24). No socket. */
import { randomBytes } from 'node:crypto'
import { field } from '../../../ipmi/bytes.ts'
import { status } from '../../../ipmi/completion.ts'
import { createProtection, payloadType } from '../../../ipmi/lanplus.ts'
import { privilege } from '../../../ipmi/privilege.ts'
import { additionalKeys, decodeOpenRequest, decodeRakp1, decodeRakp3, encodeOpenResponse, encodeRakp2, encodeRakp4, equal, nameOnly, passwordLength, rakp2Code, rakp3Code, rakp4Code, sessionKey, suiteAsked } from '../../../ipmi/rakp.ts'
import type { Account, Model } from '../model.ts'
import type { IpmiSessions } from './sessions.ts'

/** What a BMC logs people in with. */
export interface Door { readonly model: Model, readonly sessions: IpmiSessions, /** K_g; undefined: it has none. */ readonly kg: Buffer | undefined, readonly guid: Buffer }
export interface Payload { readonly type: number, readonly payload: Buffer }

export const levelOf = ({ privilege: level = 'administrator' }: Account): number => privilege[level]
const none = Buffer.alloc(0)

/** The answer to a payload of a login; undefined for what is none, or means nothing here. */
export function login (door: Door, type: number, payload: Buffer): Payload | undefined {
  switch (type) {
    case payloadType.openRequest: return openSession(door, payload)
    case payloadType.rakp1: return rakp1(door, payload)
    case payloadType.rakp3: return rakp3(door, payload)
    default: return undefined
  }
}

function openSession ({ model, sessions }: Door, bytes: Buffer): Payload | undefined {
  const asked = decodeOpenRequest(bytes)
  if (asked === undefined) return undefined
  const { tag, consoleId } = asked
  const answer = (code: number, rest = {}): Payload => ({ type: payloadType.openResponse, payload: encodeOpenResponse({ tag, status: code, consoleId, ...rest }) })
  const suite = suiteAsked(asked)
  if (suite === undefined || !model.profile.ipmi.suites.includes(suite.id)) return answer(status.noMatchingSuite)
  if (asked.privilege > privilege.administrator) return answer(status.invalidRole)
  const session = model.faults.exhausted ? undefined : sessions.open('2.0', { consoleId, suite })
  if (session === undefined) return answer(status.noResources)
  const { authentication, integrity, confidentiality } = asked
  return answer(status.ok, { privilege: asked.privilege === 0 ? privilege.administrator : asked.privilege, systemId: session.id, authentication, integrity, confidentiality })
}

function rakp1 ({ model, sessions, guid }: Door, bytes: Buffer): Payload | undefined {
  const asked = decodeRakp1(bytes)
  if (asked === undefined) return undefined
  const { tag, role, user } = asked
  const session = sessions.find(asked.systemId)
  const refuse = (code: number): Payload => {
    if (session !== undefined) sessions.end(session.id)
    return { type: payloadType.rakp2, payload: encodeRakp2({ tag, status: code, consoleId: session?.consoleId ?? 0, random: none, guid: none, code: none }) }
  }
  if (session?.suite === undefined || session.active) return refuse(status.invalidSession)
  const account = model.account(user.toString())
  if (account === undefined) return refuse(status.unknownUser)
  const wanted = role & 0x0f
  if (wanted > levelOf(account)) return refuse((role & nameOnly) === 0 ? status.unknownUser : status.invalidRole)
  const { authentication } = session.suite
  // asked again, because the answer was lost: the same answer
  const systemRandom = session.exchange?.consoleRandom.equals(asked.random) === true ? session.exchange.systemRandom : randomBytes(16)
  const exchange = { consoleId: session.consoleId, systemId: session.id, consoleRandom: Buffer.from(asked.random), systemRandom, guid, role, user: Buffer.from(user) }
  session.exchange = exchange
  session.account = account
  session.highest = wanted === 0 ? levelOf(account) : wanted
  return { type: payloadType.rakp2, payload: encodeRakp2({ tag, status: status.ok, consoleId: session.consoleId, random: systemRandom, guid, code: rakp2Code(authentication, field(account.password, passwordLength), exchange) }) }
}

function rakp3 ({ sessions, kg }: Door, bytes: Buffer): Payload | undefined {
  const asked = decodeRakp3(bytes)
  if (asked === undefined) return undefined
  const session = sessions.find(asked.systemId)
  const answer = (code: number, check: Buffer = none): Payload => {
    if (code !== status.ok && session !== undefined) sessions.end(session.id)
    return { type: payloadType.rakp4, payload: encodeRakp4({ tag: asked.tag, status: code, consoleId: session?.consoleId ?? 0, code: check }) }
  }
  if (session?.suite === undefined || session.exchange === undefined || session.account === undefined) return answer(status.invalidSession)
  const { suite: { authentication }, suite, exchange, account } = session
  if (asked.status !== status.ok) { sessions.end(session.id); return undefined } // the console does not trust us: it waits for nothing
  const password = field(account.password, passwordLength)
  if (!equal(rakp3Code(authentication, password, exchange), asked.code)) return answer(status.integrityCheck)
  if (!session.active) {
    session.sik = sessionKey(authentication, kg ?? password, exchange)
    const { k1, k2 } = additionalKeys(authentication, session.sik)
    session.protection = createProtection(suite, k1, k2, randomBytes)
    session.privilege = Math.min(privilege.user, session.highest)
    session.active = true
  }
  return answer(status.ok, rakp4Code(authentication, session.sik ?? none, exchange))
}
