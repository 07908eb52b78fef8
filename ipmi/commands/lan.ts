/** Get LAN Configuration Parameters: IPMI 2.0 section 23.2. */
import { Reader } from '../bytes.ts'
import { netFn } from '../message.ts'
import type { Command } from './command.ts'

export const lanParameter = { ip: 3, ipSource: 4, mac: 5, mask: 6, gateway: 12 } as const
export const getLanConfiguration: Command<{ readonly channel: number, readonly parameter: number, readonly set: number, readonly block: number }, { readonly revision: number, readonly data: Buffer }> = {
  name: 'Get LAN Configuration Parameters', netFn: netFn.transport, command: 0x02, special: { 0x80: ['unsupported', 'it does not have this parameter'] },
  request: {
    encode: ({ channel, parameter, set, block }) => Buffer.of(channel, parameter, set, block),
    decode: bytes => { const from = new Reader(bytes, 'Get LAN Configuration Parameters'); return { channel: from.u8() & 0x0f, parameter: from.u8(), set: from.u8(), block: from.u8() } }
  },
  response: {
    encode: ({ revision, data }) => Buffer.concat([Buffer.of(revision), data]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get LAN Configuration Parameters'); return { revision: from.u8(), data: from.rest() } }
  }
}
export const ipText = (data: Buffer): string => [...new Reader(data, 'the address').take(4)].join('.')
export const macText = (data: Buffer): string => [...new Reader(data, 'the MAC address').take(6)].map(one => one.toString(16).padStart(2, '0')).join(':')
