/** System Boot Options: IPMI 2.0 sections 28.12 to 28.14. A parameter is up to five bytes under a number. */
import { Reader } from '../bytes.ts'
import { netFn } from '../message.ts'
import { nothing, type Command } from './command.ts'

export const bootParameter = { progress: 0, partition: 1, partitionScan: 2, validity: 3, acknowledge: 4, flags: 5, initiator: 6, mailbox: 7 } as const
/** Values of `progress`: who writes says so, so that nobody else does meanwhile. */
export const progress = { complete: 0, writing: 1, commit: 2 } as const

const special = { 0x80: ['unsupported', 'it does not have this boot option'], 0x81: ['busy', 'somebody else is setting boot options'], 0x82: ['refused', 'this boot option cannot be written'] } as const
export interface BootOption { readonly parameter: number, readonly data: Buffer }

export const setBootOption: Command<BootOption & { readonly invalid?: boolean }, void> = {
  name: 'Set System Boot Options', netFn: netFn.chassis, command: 0x08, special, response: nothing,
  request: {
    encode: ({ parameter, data, invalid = false }) => Buffer.concat([Buffer.of(parameter | (invalid ? 0x80 : 0)), data]),
    decode: bytes => { const from = new Reader(bytes, 'Set System Boot Options'); const first = from.u8(); return { parameter: first & 0x7f, invalid: (first & 0x80) !== 0, data: from.rest() } }
  }
}
export const getBootOption: Command<{ readonly parameter: number, readonly set: number, readonly block: number }, BootOption & { readonly invalid: boolean }> = {
  name: 'Get System Boot Options', netFn: netFn.chassis, command: 0x09, special,
  request: {
    encode: ({ parameter, set, block }) => Buffer.of(parameter, set, block),
    decode: bytes => { const from = new Reader(bytes, 'Get System Boot Options'); return { parameter: from.u8() & 0x7f, set: from.u8(), block: from.u8() } }
  },
  response: {
    encode: ({ parameter, invalid, data }) => Buffer.concat([Buffer.of(0x01, parameter | (invalid ? 0x80 : 0)), data]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get System Boot Options'); from.u8(); const first = from.u8(); return { parameter: first & 0x7f, invalid: (first & 0x80) !== 0, data: from.rest() } }
  }
}

/** Device selectors of parameter 5, byte 2. */
export const bootDevice = { none: 0, network: 1, disk: 2, safe: 3, diagnostic: 4, cdrom: 5, setup: 6, remoteFloppy: 7, remoteCdrom: 8, remoteMedia: 9, remoteDisk: 11, floppy: 15 } as const
/** Parameter 5. `valid`: it counts for the next start; `persistent`: for those after it, too; `efi`: the firmware is to start by UEFI, not as a BIOS. */
export interface BootFlags { readonly valid: boolean, readonly persistent: boolean, readonly efi: boolean, readonly device: number }
export const encodeBootFlags = ({ valid, persistent, efi, device }: BootFlags): Buffer => Buffer.of((valid ? 0x80 : 0) | (persistent ? 0x40 : 0) | (efi ? 0x20 : 0), device << 2, 0, 0, 0)
export function decodeBootFlags (data: Buffer): BootFlags {
  const from = new Reader(data, 'the boot flags')
  const [first, second] = [from.u8(), from.u8()]
  return { valid: (first & 0x80) !== 0, persistent: (first & 0x40) !== 0, efi: (first & 0x20) !== 0, device: second >> 2 & 0x0f }
}

/** Parameter 3: on which events a BMC is to leave the flags valid: by default each of them makes them void, and so do 60 s without a start. Bits of table 28-14. */
export const keepValid = { powerButton: 0x01, resetButton: 0x02, watchdog: 0x04, timeout: 0x08, pefReset: 0x10 } as const
/** Parameter 4: which of five parties have seen the options; the BIOS is bit 0. `mask` says which bits are written. */
export const encodeAcknowledge = (mask: number, bits: number): Buffer => Buffer.of(mask, bits)
export const acknowledgeBios = 0x01
