/** What a caller says of a BMC: where it is, who asks, and how. */
import { isIP } from 'node:net'
import { suiteNumbered } from '../ciphers.ts'
import { IpmiError } from '../error.ts'
import { password15Length } from '../lan15.ts'
import { privilege, type Privilege } from '../privilege.ts'
import { passwordLength, userLength } from '../rakp.ts'
import { rmcpPort } from '../rmcp.ts'

/**
 * - `kg`: the BMC's key, where it has one: up to 20 bytes.
 * - `cipher`: a suite's number; by default the best of those signed that the BMC offers: 17, else 3.
 * - `lan`: by default 2.0, and 1.5 where the BMC says that it has nothing better. There the password goes as MD5; in the clear only to a BMC that knows nothing else and where `1.5` was asked for.
 */
export interface Target {
  readonly host: string, readonly port?: number
  readonly user: string, readonly password: string
  readonly kg?: Uint8Array
  readonly privilege?: Privilege
  readonly cipher?: number
  readonly lan?: 'auto' | '1.5' | '2.0'
}
/** The same, checked and in bytes. */
export interface Terms { readonly port: number, readonly user: Buffer, readonly password: Buffer, readonly kg: Buffer | undefined, readonly privilege: number, readonly cipher: number | undefined, readonly lan: 'auto' | '1.5' | '2.0' }

/** IpmiError `parameter`. */
export function termsOf ({ host, port = rmcpPort, user, password, kg, privilege: level = 'operator', cipher, lan = 'auto' }: Target): Terms {
  const invalid = (message: string) => new IpmiError('parameter', message)
  const [name, secret] = [Buffer.from(user), Buffer.from(password)]
  if (host === '' || host.includes(' ')) throw invalid('the host is not a name or an address')
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw invalid('the port must be from 1 to 65535')
  if (name.length > userLength) throw invalid(`the user name has ${name.length} bytes; IPMI has room for ${userLength}`)
  if (secret.length > (lan === '1.5' ? password15Length : passwordLength)) throw invalid(`the password is longer than the ${lan === '1.5' ? password15Length : passwordLength} bytes IPMI ${lan === '1.5' ? '1.5' : '2.0'} has room for`)
  if (kg !== undefined && kg.length > passwordLength) throw invalid(`the key K_g is longer than the ${passwordLength} bytes IPMI has room for`)
  if (cipher !== undefined && suiteNumbered(cipher) === undefined) throw invalid(`cipher suite ${cipher} is not known here`)
  return { port, user: name, password: secret, kg: kg === undefined || kg.every(byte => byte === 0) ? undefined : Buffer.from(kg), privilege: privilege[level], cipher, lan }
}

/** Two targets of the same key share a session. */
export const keyOf = ({ host, port = rmcpPort, user, password, kg, privilege = 'operator', cipher, lan }: Target): string => `${host} ${port} ${privilege} ${cipher} ${lan} ${kg === undefined ? '' : Buffer.from(kg).toString('hex')} ${user.length} ${user}${password}`
export const isAddress = (host: string): boolean => isIP(host.split('%')[0] ?? '') !== 0
