/** The options of DHCPv4 by number and by name: what each holds, and who may set it. Pure. */
import { catalogue } from './catalogue.ts'
import type { Kind } from './kinds.ts'
import { isKind, kinds, longest } from './kinds.ts'
import type { OptionValue } from './written.ts'
import { invalid } from './written.ts'

export type { Kind } from './kinds.ts'
export type { OptionValue } from './written.ts'

export interface OptionDefinition {
  readonly code: number // 1 to 254
  readonly name: string // lower case with dashes, as dhcpd.conf has it where it has one
  readonly kind: Kind
  /** Why operators do not set it: the server does, or only clients send it. */
  readonly own?: string
  readonly aliases?: readonly string[]
}

const byCode = new Map<number, OptionDefinition>()
const byName = new Map<string, OptionDefinition>()
for (const definition of catalogue) {
  byCode.set(definition.code, definition)
  for (const name of [definition.name, ...definition.aliases ?? []]) byName.set(name, definition)
}

/** Every option this server knows by name, in order of their numbers. */
export const optionDefinitions: readonly OptionDefinition[] = catalogue
/** By its name or an alias, in any case, with dashes or underscores. */
export const optionByName = (name: string): OptionDefinition | undefined => byName.get(name.toLowerCase().replaceAll('_', '-'))
export const optionByCode = (code: number): OptionDefinition | undefined => byCode.get(code)

/** The option meant by a name (`routers`), a number (3, `3`, `option-3`). One without a name is bytes. Throws OPTION_INVALID. */
export function optionOf (option: string | number): OptionDefinition {
  const number = typeof option === 'number' ? option : /^(?:option-)?(\d{1,3})$/.exec(option)?.[1]
  if (number === undefined) {
    const found = optionByName(option as string)
    if (found === undefined) throw invalid(String(option), 'there is no option of that name; write its number.')
    return found
  }
  const code = Number(number)
  if (!Number.isInteger(code) || code < 1 || code > 254) throw invalid(String(option), 'options are numbered from 1 to 254.')
  return byCode.get(code) ?? { code, name: `option-${code}`, kind: 'bytes' }
}

/**
 * The bytes of an option. `value`: a text as in `10.0.0.1, 10.0.0.2`, or the same as JSON. `kind`: for an option that has no name here,
 * or whose site uses it otherwise. Throws OPTION_INVALID, whose sentence names the option and what is wrong.
 */
export function encodeOption (option: string | number, value: OptionValue, kind?: string): Buffer {
  const { name, kind: usual } = optionOf(option)
  if (kind !== undefined && !isKind(kind)) throw invalid(name, `"${kind}" is not a type; the types are ${Object.keys(kinds).join(', ')}.`)
  const bytes = kinds[kind ?? usual].encode(value, name)
  if (bytes.length > longest) throw invalid(name, `${bytes.length} bytes, and a reply has room for ${longest}.`)
  return bytes
}

/** The same for an option an operator sets: refuses those that are the server's own. */
export function encodeCustom (option: string | number, value: OptionValue, kind?: string): { readonly code: number, readonly bytes: Buffer } {
  const { code, name, own } = optionOf(option)
  if (own !== undefined) throw invalid(name, own)
  return { code, bytes: encodeOption(option, value, kind) }
}

/** What the bytes of an option say. Throws OPTION_INVALID when they are none of its kind. */
export function decodeOption (option: string | number, bytes: Buffer, kind?: Kind): { readonly code: number, readonly name: string, readonly kind: Kind, readonly value: OptionValue } {
  const { code, name, kind: usual } = optionOf(option)
  const used = kind ?? usual
  return { code, name, kind: used, value: kinds[used].decode(bytes, name) }
}
