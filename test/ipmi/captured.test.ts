/** The codec against what programs by others said to each other: every signature is worked out again, every message read. */
import { describe, expect, test } from 'vitest'
import { suiteOf } from '../../ipmi/ciphers.ts'
import { answerOf } from '../../ipmi/commands/command.ts'
import { getChassisStatus } from '../../ipmi/commands/chassis.ts'
import { getDeviceId, getSystemGuid, guessGuidOrder, uuidOf } from '../../ipmi/commands/device.ts'
import { activateSession, getAuthCapabilities, getSessionChallenge } from '../../ipmi/commands/session.ts'
import { authType, decode15, encode15, verify15 } from '../../ipmi/lan15.ts'
import { createProtection, decodePlus, encodePlus, payloadType } from '../../ipmi/lanplus.ts'
import { decodeMessage, encodeMessage } from '../../ipmi/message.ts'
import {
  additionalKeys, decodeOpenRequest, decodeOpenResponse, decodeRakp1, decodeRakp2, decodeRakp3, decodeRakp4, encodeOpenRequest, encodeOpenResponse, encodeRakp1, encodeRakp2, encodeRakp3, encodeRakp4, rakp2Code, rakp3Code, rakp4Code, sessionKey, type Exchange
} from '../../ipmi/rakp.ts'
import { decodeAsf, encodePing, encodePong } from '../../ipmi/rmcp.ts'
import { md5, suite17, suite3, type Captured } from './captured.ts'

const bytes = ([, datagram]: Captured): Buffer => Buffer.from(datagram, 'hex')
function there<T> (value: T | undefined): T {
  expect(value).toBeDefined()
  return value as T
}

describe.each([
  { name: 'suite 3', captured: suite3, password: 'secret', kg: undefined, suite: 3, said: ['06/3b', '2c/3e', '06/01', '2c/00', '2c/00', '06/37', '06/3c'] },
  { name: 'suite 17 with K_g', captured: suite17, password: 'secret of 20 bytes!!', kg: 'a key of twenty byte', suite: 17, said: ['06/3b', '2c/3e', '06/01', '2c/00', '2c/00', '00/01', '06/3c'] }
])('$name', ({ captured, password, kg, suite: number, said }) => {
  const [, , openRequest, openResponse, rakp1, rakp2, rakp3, rakp4, ...session] = captured.map(bytes)
  const payload = (datagram: Buffer | undefined): Buffer => there(decodePlus(there(datagram))).payload
  const [asked, told] = [there(decodeOpenRequest(payload(openRequest))), there(decodeOpenResponse(payload(openResponse)))]
  const [first, second, third, fourth] = [there(decodeRakp1(payload(rakp1))), there(decodeRakp2(payload(rakp2))), there(decodeRakp3(payload(rakp3))), there(decodeRakp4(payload(rakp4)))]
  const suite = there(suiteOf(asked.authentication, asked.integrity, asked.confidentiality))
  const exchange: Exchange = { consoleId: asked.consoleId, systemId: there(told.systemId), consoleRandom: first.random, systemRandom: second.random, guid: second.guid, role: first.role, user: first.user }
  const key = Buffer.from(password)
  const sik = sessionKey(suite.authentication, kg === undefined ? key : Buffer.from(kg), exchange)
  const { k1, k2 } = additionalKeys(suite.authentication, sik)
  const protection = createProtection(suite, k1, k2, count => Buffer.alloc(count))

  test('what either side proves itself with is what is worked out here', () => {
    expect(suite.id).toBe(number)
    expect(rakp2Code(suite.authentication, key, exchange)).toEqual(second.code)
    expect(rakp3Code(suite.authentication, key, exchange)).toEqual(third.code)
    expect(rakp4Code(suite.authentication, sik, exchange)).toEqual(fourth.code)
  })

  test('the opening, written again from what was read, is the same datagrams', () => {
    expect(encodePlus(payloadType.openRequest, encodeOpenRequest(asked))).toEqual(openRequest)
    expect(encodePlus(payloadType.openResponse, encodeOpenResponse(told))).toEqual(openResponse)
    expect(encodePlus(payloadType.rakp1, encodeRakp1(first))).toEqual(rakp1)
    expect(encodePlus(payloadType.rakp2, encodeRakp2(second))).toEqual(rakp2)
    expect(encodePlus(payloadType.rakp3, encodeRakp3(third))).toEqual(rakp3)
    expect(encodePlus(payloadType.rakp4, encodeRakp4(fourth))).toEqual(rakp4)
  })

  test('every packet of the session is verified, deciphered and read, and sealed anew with its own IV it is the same', () => {
    const commands = session.map(datagram => {
      const packet = there(decodePlus(datagram))
      const clear = there(protection.open(datagram, packet))
      const message = there(decodeMessage(clear))
      const again = createProtection(suite, k1, k2, () => packet.payload.subarray(0, 16)).seal(packet.payloadType, packet.sessionId, packet.sequence, encodeMessage(message))
      expect(again).toEqual(datagram)
      return message
    })
    expect(commands.filter(({ netFn }) => netFn % 2 === 0).map(({ netFn, command }) => [netFn, command].map(one => one.toString(16).padStart(2, '0')).join('/'))).toEqual(said)
    const answer = (netFn: number, command: number): Buffer => there(commands.find(one => one.netFn === (netFn | 1) && one.command === command)).data as Buffer
    expect(answerOf(getDeviceId, answer(getDeviceId.netFn, getDeviceId.command)).ipmi).toBe('2.0')
    if (number === 17) expect(answerOf(getChassisStatus, answer(getChassisStatus.netFn, getChassisStatus.command)).on).toBe(false)
    else {
      const guid = answerOf(getSystemGuid, answer(getSystemGuid.netFn, getSystemGuid.command))
      // What ipmitool printed for it: GUID Encoding: IPMI
      expect(uuidOf(guid, guessGuidOrder(guid) ?? 'smbios')).toBe('efcdab89-6745-23a1-efcd-ab89674523a1')
    }
  })

  test('one wrong bit anywhere, or one byte too few, and nothing is read', () => {
    const datagram = there(session[1])
    for (let bit = 4 * 8; bit < datagram.length * 8; bit++) {
      const wrong = Buffer.from(datagram)
      wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ 1 << (bit & 7)
      const packet = decodePlus(wrong)
      expect(packet === undefined ? undefined : protection.open(wrong, packet), `bit ${bit}`).toBeUndefined()
    }
    for (let length = 0; length < datagram.length; length++) {
      const short = datagram.subarray(0, length)
      const packet = decodePlus(short)
      expect(packet === undefined ? undefined : protection.open(short, packet), `${length} bytes`).toBeUndefined()
    }
  })
})

describe('IPMI 1.5 with MD5', () => {
  const [ping, pong, ...packets] = md5.map(bytes)
  test('presence ping and pong', () => {
    expect(decodeAsf(there(ping))).toEqual({ kind: 'ping', tag: 0 })
    expect(decodeAsf(there(pong))).toEqual({ kind: 'pong', tag: 0, ipmi: true, oem: 4542 })
    expect(encodePing(0)).toEqual(ping)
    expect(encodePong({ tag: 0, ipmi: true, oem: 4542 })).toEqual(pong)
  })
  test('every code is verified, and written again it is the same datagram', () => {
    for (const datagram of packets) {
      const packet = there(decode15(datagram))
      expect(verify15(packet, 'secret')).toBe(true)
      if (packet.authType !== authType.none) expect(verify15(packet, 'Secret')).toBe(false)
      const { code: _, ...rest } = packet
      expect(encode15(rest, 'secret')).toEqual(datagram)
      expect(encodeMessage(there(decodeMessage(packet.message)))).toEqual(packet.message)
    }
  })
  test('what the BMC said of itself and the session', () => {
    const answers = packets.map(datagram => there(decodeMessage(there(decode15(datagram)).message))).filter(({ netFn }) => netFn % 2 === 1)
    const answer = ({ netFn, command }: { readonly netFn: number, readonly command: number }): Buffer => there(answers.find(one => one.netFn === (netFn | 1) && one.command === command)).data
    expect(answerOf(getAuthCapabilities, answer(getAuthCapabilities))).toMatchObject({ types: { none: true, md2: true, md5: true, password: true, oem: false }, v15: true, v20: false, perMessage: true })
    expect(answerOf(getSessionChallenge, answer(getSessionChallenge)).challenge.toString('hex')).toBe('ca6f59ea0473e37df0aa36eedcbc8491')
    expect(answerOf(activateSession, answer(activateSession))).toEqual({ authType: authType.md5, sessionId: 0x1002, sequence: 0x12c7ef38, privilege: 3 })
    expect(answerOf(getChassisStatus, answer(getChassisStatus))).toMatchObject({ on: true, fault: false })
  })
})
