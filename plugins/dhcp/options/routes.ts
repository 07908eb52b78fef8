/** Classless static routes (RFC 3442): the significant bytes of each destination, then its router. Pure. */
import { ipText, parseIp, parsePrefix } from '../v4/ipv4.ts'
import type { OptionValue } from './written.ts'
import { invalid } from './written.ts'

export interface Route { readonly network: number, readonly bits: number, readonly router: number }

const written = /^(\S+)\s+(?:via\s+|->\s*)?(\S+)$/

/** `10.0.0.0/8 via 192.0.2.1`, or `{ "to": "10.0.0.0/8", "via": "192.0.2.1" }`; `default` and `via 0.0.0.0` (on the link itself) are understood. */
function routeOf (value: OptionValue, option: string): Route {
  const shown = typeof value === 'string' ? `"${value}"` : JSON.stringify(value)
  const wrong = (reason: string) => invalid(option, `${shown} is not a route, as in "10.0.0.0/8 via 192.0.2.1": ${reason}.`)
  const parts = typeof value === 'string' ? written.exec(value.trim()) : null
  const { to, via } = typeof value === 'object' && value !== null && !Array.isArray(value) ? value as { to?: OptionValue, via?: OptionValue } : { to: parts?.[1], via: parts?.[2] }
  if (typeof to !== 'string' || typeof via !== 'string') throw wrong('it needs a network and a router')
  const cidr = to === 'default' ? '0.0.0.0/0' : to.includes('/') ? to : `${to}/32`
  try {
    const bits = Number(cidr.split('/')[1])
    const { network } = parsePrefix(cidr)
    if (parseIp(cidr.split('/')[0] as string) !== network) throw wrong(`${ipText(network)}/${bits} is the network of that address`)
    return { network, bits, router: parseIp(via) }
  } catch (error) {
    throw error instanceof Error && error.message.includes(shown) ? error : wrong('its network or its router is no IPv4 address')
  }
}

export const routeBytes = ({ network, bits, router }: Route): Buffer => {
  const significant = Math.ceil(bits / 8)
  const bytes = Buffer.alloc(1 + significant + 4)
  bytes[0] = bits
  for (let i = 0; i < significant; i++) bytes[1 + i] = (network >>> (24 - 8 * i)) & 0xff
  bytes.writeUInt32BE(router, 1 + significant)
  return bytes
}

export function encodeRoutes (value: OptionValue, option: string): Buffer {
  const parts = typeof value === 'string' ? value.split(/[,;]/).filter(part => part.trim() !== '') : Array.isArray(value) ? value as readonly OptionValue[] : [value]
  if (parts.length === 0) throw invalid(option, 'it needs at least one route.')
  return Buffer.concat(parts.map(part => routeBytes(routeOf(part, option))))
}

/** Reads the routes; bits of a destination beyond its width are cleared. Throws OPTION_INVALID. */
export function readRoutes (data: Buffer, option: string): Route[] {
  const routes: Route[] = []
  let at = 0
  while (at < data.length) {
    const bits = data[at] as number
    const significant = Math.ceil(bits / 8)
    if (bits > 32) throw invalid(option, `a destination of ${bits} bits`)
    if (at + 1 + significant + 4 > data.length) throw invalid(option, 'a route runs past the end')
    let network = 0
    for (let i = 0; i < significant; i++) network = (network | ((data[at + 1 + i] as number) << (24 - 8 * i))) >>> 0
    const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0
    routes.push({ network: (network & mask) >>> 0, bits, router: data.readUInt32BE(at + 1 + significant) })
    at += 1 + significant + 4
  }
  return routes
}

export const decodeRoutes = (data: Buffer, option: string): OptionValue => readRoutes(data, option).map(({ network, bits, router }) => ({ to: `${ipText(network)}/${bits}`, via: ipText(router) }))
