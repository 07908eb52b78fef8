/** BMC addresses as URL: `<driver>[+<transport>]://user:password@host[:port][/path][?option=value]`. Pure. */
import { BedplateError } from '../../core/errors.ts'

/** How a driver's addresses look. */
export interface AddressForm {
  readonly driver: string
  /** Transports after the `+`, the first of them meant when none is said. A driver with none of its own is written `driver://`. */
  readonly transports?: readonly string[]
  /** Those of them that lead to this rack itself, and have a path instead of a host: `driver+unix:///path`. */
  readonly hostless?: readonly string[]
  /** Names of options after the `?`. */
  readonly options?: readonly string[]
  /** A good one, for the message. */
  readonly example: string
}
/** Host and user name are decoded; IPv6 hosts are without brackets, and empty where the transport has none. */
export interface BmcAddress { readonly transport: string | undefined, readonly host: string, readonly port: number | undefined, readonly path: string, readonly user?: string, readonly password?: string, readonly options: Readonly<Record<string, string>> }

/**
 * Takes `driver+transport://…`, `driver://…`, `transport://…` or a bare `host[:port]`. POWER_PARAMETERS_INVALID; the message never repeats the address, which may hold a password.
 */
export function parseBmcAddress (text: string, { driver, transports = [], hostless = [], options = [], example }: AddressForm): BmcAddress {
  const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver, reason })
  const decoded = (part: string, what: string): string => { try { return decodeURIComponent(part) } catch { throw invalid(`the ${what} in the address has a % that begins no escape; write it as %25`) } }
  const [, scheme = '', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text.trim()) ?? []
  const [first = '', second] = scheme.toLowerCase().split('+')
  const transport = first === driver || first === '' ? second ?? transports[0] : first
  if (transport !== undefined && !transports.includes(transport)) throw invalid(`the address begins with ${transport}://; ${transports.length === 0 ? `write it like ${example}` : `it must be ${transports.join(' or ')}`}`)
  const here = transport !== undefined && hostless.includes(transport)
  if (here && !rest.startsWith('/')) throw invalid(`the address names a host, but ${transport} is on this rack itself; write it like ${driver}+${transport}:///path`)
  const whole = `http://${here ? 'here' : ''}${rest}` // what URL knows best; ports are kept apart, so that none is lost for being HTTP's own
  const [, portText] = /^http:\/\/(?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:@[\]]*):(\d+)(?=[/?#]|$)/.exec(whole) ?? []
  if (!URL.canParse(whole)) throw invalid(`the address is not a URL; write it like ${example}`)
  const url = new URL(whole)
  if (url.hostname === '') throw invalid('the address names no host')
  // A password of digits and a slash: they would be a port of the user's name and a path, which are shown.
  if (!here && /^http:\/\/[^/?#@]*:\d*\/[^?#]*@/.test(whole)) throw invalid('the address has an @ in its path; in a password write / as %2F, and in a path @ as %40')
  if (url.hash !== '') throw invalid('the address has a fragment (#), which a BMC\'s has not; in a password write it as %23')
  const given: Record<string, string> = {}
  for (const [name, value] of url.searchParams) {
    if (!options.includes(name)) throw invalid(options.length === 0 ? 'the address has a query, which it may not' : `the address has an option that is unknown; there are ${options.join(', ')}`)
    given[name] = value
  }
  if (url.search !== '' && options.length === 0) throw invalid('the address has a query, which it may not')
  return {
    transport, host: here ? '' : url.hostname.replace(/^\[|\]$/g, ''), port: portText === undefined ? undefined : Number(portText), path: decoded(url.pathname, 'path').replace(/\/+$/, ''), options: given,
    ...(url.username === '' ? {} : { user: decoded(url.username, 'user name') }),
    ...(url.password === '' ? {} : { password: decoded(url.password, 'password') })
  }
}

/** The host as it stands in a URL. */
export const hostInUrl = (host: string): string => host.includes(':') ? `[${host}]` : host

/** The path as it stands in a URL. */
export const pathInUrl = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

const redfishForm: AddressForm = { driver: 'redfish', transports: ['https', 'http'], example: 'redfish+https://user:password@host/redfish/v1/Systems/1' }
/** A plain URL, and the credentials that were in it. POWER_PARAMETERS_INVALID. */
export function parseAddress (text: string): { readonly url: string, readonly user?: string, readonly password?: string } {
  const { transport, host, port, path, options: _, ...credentials } = parseBmcAddress(text, redfishForm)
  const usual = transport === 'https' ? 443 : 80
  return { url: `${transport}://${hostInUrl(host)}${port === undefined || port === usual ? '' : `:${port}`}${pathInUrl(path)}`, ...credentials }
}
