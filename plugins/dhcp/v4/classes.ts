/** What kind of client sent a packet: firmware, boot loader or neither, as the names of classes. Pure. */
import type { Options } from '../options/area.ts'
import { ipxeOf } from '../options/client.ts'
import { option } from '../options/codes.ts'

/** The classes the server itself knows; plugins add their own by the hook `classify`. `firmware`: any of the others, and whatever tells its architecture. */
export type ClassName = 'firmware' | 'pxe' | 'httpclient' | 'ipxe'
export type Classes = readonly string[]

// Shared and frozen: most packets cost no allocation here.
const none: Classes = Object.freeze([])
const firmware: Classes = Object.freeze(['firmware'] satisfies ClassName[])
const pxe: Classes = Object.freeze(['firmware', 'pxe'] satisfies ClassName[])
const httpClient: Classes = Object.freeze(['firmware', 'httpclient'] satisfies ClassName[])
const ipxe: Classes = Object.freeze(['firmware', 'ipxe'] satisfies ClassName[])

function startsWith (value: Buffer, word: Buffer): boolean {
  if (value.length < word.length) return false
  for (let index = 0; index < word.length; index++) if (value[index] !== word[index]) return false // so short that a call into the library costs more
  return true
}
const pxeWord = Buffer.from('PXEClient')
const httpWord = Buffer.from('HTTPClient')

/** Which firmware option 60 names: `PXEClient` (PXE 2.1), `HTTPClient` (UEFI 2.5 section 24.7), or none. */
export function firmwareOf (options: Options): 'PXEClient' | 'HTTPClient' | undefined {
  const vendor = options.get(option.vendorClass)
  if (vendor === undefined) return undefined
  return startsWith(vendor, pxeWord) ? 'PXEClient' : startsWith(vendor, httpWord) ? 'HTTPClient' : undefined
}

/** The server's own classes of a client. iPXE says PXEClient too: it counts as iPXE. */
export function classesOf (options: Options): Classes {
  if (ipxeOf(options) !== undefined) return ipxe
  const named = firmwareOf(options)
  if (named === undefined) return options.has(option.architecture) ? firmware : none // U-Boot, for one, has a vendor class of its own
  return named === 'PXEClient' ? pxe : httpClient
}
