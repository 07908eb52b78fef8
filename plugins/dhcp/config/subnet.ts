/** What may be set for a subnet's clients. Pure. */
import { isIPv6 } from 'node:net'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { ipText, parseIp } from '../v4/ipv4.ts'
import type { SubnetSettings } from '../store/settings.ts'
import { settingsOnWire } from './custom.ts'

export const shortestLease = 30 // seconds: a shorter one would be extended more often than it is worth
export const longestLease = 31_536_000
export const DomainName = Type.String({ minLength: 1, maxLength: 253, pattern: '^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\\.?$', description: 'Domain name' })

const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }

/** The settings in canonical spelling. Throws NETWORK_INVALID, or OPTION_INVALID for what would not go over the wire. */
export function checkSubnet (settings: SubnetSettings, subnet: { readonly cidr: string, readonly family: 4 | 6 }): SubnetSettings {
  const { leaseSeconds, firmwareSeconds } = settings
  if (leaseSeconds !== null && firmwareSeconds !== null && firmwareSeconds > leaseSeconds) refuse(`Firmware of subnet ${subnet.cidr} would keep its lease for ${firmwareSeconds} s, longer than the ${leaseSeconds} s of everybody else.`)
  const domain = (name: string) => name.replace(/\.$/, '').toLowerCase()
  const search = [...new Set(settings.search.map(domain))]
  const bytes = search.reduce((sum, name) => sum + name.length + 2, 0)
  if (bytes > 255) refuse(`The search list of subnet ${subnet.cidr} takes ${bytes} bytes; 255 fit into an option.`)
  const checked: SubnetSettings = { ...settings, domain: settings.domain === null ? null : domain(settings.domain), search, ntp: settings.ntp.map(server => subnet.family === 4 ? timeServer(server) : isIPv6(server) && !server.includes('%') ? server.toLowerCase() : refuse(`${JSON.stringify(server)} is not an IPv6 address; time servers are given by address.`)) }
  settingsOnWire(checked)
  return checked
}

function timeServer (text: string): string {
  try { return ipText(parseIp(text)) } catch { return refuse(`${JSON.stringify(text)} is not an IPv4 address; time servers are given by address.`) }
}
