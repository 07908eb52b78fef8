/** FRU inventory, read in parts: IPMI 2.0 sections 34.1 and 34.2. What is in it is in ../fru.ts. */
import { Reader, u16 } from '../bytes.ts'
import { netFn } from '../message.ts'
import type { Command } from './command.ts'

/** `size` in bytes; `words`: offsets and counts are in words of two bytes. Device 0 is the machine itself. */
export const getFruInfo: Command<number, { readonly size: number, readonly words: boolean }> = {
  name: 'Get FRU Inventory Area Info', netFn: netFn.storage, command: 0x10,
  request: { encode: device => Buffer.of(device), decode: bytes => new Reader(bytes, 'Get FRU Inventory Area Info').u8() },
  response: {
    encode: ({ size, words }) => Buffer.concat([u16(size), Buffer.of(words ? 1 : 0)]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get FRU Inventory Area Info'); return { size: from.u16(), words: (from.u8() & 1) === 1 } }
  }
}
export const readFru: Command<{ readonly device: number, readonly offset: number, readonly count: number }, { readonly count: number, readonly data: Buffer }> = {
  name: 'Read FRU Data', netFn: netFn.storage, command: 0x11, special: { 0x81: ['busy', 'the FRU device is busy'] },
  request: {
    encode: ({ device, offset, count }) => Buffer.concat([Buffer.of(device), u16(offset), Buffer.of(count)]),
    decode: bytes => { const from = new Reader(bytes, 'Read FRU Data'); return { device: from.u8(), offset: from.u16(), count: from.u8() } }
  },
  response: {
    encode: ({ count, data }) => Buffer.concat([Buffer.of(count), data]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Read FRU Data'); const count = from.u8(); return { count, data: from.rest() } }
  }
}
