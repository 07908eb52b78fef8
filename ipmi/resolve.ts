/** From a host's name to the address datagrams come from. */
import { lookup } from 'node:dns/promises'
import { isIP, SocketAddress } from 'node:net'
import { IpmiError } from './error.ts'

/** The one way an address is written, so that those of answers can be compared with it: IPv6 is shortened. */
export function canonical (address: string): string {
  const [plain = '', zone] = address.split('%')
  return isIP(plain) === 6 ? `${new SocketAddress({ address: plain, family: 'ipv6' }).address}${zone === undefined ? '' : `%${zone}`}` : address
}

/** An IP address as it is, a name as the system knows it. IpmiError `unreachable`. */
export async function resolveHost (host: string): Promise<string> {
  if (isIP(host.split('%')[0] ?? '') !== 0) return canonical(host)
  try { return canonical((await lookup(host)).address) } catch { throw new IpmiError('unreachable', `no address is known for the name ${host}`) }
}
