/** BMC addresses as URL: `redfish+https://user:password@host[:port]/redfish/v1/Systems/1`. Pure. */
import { BedplateError } from '../../core/errors.ts'

export interface BmcAddress { readonly url: string, readonly user?: string, readonly password?: string }

const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'redfish', reason })

function decoded (text: string, what: string): string {
  try { return decodeURIComponent(text) } catch { throw invalid(`the ${what} in the address has a % that begins no escape; write it as %25`) }
}

/**
 * Takes `redfish+https://…`, `https://…`, `redfish://…` (https), or a bare `host[:port]`; gives a plain URL and the credentials that were in it.
 * POWER_PARAMETERS_INVALID; the message never repeats the address, which may hold a password.
 */
export function parseAddress (text: string): BmcAddress {
  const bare = text.trim().replace(/^redfish\+/i, '').replace(/^redfish:/i, 'https:')
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(bare) ? bare : `https://${bare}`
  if (!URL.canParse(whole)) throw invalid('the address is not a URL; write it like redfish+https://user:password@host/redfish/v1/Systems/1')
  const url = new URL(whole)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(`the address begins with ${url.protocol}//; it must be https or http`)
  if (url.hostname === '') throw invalid('the address names no host')
  if (url.search !== '' || url.hash !== '') throw invalid('the address has a query or a fragment, which a BMC\'s has not')
  const path = url.pathname.replace(/\/+$/, '')
  return {
    url: `${url.protocol}//${url.host}${path}`,
    ...(url.username === '' ? {} : { user: decoded(url.username, 'user name') }),
    ...(url.password === '' ? {} : { password: decoded(url.password, 'password') })
  }
}
