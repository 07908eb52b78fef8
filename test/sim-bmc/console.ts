/** The console's side of IPMI 2.0 over UDP, step by step, for tests: it repeats nothing and shows what it gets. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { field } from '../../ipmi/bytes.ts'
import { suiteNumbered } from '../../ipmi/ciphers.ts'
import { statusError } from '../../ipmi/completion.ts'
import { createProtection, decodePlus, encodePlus, payloadType } from '../../ipmi/lanplus.ts'
import { decodeMessage, encodeMessage, request } from '../../ipmi/message.ts'
import { additionalKeys, decodeOpenResponse, decodeRakp2, decodeRakp4, encodeOpenRequest, encodeRakp1, encodeRakp3, nameOnly, passwordLength, rakp2Code, rakp3Code, rakp4Code, sessionKey } from '../../ipmi/rakp.ts'

type Numbers = readonly [netFn: number, command: number]
export interface Console {
  readonly sessionId: number
  /** The answer's data, the completion code first. Rejects when none comes that can be believed; with `the first`, when the first that comes cannot be. */
  ask(numbers: Numbers, data?: readonly number[], which?: 'the first'): Promise<Buffer>
  /** True when `work` got no answer. */
  silence(work: () => Promise<unknown>): Promise<boolean>
  send(datagram: Uint8Array): void
  /** Sends these bytes as they are; the next datagram that comes. */
  raw(datagram: Uint8Array): Promise<Buffer>
  /** Sends what was sent last once more; true when it is answered. */
  replay(): Promise<boolean>
  close(): void
}
export interface ConsoleOptions { readonly host?: string, readonly user?: string, readonly password?: string, readonly suite?: number, readonly privilege?: number, readonly raise?: boolean, readonly kg?: string }
const patience = { answer: 5_000, silence: 120 } // ms for an answer on loopback
class Silence extends Error {}

/** Logs in, and raises the privilege to what was asked for. Rejects with what the BMC says against it. */
export async function openConsole (port: number, { host = '127.0.0.1', user = 'admin', password = 'password', suite: id = 3, privilege = 4, raise = true, kg }: ConsoleOptions = {}): Promise<Console> {
  const suite = suiteNumbered(id)!
  const socket = createSocket('udp4')
  await new Promise<void>((resolve, reject) => { socket.once('error', reject); socket.bind(0, '127.0.0.1', () => { resolve() }) })
  const heard: Buffer[] = []
  let wake = (): void => {}
  let expected: keyof typeof patience = 'answer'
  socket.on('message', datagram => { heard.push(datagram); wake() })
  const next = async (): Promise<Buffer> => {
    if (heard.length === 0) await new Promise<void>((resolve, reject) => { const timer = setTimeout(() => { reject(new Silence('no answer')) }, patience[expected]); wake = () => { clearTimeout(timer); resolve() } })
    return heard.shift()!
  }
  const send = (datagram: Uint8Array): void => { socket.send(datagram, port, host) }
  const raw = async (datagram: Uint8Array): Promise<Buffer> => { heard.length = 0; send(datagram); return await next() }
  const close = (): void => { socket.close() }
  const step = async <T>(type: number, payload: Buffer, decode: (bytes: Buffer) => T | undefined): Promise<T> => {
    const packet = decodePlus(await raw(encodePlus(type, payload)))
    const answer = packet === undefined ? undefined : decode(packet.payload)
    if (answer === undefined) throw new Silence('an answer that is none')
    return answer
  }
  const good = ({ status }: { readonly status: number }): void => { if (status !== 0) throw statusError('the login', status) }
  try {
    const consoleId = randomBytes(4).readUInt32LE()
    const opened = await step(payloadType.openRequest, encodeOpenRequest({ tag: 1, privilege, consoleId, authentication: suite.authentication.number, integrity: suite.integrity.number, confidentiality: suite.confidentiality.number }), decodeOpenResponse)
    good(opened)
    const systemId = opened.systemId!
    const [consoleRandom, role, name] = [randomBytes(16), privilege | nameOnly, Buffer.from(user)]
    const second = await step(payloadType.rakp1, encodeRakp1({ tag: 2, systemId, random: consoleRandom, role, user: name }), decodeRakp2)
    good(second)
    const exchange = { consoleId, systemId, consoleRandom, systemRandom: second.random, guid: second.guid, role, user: name }
    const secret = field(password, passwordLength)
    const proven = rakp2Code(suite.authentication, secret, exchange).equals(second.code)
    const fourth = await step(payloadType.rakp3, encodeRakp3({ tag: 3, status: 0, systemId, code: rakp3Code(suite.authentication, secret, exchange) }), decodeRakp4)
    good(fourth)
    const sik = sessionKey(suite.authentication, kg === undefined ? secret : Buffer.from(kg), exchange)
    if (!proven || !rakp4Code(suite.authentication, sik, exchange).equals(fourth.code)) throw new Error('the BMC does not prove that it knows the password and the key')
    const { k1, k2 } = additionalKeys(suite.authentication, sik)
    const protection = createProtection(suite, k1, k2, randomBytes)
    let [sequence, seq] = [0, 0]
    let sent: Buffer = Buffer.alloc(0)
    const ask = async ([netFn, command]: Numbers, data: readonly number[] = [], which?: 'the first'): Promise<Buffer> => {
      seq = (seq + 1) % 64
      sent = protection.seal(payloadType.ipmi, systemId, ++sequence, encodeMessage(request(netFn, command, Buffer.from(data), seq)))
      heard.length = 0
      send(sent)
      for (;;) {
        const datagram = await next()
        const packet = decodePlus(datagram)
        const payload = packet?.sessionId === consoleId ? protection.open(datagram, packet) : undefined
        const message = payload === undefined ? undefined : decodeMessage(payload)
        if (message?.seq === seq && message.command === command) return message.data
        if (which !== undefined) throw new Error('what came cannot be believed')
      }
    }
    const silence = async (work: () => Promise<unknown>): Promise<boolean> => {
      expected = 'silence'
      try { await work(); return false } catch (error) { if (error instanceof Silence) return true; throw error } finally { expected = 'answer' }
    }
    if (raise) await ask([0x06, 0x3b], [privilege])
    return {
      sessionId: systemId, ask, raw, send, close, silence,
      replay: async () => !await silence(() => raw(sent))
    }
  } catch (error) { close(); throw error }
}
