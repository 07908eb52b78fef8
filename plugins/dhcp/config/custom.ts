/** Options operators set: where they apply, and which bytes count in each scope. Pure. */
import { BedplateError } from '../../../core/errors.ts'
import { encodeCustom, encodeOption, optionOf } from '../options/registry.ts'
import type { OptionValue } from '../options/registry.ts'
import type { StoredOption } from '../store/options.ts'
import type { SubnetSettings } from '../store/settings.ts'

export type Scope = { readonly kind: 'global' } | { readonly kind: 'subnet', readonly id: string } | { readonly kind: 'mac', readonly id: string }

const bad = (text: string) => new BedplateError('INVALID_REQUEST', { reason: `"${text.slice(0, 80)}" is no scope: it is global, subnet:<id> or mac:<mac>.` })

/** Reads `global`, `subnet:<id>` or `mac:<mac>`, the MAC in any common form. Throws INVALID_REQUEST. */
export function scopeOf (text: string): Scope {
  if (text === 'global') return { kind: 'global' }
  const [, kind, id = ''] = /^(subnet|mac):(.{1,64})$/.exec(text) ?? []
  if (kind === 'subnet' && /^[1-9]\d{0,17}$/.test(id)) return { kind, id }
  if (kind === 'mac') return { kind, id: macOf(id) }
  throw bad(text)
}
export const scopeText = (scope: Scope): string => scope.kind === 'global' ? 'global' : `${scope.kind}:${scope.id}`

/** A MAC in any common form, as bindings keep it. Throws INVALID_REQUEST. */
export function macOf (text: string): string {
  const digits = text.toLowerCase().replace(/[:.-]/g, '')
  if (!/^[0-9a-f]{12}$/.test(digits)) throw new BedplateError('INVALID_REQUEST', { reason: `"${text.slice(0, 80)}" is not a MAC address.` })
  return digits.replace(/..(?!$)/g, '$&:')
}

/** An option ready to be stored. `type`: of a code without a name, or used otherwise than usual. Throws OPTION_INVALID. */
export function customOption (scope: Scope, option: string, value: OptionValue, type: string | undefined): StoredOption {
  const { code, bytes } = encodeCustom(option, value, type)
  return { scope: scopeText(scope), code, name: optionOf(code).name, type: type ?? null, value, data: bytes.toString('hex') }
}

/** What the settings of an IPv4 subnet are on the wire. Throws OPTION_INVALID. */
export function settingsOnWire ({ domain, search, ntp }: SubnetSettings): { code: number, data: string }[] {
  const encoded = (option: string, value: OptionValue) => ({ code: optionOf(option).code, data: encodeOption(option, value).toString('hex') })
  return [
    ...domain === null ? [] : [encoded('domain-name', domain)], ...search.length === 0 ? [] : [encoded('domain-search', search)],
    ...ntp.length === 0 || ntp.some(server => server.includes(':')) ? [] : [encoded('ntp-servers', ntp)]
  ]
}

/** What each scope has on the wire: the options set there, over what the settings of the subnet say. */
export function effective (settings: readonly SubnetSettings[], stored: readonly Pick<StoredOption, 'scope' | 'code' | 'data'>[]): Map<string, { code: number, data: string }[]> {
  const scopes = new Map<string, Map<number, string>>()
  const put = (scope: string, code: number, data: string) => {
    const own = scopes.get(scope)
    if (own === undefined) scopes.set(scope, new Map([[code, data]]))
    else own.set(code, data)
  }
  for (const one of settings) {
    // They were encoded once before they were saved. What a later version may find wrong with them stops nothing else.
    try { for (const { code, data } of settingsOnWire(one)) put(`subnet:${one.id}`, code, data) } catch { continue }
  }
  for (const { scope, code, data } of stored) put(scope, code, data)
  return new Map([...scopes].map(([scope, options]) => [scope, [...options].sort(([a], [b]) => a - b).map(([code, data]) => ({ code, data }))]))
}
