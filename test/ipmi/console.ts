/** What a console said, read off the wire: its commands, outside sessions and in those that are not encrypted. */
import { decode15 } from '../../ipmi/lan15.ts'
import { decodePlus, payloadType } from '../../ipmi/lanplus.ts'
import { decodeMessage } from '../../ipmi/message.ts'
import { decodeOpenRequest, decodeRakp1 } from '../../ipmi/rakp.ts'
import type { Passed } from './relay.ts'

const hex = (value: number): string => value.toString(16).padStart(2, '0')
/** The fields a console chooses; its random numbers are its own. */
function opening (type: number, payload: Buffer): string {
  const open = type === payloadType.openRequest ? decodeOpenRequest(payload) : undefined
  if (open !== undefined) return `open: privilege ${open.privilege}, algorithms ${open.authentication} ${open.integrity} ${open.confidentiality}, ${payload.length} bytes`
  const rakp1 = type === payloadType.rakp1 ? decodeRakp1(payload) : undefined
  if (rakp1 !== undefined) return `RAKP 1: role ${hex(rakp1.role)}, user ${rakp1.user.toString()}, ${payload.length} bytes`
  return `payload ${hex(type)}: ${payload.length} bytes`
}
/** `netFn/command data`, all hexadecimal, or the name and the fields of a datagram of the session's opening; `before` and `in` a session. Repetitions are told once. */
export function commandsOf (passed: readonly Passed[]): { readonly before: string[], readonly in: string[] } {
  const told = { before: [] as string[], in: [] as string[] }
  const say = (place: string[], line: string): void => { if (place.at(-1) !== line) place.push(line) }
  for (const { from, datagram } of passed) {
    if (from === 'bmc') continue
    const plus = decodePlus(datagram)
    const packet = plus ?? decode15(datagram)
    if (packet === undefined) continue
    if (plus !== undefined && plus.payloadType !== payloadType.ipmi) { say(told.before, opening(plus.payloadType, plus.payload)); continue }
    const message = decodeMessage('payload' in packet ? packet.payload : packet.message)
    if (message === undefined) continue
    say(packet.sessionId === 0 ? told.before : told.in, `${hex(message.netFn)}/${hex(message.command)} ${message.data.toString('hex')}`.trimEnd())
  }
  return told
}
