/** A session of IPMI 1.5: Get Session Challenge, Activate Session. IPMI 2.0 sections 6.12.6 and 22.16 to 22.17. */
import { activateSession, getSessionChallenge, type AuthCapabilities } from '../commands/session.ts'
import { IpmiError } from '../error.ts'
import { authType, decode15, encode15, password15Length, verify15 } from '../lan15.ts'
import { decodeMessage, encodeMessage } from '../message.ts'
import { failed, type Opening, type Step } from './opening.ts'
import { createSession15 } from './session.ts'

export function activate15 (opening: Opening, { types, perMessage }: AuthCapabilities): Step {
  const { terms: { user, password, privilege, lan } } = opening
  const type = types.md5 ? authType.md5 : types.password && lan === '1.5' ? authType.password : undefined
  if (type === undefined) return failed(new IpmiError('unsupported', types.password ? 'it does IPMI 1.5 only, and takes passwords only in the clear; ask for 1.5 explicitly to allow that' : 'it does IPMI 1.5 only, and none of its ways to authenticate is known here'))
  if (password.length > password15Length) return failed(new IpmiError('parameter', `the password is longer than the ${password15Length} bytes IPMI 1.5, all this BMC does, has room for`))
  return opening.ask(getSessionChallenge, { authType: type, user: user.toString() }, answer => {
    if (answer instanceof IpmiError) return failed(answer)
    const { sessionId, challenge } = answer
    const first = (opening.random(4).readUInt32LE() & 0x7fffffff) || 1 // of the BMC's numbers
    const step = opening.exchange(activateSession, { authType: type, privilege, challenge: Buffer.from(challenge), sequence: first },
      message => encode15({ authType: type, sequence: 0, sessionId, message: encodeMessage(message) }, password),
      datagram => {
        const packet = decode15(datagram)
        // A refusal may come without a code: it opens nothing.
        if (packet === undefined || !verify15(packet, password)) return undefined
        const message = decodeMessage(packet.message)
        return packet.authType === type || message?.data[0] !== 0 ? message : undefined
      },
      activated => {
        if (activated instanceof IpmiError) return failed(activated)
        return opening.raise(createSession15({ type, perMessage: perMessage && activated.authType !== authType.none, sessionId: activated.sessionId, sequence: activated.sequence, password }))
      })
    // Many BMCs drop what has a wrong code, and that is all one sees of it.
    return step.kind === 'send' ? { ...step, silence: new IpmiError('authentication', 'it knows the user and does not answer the activation of the session, which is how BMCs of IPMI 1.5 refuse a password') } : step
  })
}
