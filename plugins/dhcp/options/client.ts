/** What a client says about itself: who it is, what firmware it runs, what it can read. Pure. */
import type { Options } from './area.ts'
import { readEncapsulated } from './area.ts'
import { option } from './codes.ts'
import { readText, readU16 } from './values.ts'

export const clientIdOf = (options: Options): string | null => {
  const value = options.get(option.clientId)
  return value === undefined || value.length < 2 ? null : value.toString('hex')
}

/** The first label of the name in option 81 (RFC 4702 section 2): as in DNS, or as text in the older form. */
function fqdnLabel (value: Buffer | undefined): string | undefined {
  if (value === undefined || value.length < 4) return undefined
  const asInDns = ((value[0] as number) & 4) !== 0
  const length = value[3] as number
  return asInDns ? value.toString('latin1', 4, 4 + Math.min(length, 64)) : value.toString('latin1', 3).split('.', 1)[0]
}

/** The hostname a client asks for, by option 12 or else 81; null when it is none that a name server could carry. */
export const hostnameOf = (options: Options): string | null => {
  const name = readText(options.get(option.hostname)) ?? fqdnLabel(options.get(option.fqdn))
  return name !== undefined && /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name) ? name.toLowerCase() : null
}

/** User classes in both forms found in the wild: length-prefixed as in RFC 3004, or one raw string as iPXE sends it. */
export function userClassesOf (options: Options): readonly string[] {
  const value = options.get(option.userClass)
  if (value === undefined || value.length === 0) return []
  const classes: string[] = []
  let at = 0
  while (at < value.length) {
    const length = value[at] as number
    if (length === 0 || at + 1 + length > value.length) return [value.toString('latin1')]
    classes.push(value.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return classes
}

/** The first architecture of option 93 (RFC 4578; numbers at IANA), or `undefined`. */
export const architectureOf = (options: Options): number | undefined => readU16(options.get(option.architecture))
export const vendorClassOf = (options: Options): string => readText(options.get(option.vendorClass)) ?? ''
/** Bytes the client can take in one message; 576 when it says nothing or less (RFC 2132 section 9.10). */
export const maxSizeOf = (options: Options): number => Math.max(576, Math.min(1500, readU16(options.get(option.maxSize)) ?? 576))
export const asksFor = (options: Options, code: number): boolean => options.get(option.parameterList)?.includes(code) ?? false

const http = 0x13 // iPXE's feature number
/** Whether the client is iPXE, and whether that iPXE speaks HTTP; one that does not say is taken to. */
export function ipxeOf (options: Options): { readonly http: boolean } | undefined {
  const value = options.get(option.ipxe)
  if (value !== undefined) {
    const features = readEncapsulated(value)
    return { http: features.size === 0 || features.has(http) }
  }
  return userClassesOf(options).includes('iPXE') ? { http: true } : undefined
}
