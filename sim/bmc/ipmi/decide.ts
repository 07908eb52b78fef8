/** What an IPMI BMC answers to one datagram: presence, logins of both versions, commands in a session. No socket. */
import { randomBytes } from 'node:crypto'
import { completion } from '../../../ipmi/completion.ts'
import { activateSession, getSessionChallenge } from '../../../ipmi/commands/session.ts'
import { IpmiError } from '../../../ipmi/error.ts'
import { authType, decode15, encode15, password15Length, verify15, type Packet15 } from '../../../ipmi/lan15.ts'
import { decodePlus, encodePlus, payloadType } from '../../../ipmi/lanplus.ts'
import { decodeMessage, encodeMessage, response, type Decoded } from '../../../ipmi/message.ts'
import { privilege } from '../../../ipmi/privilege.ts'
import { classOf, decodeAsf, encodePong } from '../../../ipmi/rmcp.ts'
import { takes } from '../faults.ts'
import { appCommands } from './app.ts'
import { chassisCommands } from './chassis.ts'
import { answering, refused, type Context, type Done, type Handler } from './command.ts'
import { lanCommands } from './lan.ts'
import { levelOf, login, type Door } from './login.ts'
import { isNew, type IpmiSession } from './sessions.ts'
import { storageCommands } from './storage.ts'

/** What stays the same from datagram to datagram. */
export type Station = Omit<Context, 'session'> & Door

/** IPMI 1.5 logs in by commands (sections 22.16 and 22.17). */
const login15: readonly Handler[] = [
  answering(getSessionChallenge, 'anybody', ({ authType: type, user }, { model, sessions }) => {
    if (!model.profile.ipmi.lan15 || (type !== authType.md5 && type !== authType.password)) return refused(completion.invalidField)
    const account = model.account(user)
    if (account === undefined) return refused(0x81)
    const session = model.faults.exhausted ? undefined : sessions.open('1.5', { account, authType: type, challenge: randomBytes(16) })
    return session === undefined ? refused(completion.outOfSpace) : { sessionId: session.id, challenge: session.challenge ?? Buffer.alloc(16) }
  }),
  answering(activateSession, 'anybody', ({ privilege: wanted, challenge, sequence }, { session }) => {
    if (session?.challenge === undefined || session.account === undefined || session.authType === undefined) return refused(0x85)
    if (!challenge.equals(session.challenge)) return refused(completion.invalidField)
    if (wanted > levelOf(session.account)) return refused(0x86)
    session.highest = wanted
    session.privilege = Math.min(privilege.user, wanted)
    session.sent = sequence - 1 >>> 0
    session.active = true
    return { authType: session.authType, sessionId: session.id, sequence: 1, privilege: wanted }
  })
]
const handlers = new Map([...appCommands, ...login15, ...chassisCommands, ...storageCommands, ...lanCommands].map(handler => [handler.netFn << 8 | handler.command, handler]))
/** Whatever is wrong with a BMC, sessions begin and end as they should. */
const undisturbed = new Set(['Set Session Privilege Level', 'Close Session', 'Activate Session', 'Get Session Challenge', 'Get Channel Authentication Capabilities', 'Get Channel Cipher Suites'])

/** The answering datagram; undefined: none. */
export function decide (station: Station, datagram: Buffer): Buffer | undefined {
  const kind = classOf(datagram)
  if (kind === 'asf') {
    const presence = decodeAsf(datagram)
    return presence?.kind === 'ping' ? encodePong({ tag: presence.tag, ipmi: true, oem: 4542 }) : undefined
  }
  if (kind !== 'ipmi') return undefined
  const old = decode15(datagram)
  if (old !== undefined) return decide15(station, old)
  const packet = decodePlus(datagram)
  if (packet === undefined) return undefined
  if (packet.payloadType !== payloadType.ipmi) {
    const answer = login(station, packet.payloadType, packet.payload)
    if (answer !== undefined) station.model.heard(`ipmi ${({ [payloadType.openResponse]: 'Open Session', [payloadType.rakp2]: 'RAKP 1', [payloadType.rakp4]: 'RAKP 3' })[answer.type] ?? ''}`)
    return answer === undefined ? undefined : encodePlus(answer.type, answer.payload)
  }
  if (packet.sessionId === 0 && !packet.encrypted && !packet.authenticated) { // what may be asked outside a session, in the new form
    const answer = answerTo(station, packet.payload, undefined)
    return answer === undefined ? undefined : encodePlus(payloadType.ipmi, answer)
  }
  const session = station.sessions.find(packet.sessionId)
  if (session?.protection === undefined || !session.active) return undefined
  const payload = session.protection.open(datagram, packet)
  if (payload === undefined || !isNew(session.heard, packet.sequence)) return undefined
  const answer = answerTo(station, payload, session)
  if (answer === undefined) return undefined
  session.sent = session.sent + 1 >>> 0 || 1
  const sealed = session.protection.seal(payloadType.ipmi, session.consoleId, session.sent, answer)
  if (station.model.faults.wrongIntegrity) sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 0xff
  return sealed
}

function decide15 (station: Station, packet: Packet15): Buffer | undefined {
  if (packet.sessionId === 0) {
    const answer = answerTo(station, packet.message, undefined)
    return answer === undefined ? undefined : encode15({ authType: authType.none, sequence: 0, sessionId: 0, message: answer })
  }
  const session = station.sessions.find(packet.sessionId)
  if (session?.version !== '1.5' || session.account === undefined || packet.authType !== session.authType) return undefined
  const password = Buffer.from(session.account.password).subarray(0, password15Length)
  if (!verify15(packet, password) || (session.active && !isNew(session.heard, packet.sequence))) return undefined
  const answer = answerTo(station, packet.message, session)
  if (answer === undefined) return undefined
  session.sent = session.sent + 1 >>> 0 || 1
  const sealed = encode15({ authType: packet.authType, sequence: session.sent, sessionId: session.id, message: answer }, password)
  if (station.model.faults.wrongIntegrity) sealed[13] = (sealed[13] ?? 0) ^ 0xff
  return sealed
}

function answerTo (station: Station, payload: Buffer, session: IpmiSession | undefined): Buffer | undefined {
  const message = decodeMessage(payload)
  if (message === undefined || (message.netFn & 1) === 1) return undefined
  const { code, data, lost } = carryOut(station, message, session)
  return lost === true ? undefined : encodeMessage(response(message, code, code === 0 ? data : Buffer.alloc(0)))
}

function carryOut ({ model, ...station }: Station, { netFn, command, data, toLun }: Decoded, session: IpmiSession | undefined): Done {
  const handler = toLun === 0 ? handlers.get(netFn << 8 | command) : undefined
  if (handler === undefined) return refused(completion.invalidCommand)
  model.heard(`ipmi ${handler.name}${handler.name.startsWith('Chassis Control') || handler.name.startsWith('Set System Boot') ? ` ${data.toString('hex')}` : ''}`)
  if (handler.level > 0 && (session?.active !== true || session.privilege < handler.level)) return refused(completion.privilege)
  if (handler.name === 'Activate Session' && session?.active === true) return refused(0x85)
  if (!undisturbed.has(handler.name)) {
    if (takes(model.faults, 'busy')) return refused(completion.busy)
    if (model.faults.completion !== 0) return refused(model.faults.completion)
  }
  try { return handler.run(data, { model, ...station, session }) } catch (error) {
    if (error instanceof IpmiError) return refused(completion.requestLength)
    throw error
  }
}
