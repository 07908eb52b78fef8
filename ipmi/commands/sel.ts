/** The System Event Log: IPMI 2.0 sections 31.2, 31.5 and 32. What a record means is in sel-text.ts. */
import { none, Reader, u16, u32 } from '../bytes.ts'
import { netFn } from '../message.ts'
import { nothing, type Command } from './command.ts'

/** Times are in s since 1970, as the BMC's clock has it. */
export interface SelInfo { readonly version: number, readonly entries: number, readonly free: number, readonly added: number, readonly erased: number, readonly overflow: boolean }
export const getSelInfo: Command<void, SelInfo> = {
  name: 'Get SEL Info', netFn: netFn.storage, command: 0x40, request: nothing, special: { 0x81: ['busy', 'the log is being erased'] },
  response: {
    encode: ({ version, entries, free, added, erased, overflow }) => Buffer.concat([Buffer.of(version), u16(entries), u16(free), u32(added), u32(erased), Buffer.of((overflow ? 0x80 : 0) | 0x02)]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get SEL Info'); return { version: from.u8(), entries: from.u16(), free: from.u16(), added: from.u32(), erased: from.u32(), overflow: (from.u8() & 0x80) !== 0 } }
  }
}

export const firstRecord = 0x0000
export const lastRecord = 0xffff // as the next one's number: there is no next one
export const getSelEntry: Command<{ readonly record: number }, { readonly next: number, readonly entry: Buffer }> = {
  name: 'Get SEL Entry', netFn: netFn.storage, command: 0x43, special: { 0x81: ['busy', 'the log is being erased'] },
  request: {
    encode: ({ record }) => Buffer.concat([u16(0), u16(record), Buffer.of(0, 0xff)]), // no reservation, the whole record
    decode: bytes => { const from = new Reader(bytes, 'Get SEL Entry'); from.u16(); return { record: from.u16() } }
  },
  response: {
    encode: ({ next, entry }) => Buffer.concat([u16(next), entry]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get SEL Entry'); return { next: from.u16(), entry: from.take(16) } }
  }
}

/** `at`: s since 1970, or since the BMC started where below 0x20000000. `type` 0x02 is an event; from 0xc0 on the makers' own, `oem`, with a time below 0xe0. */
export interface SelEvent { readonly generator: number, readonly revision: number, readonly sensorType: number, readonly sensor: number, readonly asserted: boolean, readonly eventType: number, readonly data: readonly [number, number, number] }
export interface SelRecord { readonly id: number, readonly type: number, readonly at: number | undefined, readonly event?: SelEvent, readonly manufacturer?: number, readonly oem?: Buffer }

export function decodeSelRecord (entry: Buffer): SelRecord {
  const from = new Reader(entry, 'a record of the SEL')
  const [id, type] = [from.u16(), from.u8()]
  if (type >= 0xe0) return { id, type, at: undefined, oem: from.take(13) }
  const at = from.u32()
  if (type >= 0xc0) return { id, type, at, manufacturer: from.u24(), oem: from.take(6) }
  const [generator, revision, sensorType, sensor, kind] = [from.u16(), from.u8(), from.u8(), from.u8(), from.u8()]
  return { id, type, at, event: { generator, revision, sensorType, sensor, asserted: (kind & 0x80) === 0, eventType: kind & 0x7f, data: [from.u8(), from.u8(), from.u8()] } }
}
export function encodeSelRecord ({ id, type, at = 0, event, manufacturer = 0, oem = none }: SelRecord): Buffer {
  const entry = Buffer.alloc(16)
  entry.writeUInt16LE(id, 0)
  entry[2] = type
  if (type >= 0xe0) { entry.set(oem.subarray(0, 13), 3); return entry }
  entry.writeUInt32LE(at, 3)
  if (type >= 0xc0) { entry.writeUIntLE(manufacturer, 7, 3); entry.set(oem.subarray(0, 6), 10) }
  else if (event) { entry.writeUInt16LE(event.generator, 7); entry.set([event.revision, event.sensorType, event.sensor, event.eventType | (event.asserted ? 0 : 0x80), ...event.data], 9) }
  return entry
}
