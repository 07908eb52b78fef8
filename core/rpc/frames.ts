/** The frames of a link: JSON texts, checked by schema in both directions. Pure. */
import { Type, type Static } from 'typebox'
import { BedplateError, reasonOf } from '../errors.ts'
import { check } from './check.ts'
import { copyOf } from './copy.ts'

export const protocol = 1
/** Bytes. An image chunk of 1 MiB as base64 fits many times; nothing the core sends comes near it. */
export const frameLimit = 16 * 1024 * 1024

/** Removed controllers a `regions` frame may name. */
export const removedLimit = 1000

const Name = Type.String({ minLength: 1, maxLength: 128, pattern: '^[^\\u0000]*$' }) // PostgreSQL's text holds no NUL
const Position = Type.String({ maxLength: 4096 }) // '' = none
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Id = Type.String({ minLength: 1, maxLength: 1024 })
const Roles = Type.Array(Type.Union([Type.Literal('region'), Type.Literal('rack')]), { maxItems: 2 })

const frames = {
  hello: Type.Object({ t: Type.Literal('hello'), protocol: Type.Integer(), controller: Name, roles: Roles, version: Type.String({ maxLength: 128, pattern: '^[^\\u0000]*$' }), epoch: Type.Optional(Name) }),
  call: Type.Object({ t: Type.Literal('call'), id: Count, plugin: Name, method: Name, params: Type.Optional(Type.Unknown()), timeout: Count }),
  answer: Type.Object({
    t: Type.Literal('answer'), id: Count, result: Type.Optional(Type.Unknown()),
    error: Type.Optional(Type.Object({ code: Name, message: Type.String(), details: Type.Record(Type.String(), Type.Unknown()) }))
  }),
  cancel: Type.Object({ t: Type.Literal('cancel'), id: Count }),
  /** All plugins the rack wants the state of, each with the position it has; an empty object ends the subscription. */
  subscribe: Type.Object({ t: Type.Literal('subscribe'), positions: Type.Record(Type.String({ maxLength: 128 }), Position) }),
  /** A change may come in parts: all but the last carry `more`, and only the last takes the rack to `to`. */
  wanted: Type.Object({
    t: Type.Literal('wanted'), plugin: Name, from: Position, to: Position, whole: Type.Boolean(), more: Type.Optional(Type.Boolean()),
    put: Type.Array(Type.Object({ kind: Name, id: Id, value: Type.Unknown() })), remove: Type.Array(Type.Object({ kind: Name, id: Id }))
  }),
  ack: Type.Object({ t: Type.Literal('ack'), plugin: Name, position: Position, error: Type.Optional(Type.String({ maxLength: 4096 })) }),
  facts: Type.Object({
    t: Type.Literal('facts'), epoch: Name, first: Count,
    items: Type.Array(Type.Object({ seq: Count, plugin: Name, kind: Name, at: Type.String({ maxLength: 64 }), body: Type.Unknown() }), { maxItems: 10_000 })
  }),
  stored: Type.Object({ t: Type.Literal('stored'), epoch: Name, through: Count }),
  /** `fault`: why the sender had better not be asked now. */
  ping: Type.Object({ t: Type.Literal('ping'), n: Count, fault: Type.Optional(Type.String({ maxLength: 4096 })) }),
  pong: Type.Object({ t: Type.Literal('pong'), n: Count }),
  /** `removed`: ids of controllers whose certificates count for nothing any more. */
  regions: Type.Object({
    t: Type.Literal('regions'), regions: Type.Array(Type.Object({ controller: Name, urls: Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 }) }), { maxItems: 256 }),
    removed: Type.Optional(Type.Array(Name, { maxItems: removedLimit }))
  })
}

export type Frames = { readonly [K in keyof typeof frames]: Static<typeof frames[K]> }
export type Frame = Frames[keyof Frames]
export type Hello = Frames['hello']
export type WireError = NonNullable<Frames['answer']['error']>

const invalid = (reason: string, details: Record<string, unknown> = {}, cause?: unknown) => new BedplateError('FRAME_INVALID', { reason, ...details }, cause)

/** The text of a frame. Throws FRAME_INVALID when it is over the limit or cannot be JSON; `id` in the details names a call. */
export function encodeFrame (frame: Frame): string {
  const id = 'id' in frame ? { id: frame.id } : {}
  let text: string
  try { text = JSON.stringify(frame) } catch (cause) { throw invalid(`it cannot be written as JSON (${reasonOf(cause)})`, id, cause) }
  if (text.length > frameLimit || (text.length > frameLimit / 3 && Buffer.byteLength(text) > frameLimit)) throw invalid(`it is larger than ${frameLimit} bytes`, id)
  return text
}

/** A copy of a frame for a peer in this process, and about how many characters its text would have. Throws FRAME_INVALID for what `encodeFrame` would refuse. */
export function copyFrame (frame: Frame): { readonly copy: unknown, readonly size: number } {
  const size = { total: 0 }
  const id = 'id' in frame ? { id: frame.id } : {}
  let copy: unknown
  try { copy = copyOf(frame, size) } catch (cause) { throw invalid(cause instanceof BedplateError ? String(cause.details.reason) : reasonOf(cause), id, cause) }
  // An escaped character takes six.
  if (size.total > frameLimit / 6 && Buffer.byteLength(JSON.stringify(copy)) > frameLimit) throw invalid(`it is larger than ${frameLimit} bytes`, id)
  return { copy, size: size.total }
}

/** The frame in a text, or in what `copyFrame` gave. Throws FRAME_INVALID, never anything else; when a call could be made out, `id` in the details names it, so that it can be answered. */
export function decodeFrame (message: unknown): Frame {
  let value = message
  if (typeof message === 'string') {
    if (message.length > frameLimit) throw invalid(`it is larger than ${frameLimit} bytes`)
    try { value = JSON.parse(message) } catch (cause) { throw invalid('it is not JSON', {}, cause) }
  }
  if (typeof value !== 'object' || value === null || !('t' in value) || typeof value.t !== 'string' || !Object.hasOwn(frames, value.t)) throw invalid('it is of no known kind')
  const kind = value.t as keyof typeof frames
  const fault = check(frames[kind], value)
  if (fault !== undefined) throw invalid(`${kind}: ${fault}`, kind === 'call' && 'id' in value && Number.isSafeInteger(value.id) ? { id: value.id } : {})
  return value as Frame // what the schema of its kind just said
}
