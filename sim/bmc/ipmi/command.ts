/** How a simulated BMC answers a command. */
import type { Command } from '../../../ipmi/commands/command.ts'
import { privilege } from '../../../ipmi/privilege.ts'
import type { Model } from '../model.ts'
import type { BootOptions } from './boot.ts'
import type { IpmiSession, IpmiSessions } from './sessions.ts'

/** What a command is carried out with. `session`: whose it is; undefined outside of one. */
export interface Context {
  readonly model: Model
  readonly sessions: IpmiSessions
  readonly session: IpmiSession | undefined
  readonly boot: BootOptions
  readonly guid: Buffer
  readonly host: string
  readonly kgSet: boolean
}
/** With a code other than 0, `data` is empty. `lost`: carried out, but the answer never arrives. */
export interface Done { readonly code: number, readonly data: Uint8Array, readonly lost?: boolean }
export interface Handler {
  readonly name: string, readonly netFn: number, readonly command: number
  /** Least level it takes; 0: it is answered outside a session, too. */
  readonly level: number
  run(data: Buffer, context: Context): Done
}

const none = Buffer.alloc(0)
export const refused = (code: number): Done => ({ code, data: none })
export const told = (data: Uint8Array): Done => ({ code: 0, data })

/** What an answering function gives: what the command's response says, or a completion code and no more. */
type Given<A> = A | Done
const isDone = (value: unknown): value is Done => typeof value === 'object' && value !== null && 'code' in value && 'data' in value && value.data instanceof Uint8Array && typeof value.code === 'number'

/** By a codec both sides have. Its decoder may throw: the request is too short then. */
export function answering<Q, A> ({ name, netFn, command, request, response }: Command<Q, A>, level: keyof typeof privilege | 'anybody', answer: (asked: Q, context: Context) => Given<A>): Handler {
  return {
    name, netFn, command, level: level === 'anybody' ? 0 : privilege[level],
    run (data, context) {
      const given = answer(request.decode(data), context)
      return isDone(given) ? given : told(response.encode(given))
    }
  }
}
/** One that has no codec on the other side. */
export const plain = (name: string, netFn: number, command: number, level: keyof typeof privilege | 'anybody', run: Handler['run']): Handler => ({ name, netFn, command, level: level === 'anybody' ? 0 : privilege[level], run })
