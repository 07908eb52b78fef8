/** What a command is: numbers, and how its request and its response look, for either side. */
import { none, Reader } from '../bytes.ts'
import { completionError } from '../completion.ts'
import { IpmiError, type IpmiErrorKind } from '../error.ts'

export interface Codec<T> { encode(value: T): Uint8Array, decode(bytes: Buffer): T }
/** `response` is without the completion code. `special`: what codes from 0x80 to 0xbe mean here. Decoders throw IpmiError `malformed`. */
export interface Command<Q, A> {
  readonly name: string, readonly netFn: number, readonly command: number
  readonly request: Codec<Q>, readonly response: Codec<A>
  readonly special?: Readonly<Record<number, readonly [IpmiErrorKind, string]>>
}

/** No data at all. What is there nevertheless is passed over. */
export const nothing: Codec<void> = { encode: () => none, decode: () => undefined }
/** Bytes as they are. */
export const raw: Codec<Uint8Array> = { encode: bytes => bytes, decode: bytes => bytes }
/** One byte. */
export const byte = (what: string): Codec<number> => ({ encode: value => Buffer.of(value), decode: bytes => new Reader(bytes, what).u8() })

/** What a response says. `data` begins with the completion code. Throws an IpmiError for any but 0, and `malformed`. */
export function answerOf<Q, A> (command: Command<Q, A>, data: Buffer): A {
  const code = data[0]
  if (code === undefined) throw new IpmiError('malformed', `the answer to ${command.name} is empty`)
  if (code !== 0) throw completionError(command.name, code, command.special)
  return command.response.decode(data.subarray(1))
}
