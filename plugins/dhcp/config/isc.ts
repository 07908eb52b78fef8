/** Reads an ISC dhcpd.conf into what Bedplate can set, and a list of what it cannot take, by line and with the reason. Pure. */
import { BedplateError } from '../../../core/errors.ts'
import { optionByName, optionOf } from '../options/registry.ts'
import type { Kind, OptionValue } from '../options/registry.ts'
import { idle, reasons } from './isc-reasons.ts'
import { shown, statementsOf } from './isc-text.ts'
import type { Left, Statement, Word } from './isc-text.ts'

export type { Left } from './isc-text.ts'
/** `host` is an index into the plan's. */
export type Place = { readonly kind: 'global' } | { readonly kind: 'subnet', readonly cidr: string } | { readonly kind: 'host', readonly host: number }
export interface PlannedOption { readonly line: number, readonly place: Place, readonly name: string, readonly code: number, readonly value: OptionValue, /** of an option the file itself defines */ readonly type: Kind | null }
export interface PlannedSubnet { readonly line: number, readonly cidr: string, leaseSeconds: number | null, readonly ranges: { readonly line: number, readonly start: string, readonly end: string }[] }
export interface PlannedHost { readonly line: number, readonly name: string, mac: string | null, clientId: string | null, readonly addresses: string[] }
export interface IscPlan { readonly subnets: readonly PlannedSubnet[], readonly hosts: readonly PlannedHost[], readonly options: readonly PlannedOption[], readonly left: readonly Left[] }

interface Scope {
  readonly subnet?: PlannedSubnet | undefined, readonly host?: number | undefined, readonly shared?: Shared | undefined
  /** Options of the groups around, for the hosts in them. */
  readonly group: readonly Statement[]
  readonly pool?: boolean
}
interface Shared { readonly line: number, readonly from: number, seconds: number | null, readonly ranges: { readonly line: number, readonly start: string, readonly end: string }[], readonly options: Statement[] }

const types: Readonly<Record<string, Kind>> = {
  boolean: 'bool', text: 'text', string: 'bytes', 'ip-address': 'ip', 'array of ip-address': 'ip-list', 'domain-list': 'domain-list', 'array of integer 8': 'u8-list', 'array of unsigned integer 8': 'u8-list',
  'array of integer 16': 'u16-list', 'array of unsigned integer 16': 'u16-list', 'integer 8': 'u8', 'integer 16': 'u16', 'integer 32': 'u32', 'unsigned integer 8': 'u8', 'unsigned integer 16': 'u16', 'unsigned integer 32': 'u32', 'signed integer 32': 'i32'
}
export const longestId = 140 // bytes of a client id that an address is fixed for
const mostSeconds = 31_536_000
const most = 100_000 // statements, those of groups counted for each host
const quad = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/
const number = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

/** `within`: the text is no whole file, but what stands in the block of that subnet or host. Throws INVALID_REQUEST for a text that is too large. */
export function readIsc (text: string, within?: { readonly cidr: string } | { readonly mac: string }): IscPlan {
  const left: Left[] = []
  const subnets: PlannedSubnet[] = []
  const byCidr = new Map<string, PlannedSubnet>()
  const hosts: PlannedHost[] = []
  const options: PlannedOption[] = []
  const defined = new Map<string, { readonly code: number, readonly type: Kind }>()
  let seconds: { readonly value: number, readonly line: number } | undefined
  let taken = 0

  function opened (cidr: string, line: number): PlannedSubnet {
    const subnet: PlannedSubnet = { line, cidr, leaseSeconds: null, ranges: [] }
    subnets.push(subnet)
    byCidr.set(cidr, subnet)
    return subnet
  }
  const leave = (statement: Statement, why: string) => { left.push({ line: statement.line, what: shown(statement.words), why }) }
  const lone = (statement: Statement): string => statement.words.length === 2 ? statement.words[1]?.text ?? '' : ''

  function define (statement: Statement): void {
    const [, name, , code, equals, ...rest] = statement.words
    const type = types[rest.map(({ text }) => text).join(' ')]
    const number = Number(code?.text)
    if (name === undefined || equals?.text !== '=' || !Number.isInteger(number) || number < 1 || number > 254) leave(statement, 'it is no definition: option NAME code NUMBER = TYPE')
    else if (name.text.includes('.')) leave(statement, 'spaces of options are not taken; write vendor options as the bytes of option 43')
    else if (type === undefined) leave(statement, `the type is none of ${Object.keys(types).join(', ')}`)
    else defined.set(name.text, { code: number, type })
  }

  function option (statement: Statement, place: Place): void {
    const [, name, ...rest] = statement.words
    if (name === undefined) return leave(statement, 'no option is named')
    if (name.text === 'space') return leave(statement, 'spaces of options are not taken; write vendor options as the bytes of option 43')
    if (name.text.includes('.')) return leave(statement, `options of the space ${name.text.split('.')[0] ?? ''} are not taken; write vendor options as the bytes of option 43`)
    const own = defined.get(name.text)
    const known = own ?? optionByName(name.text)
    if (known === undefined) return leave(statement, `the option ${name.text} is not known; define it first: option ${name.text} code NUMBER = TYPE`)
    if (rest.length === 0) return leave(statement, 'it has no value')
    if (rest[0]?.text === '=' && !rest[0].quoted) return leave(statement, 'values that are computed are not taken')
    const value: { text: string, quoted: boolean }[] = []
    let fresh = true
    for (const { text, quoted } of rest) {
      if (text === ',' && !quoted) { fresh = true; continue }
      const last = value.at(-1)
      if (fresh || last === undefined) value.push({ text, quoted })
      else value[value.length - 1] = { text: `${last.text} ${text}`, quoted: last.quoted && quoted }
      fresh = false
    }
    if (value.length === 0) return leave(statement, 'it has no value')
    const type = own?.type ?? null
    options.push({ line: statement.line, place, name: name.text, code: known.code, value: valueOf(value, type ?? optionOf(known.code).kind), type })
  }

  function span (statement: Statement): { line: number, start: string, end: string } | undefined {
    const words = statement.words.slice(1).map(({ text }) => text).filter(word => word !== 'dynamic-bootp')
    const [start = '', end = start] = words
    if (words.length > 2 || !quad.test(start) || !quad.test(end)) { leave(statement, 'it is no range: range FIRST LAST'); return undefined }
    return { line: statement.line, start, end }
  }

  function leaseTime (statement: Statement): number | undefined {
    const given = /^\d{1,9}$/.test(lone(statement)) ? Number(lone(statement)) : 0
    if (given >= 30 && given <= mostSeconds) return given
    leave(statement, `a lease time is from 30 to ${mostSeconds} seconds`)
    return undefined
  }

  const placeOf = ({ host, subnet }: Scope): Place => host !== undefined ? { kind: 'host', host } : subnet !== undefined ? { kind: 'subnet', cidr: subnet.cidr } : { kind: 'global' }

  function block (statement: Statement, kind: string, scope: Scope): void {
    const body = statement.body ?? []
    const inner = (more: Partial<Scope>) => { for (const one of body) take(one, { ...scope, ...more }) }
    if (kind === 'subnet') {
      const cidr = prefixOf(statement.words)
      if (cidr === undefined) return leave(statement, 'it is no subnet: subnet ADDRESS netmask MASK { … }')
      const before = byCidr.get(cidr)
      if (before !== undefined) leave(statement, 'the subnet is declared twice; both are taken as one')
      inner({ subnet: before ?? opened(cidr, statement.line) })
    } else if (kind === 'shared-network') {
      const shared: Shared = { line: statement.line, from: subnets.length, seconds: null, ranges: [], options: [] }
      inner({ shared, subnet: undefined })
      close(shared)
    } else if (kind === 'pool') inner({ pool: true })
    else if (kind === 'group') {
      const isOwn = ({ words, body }: Statement) => body === undefined && (words[0]?.text === 'option' || words[0]?.text === 'filename' || words[0]?.text === 'next-server')
      const own = body.filter(isOwn)
      const group = [...scope.group, ...own]
      for (const one of body) if (!isOwn(one)) take(one, { ...scope, group })
      if (!body.some(one => one.body !== undefined)) for (const one of own) leave(one, 'no host is in this group')
    } else {
      const host = hosts.length
      hosts.push({ line: statement.line, name: statement.words[1]?.text ?? '', mac: null, clientId: null, addresses: [] })
      for (const one of scope.group) take(one, { group: [], host })
      for (const one of body) take(one, { group: [], host })
    }
  }

  /** What a shared network says goes to each subnet in it. */
  function close (shared: Shared): void {
    const mine = subnets.slice(shared.from)
    for (const range of shared.ranges) {
      const holder = mine.find(({ cidr }) => inside(cidr, range.start) && inside(cidr, range.end))
      if (holder === undefined) left.push({ line: range.line, what: `range ${range.start} ${range.end}`, why: 'no subnet of its shared network holds it' })
      else holder.ranges.push(range)
    }
    for (const subnet of mine) {
      subnet.leaseSeconds ??= shared.seconds
      for (const one of shared.options) take(one, { group: [], subnet })
    }
    if (mine.length === 0) left.push({ line: shared.line, what: 'shared-network', why: 'no subnet is in it' })
  }

  function inHost (statement: Statement, kind: string, index: number, host: PlannedHost): boolean {
    const given = statement.words.slice(1).map(({ text }) => text).filter(text => text !== ',')
    if (kind === 'hardware') {
      const mac = (given[1] ?? '').toLowerCase().split(':')
      if (given[0] !== 'ethernet' || mac.length !== 6 || !mac.every(part => /^[0-9a-f]{1,2}$/.test(part))) leave(statement, 'only "hardware ethernet" with a MAC address is taken')
      else host.mac = mac.map(part => part.padStart(2, '0')).join(':')
    } else if (kind === 'fixed-address') {
      for (const address of given) quad.test(address) ? host.addresses.push(address) : leave(statement, `"${address.slice(0, 60)}" is no IPv4 address; names are not looked up`)
    } else if (kind === 'uid' || (kind === 'option' && given[0] === 'dhcp-client-identifier')) {
      const word = statement.words.at(-1)
      const id = word === undefined ? '' : idOf(word)
      if (id.length < 4 || id.length > longestId * 2) leave(statement, `a client id is 2 to ${longestId} bytes: text in quotes, or hex with colons`)
      else host.clientId = id
    } else if (kind === 'filename' || kind === 'next-server') {
      const word = statement.words[1]
      if (word === undefined || statement.words.length !== 2) leave(statement, 'it has no value')
      else options.push({ line: statement.line, place: { kind: 'host', host: index }, name: kind, code: kind === 'filename' ? 67 : 66, value: word.text, type: null })
    } else return false
    return true
  }

  function take (statement: Statement, scope: Scope): void {
    if (++taken > most) throw new BedplateError('INVALID_REQUEST', { reason: `Line ${statement.line}: the file says more than ${most} things; import it in parts.` })
    const [first, second] = statement.words
    const kind = first === undefined || first.quoted ? '' : first.text.toLowerCase()
    const host = scope.host === undefined ? undefined : hosts[scope.host]
    if (statement.body !== undefined) {
      if (host === undefined && ['subnet', 'shared-network', 'pool', 'group', 'host'].includes(kind)) block(statement, kind, scope)
      else leave(statement, host !== undefined ? 'a host holds no blocks' : why(kind))
    } else if (host !== undefined && scope.host !== undefined && inHost(statement, kind, scope.host, host)) { /* taken */ } else if (kind === 'option' && statement.words[2]?.text === 'code') define(statement)
    else if (kind === 'option') {
      if (scope.pool) leave(statement, 'a pool has no options of its own; the subnet has')
      else if (scope.shared !== undefined && scope.subnet === undefined) scope.shared.options.push(statement)
      else option(statement, placeOf(scope))
    } else if (kind === 'range') {
      const range = span(statement)
      if (range === undefined) return
      if (scope.subnet !== undefined && host === undefined) inside(scope.subnet.cidr, range.start) && inside(scope.subnet.cidr, range.end) ? scope.subnet.ranges.push(range) : leave(statement, `it lies outside ${scope.subnet.cidr}`)
      else if (scope.shared !== undefined) scope.shared.ranges.push(range)
      else leave(statement, 'it is in no subnet')
    } else if (kind === 'default-lease-time') {
      if (host !== undefined || scope.pool) return leave(statement, 'lease times are set by subnet')
      const given = leaseTime(statement)
      if (given === undefined) return
      if (scope.subnet !== undefined) scope.subnet.leaseSeconds = given
      else if (scope.shared !== undefined) scope.shared.seconds = given
      else seconds = { value: given, line: statement.line }
    } else if (kind === 'filename' || kind === 'next-server') leave(statement, 'Bedplate\'s racks serve the boot files and choose them by the firmware; within a host it is taken')
    else if (idle.has(kind) || (second === undefined && kind === 'authoritative')) { /* so anyway */ } else leave(statement, why(kind))
  }

  const outermost: Scope = within === undefined ? { group: [] } : 'mac' in within ? { group: [], host: hosts.push({ line: 1, name: within.mac, mac: within.mac, clientId: null, addresses: [] }) - 1 } : { group: [], subnet: opened(within.cidr, 1) }
  for (const statement of statementsOf(text, left)) take(statement, outermost)
  for (const subnet of subnets) subnet.leaseSeconds ??= seconds?.value ?? null
  if (seconds !== undefined && subnets.length === 0) left.push({ line: seconds.line, what: `default-lease-time ${seconds.value}`, why: 'lease times are set by subnet, and the file has none' })
  left.sort((a, b) => a.line - b.line)
  return { subnets, hosts, options, left }
}

/** What was written, as the registry reads values of that kind. */
function valueOf (written: readonly { readonly text: string, readonly quoted: boolean }[], kind: Kind): OptionValue {
  const parts = written.map(({ text, quoted }) => kind === 'bool' ? text === 'on' || text === 'true' ? true : text === 'off' || text === 'false' ? false : text : quoted && (kind === 'bytes' || kind === 'encapsulated') ? `"${text}"` : text)
  if (kind === 'ip-pairs') return parts.flatMap(part => String(part).split(' '))
  return parts.length === 1 ? parts[0] ?? '' : parts
}

const why = (kind: string): string => Object.hasOwn(reasons, kind) ? reasons[kind] as string : kind === '' ? 'it is no statement' : `Bedplate has no "${kind.slice(0, 40)}"`

/** `subnet A netmask M` as a prefix; undefined when it is none. */
function prefixOf (words: readonly Word[]): string | undefined {
  const [, address, netmask, mask] = words.map(({ text }) => text)
  if (netmask !== 'netmask' || address === undefined || mask === undefined || words.length !== 4 || !quad.test(address) || !quad.test(mask)) return undefined
  const bits = number(mask).toString(2).padStart(32, '0')
  const length = bits.indexOf('0') === -1 ? 32 : bits.indexOf('0')
  if (bits.slice(length).includes('1') || number(address) % 2 ** (32 - length) !== 0) return undefined
  return `${address}/${length}`
}

const inside = (cidr: string, address: string): boolean => {
  const [network = '', length] = cidr.split('/')
  const size = 2 ** (32 - Number(length))
  return Math.floor(number(network) / size) === Math.floor(number(address) / size)
}

/** A client id in hex: text in quotes, or bytes with colons. */
function idOf ({ text, quoted }: Word): string {
  if (quoted) return Buffer.from(text, 'utf8').toString('hex')
  const parts = text.toLowerCase().split(':')
  return parts.every(part => /^[0-9a-f]{1,2}$/.test(part)) ? parts.map(part => part.padStart(2, '0')).join('') : ''
}
