/** The cluster as a front door needs it: each region's name and where its API is, in an order that stays. Pure. */
import { isIP } from 'node:net'

/** A region as GET /api/v1/controllers tells of it. */
export interface Known { readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly addresses?: readonly string[], readonly httpPort?: number | null, readonly api?: readonly string[] }
/** `name` is unique and made of [A-Za-z0-9_.-] only. `address` is undefined where none is known that another host can reach; it may be a name. */
export interface Region { readonly id: string, readonly hostname: string, readonly name: string, readonly address: string | undefined, readonly port: number }
export interface Vip { readonly address: string, readonly prefix: number }
export interface Cluster { readonly regions: readonly Region[], readonly vip?: Vip | undefined }

export const apiPort = 5240

/** Oldest region first, as the API lists them: one that joins changes no line of the others. */
export function clusterOf (controllers: readonly Known[], vip?: Vip): Cluster {
  const regions: Region[] = []
  for (const one of controllers) {
    if (!one.roles.includes('region')) continue
    const found = bestOf(one, vip)
    regions.push({ id: one.id, hostname: one.hostname, name: nameOf(one, regions), address: found?.address, port: found?.port ?? one.httpPort ?? apiPort })
  }
  return { regions, vip }
}

/** `10.0.0.10/24` taken apart; without a prefix it stands for itself. Undefined when it is no address. */
export function vipOf (text: string): Vip | undefined {
  const [, address = '', prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const most = widthOf(address)
  const length = prefix === undefined ? most : Number(prefix)
  return most === 0 || length < 1 || length > most ? undefined : { address: address.toLowerCase(), prefix: length }
}

/** `region-1`, or `region-1-3f2a…` where another has that name already. */
function nameOf ({ id, hostname }: Known, others: readonly Region[]): string {
  const plain = (text: string) => text.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '').slice(0, 63)
  const taken = (name: string) => others.some(one => one.name === name)
  const base = plain(hostname) || 'region'
  if (!taken(base)) return base
  const withId = `${base}-${plain(id).slice(0, 8)}`
  if (!taken(withId)) return withId
  for (let count = 2; ; count++) if (!taken(`${withId}-${count}`)) return `${withId}-${count}`
}

interface Endpoint { readonly address: string, readonly port: number }

/** Where other hosts reach the API best: in the floating address's network before elsewhere, an address before a name. */
function bestOf ({ api = [], addresses = [], httpPort }: Known, vip: Vip | undefined): Endpoint | undefined {
  const urls = api.flatMap((text): Endpoint[] => {
    const url = URL.parse(text)
    return url === null || url.hostname === '' ? [] : [{ address: bare(url.hostname), port: Number(url.port) || 80 }]
  })
  const told = addresses.map(text => ({ address: hostOf(text), port: httpPort ?? apiPort }))
  const rank = ({ address }: Endpoint): number => isIP(address) === 0 ? 3 : vip === undefined ? 2 : isIP(address) !== isIP(vip.address) ? 2 : within(address, vip) ? 0 : 1
  return (urls.length > 0 ? urls : told).filter(({ address }) => reachable(address)).sort((a, b) => rank(a) - rank(b))[0] // a stable sort
}

/** An address or a name, without a port: links are told of by `host:port` where that is set. */
function hostOf (text: string): string {
  if (isIP(text) !== 0) return text
  return bare(/^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(text)?.[1] ?? '')
}
const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

/** What only the region itself, or only its own cable, reaches is no address for a front door; neither is what is no address or name at all. */
function reachable (address: string): boolean {
  switch (isIP(address)) {
    case 4: return !/^(127\.|0\.|169\.254\.)/.test(address)
    case 6: return !/^(::1?$|fe[89ab][0-9a-f]:)/i.test(address) && !address.includes('%')
    default: return address.length <= 253 && /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(address) && !/^[0-9.]+$/.test(address) && address !== 'localhost'
  }
}

const widthOf = (address: string): number => ({ 0: 0, 4: 32, 6: 128 })[isIP(address)] ?? 0

/** Whether an address lies in the network of another of its family. */
export function within (address: string, { address: other, prefix }: Vip): boolean {
  const width = widthOf(address)
  if (width === 0 || width !== widthOf(other)) return false
  const shift = BigInt(width - prefix)
  return numberOf(address) >> shift === numberOf(other) >> shift
}

/** Whether two texts are one address. */
export const isSame = (a: string, b: string): boolean => isIP(a) !== 0 && isIP(a) === isIP(b) && numberOf(a) === numberOf(b)

function numberOf (address: string): bigint {
  if (isIP(address) === 4) return address.split('.').reduce((sum, part) => sum << 8n | BigInt(part), 0n)
  // the URL parser shortens every spelling to one, with an embedded IPv4 address in hexadecimal
  const [head = '', tail] = bare(new URL(`http://[${address}]`).hostname).split('::')
  const groups = (text: string | undefined) => text === undefined || text === '' ? [] : text.split(':')
  const [front, back] = [groups(head), groups(tail)]
  return [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back].reduce((sum, part) => sum << 16n | BigInt(`0x${part}`), 0n)
}

/** Any text as part of a comment: one line, visible ASCII. */
export const comment = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 253)

/** `[2001:db8::1]:5240` */
export const endpoint = (address: string, port: number): string => `${address.includes(':') ? `[${address}]` : address}:${port}`
