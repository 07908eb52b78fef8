/** `bedplate dhcp vlan|subnet|option|fixed|lease|import|rogues`: who gives addresses where, what clients are told, and who has which address. */
import { readFile } from 'node:fs/promises'
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { Failure, sentenceOf } from '../failure.ts'
import { controllerNames, findController, findSubnet, findVlan, vlanOrOnly } from '../names.ts'
import type { Subnet, Vlan } from '../names.ts'
import { ago } from '../output.ts'
import type { Output } from '../output.ts'
import type { Noun, On } from '../session.ts'
import { rogueCommand } from './rogues.ts'
import { integer } from './vlan.ts'

interface Dhcp { readonly id: string, readonly enabled: boolean, readonly mode: string, readonly v6: string, readonly racks: readonly string[], readonly serving: readonly string[] }
interface Settings { readonly id: string, readonly cidr: string, readonly leaseSeconds: number | null, readonly firmwareSeconds: number | null, readonly domain: string | null, readonly search: readonly string[], readonly ntp: readonly string[] }
interface Custom { readonly scope: string, readonly code: number, readonly name: string, readonly type: string | null, readonly value: unknown, readonly data: string }
interface Definition { readonly code: number, readonly name: string, readonly type: string, readonly refused: string | null }
interface Fixed { readonly address: string, readonly subnetId: string, readonly clientId: string, readonly hostname: string | null }
interface Lease { readonly address: string, readonly subnet: string, readonly state: string, readonly client: string | null, readonly clientId: string | null, readonly hostname: string | null, readonly rack: string | null, readonly expires: string | null }
interface Holding { readonly address: string, readonly client: string, readonly hostname: string | null, readonly since: string, readonly until: string | null }
interface Missing { readonly subnets: readonly { readonly cidr: string, readonly gateway: string | null, readonly dnsServers: readonly string[] }[], readonly ranges: readonly { readonly cidr: string, readonly start: string, readonly end: string }[] }
interface Report { readonly dryRun: boolean, readonly taken: readonly { readonly line: number, readonly what: string }[], readonly left: readonly { readonly line: number, readonly what: string, readonly why: string }[], readonly missing: Missing }

const vlanArgument = 'id, name, fabric/name, or the CIDR of a subnet on it'
const subnetArgument = 'id, name or CIDR'

export const dhcpCommands: Noun = (program, on) => {
  const noun = program.command('dhcp').description('who gives addresses where, what clients are told, and who has which address')
  vlanCommands(noun, on)
  subnetCommands(noun, on)
  optionCommands(noun, on)
  fixedCommands(noun, on)
  leaseCommands(noun, on)
  importCommand(noun, on)
  rogueCommand(noun, on)
}

function vlanCommands (parent: Command, on: On): void {
  const noun = parent.command('vlan').description('where addresses are given, how, and by which racks')
  on(noun.command('list').description('DHCP of every VLAN'), async ({ client, output }) => {
    const [served, vlans, nameOf] = [await client.list<Dhcp>('/dhcp/vlans'), await client.list<Vlan>('/network/vlans'), await controllerNames(client)]
    output.rows(served, [['VLAN', ({ id }) => vlans.find(vlan => vlan.id === id)?.name ?? id], ['ID', ({ id }) => id], ['DHCP', ({ enabled }) => enabled ? 'on' : 'off'], ['IPV4', ({ mode }) => mode], ['IPV6', ({ v6 }) => v6],
      ['RACKS', ({ enabled, serving }) => !enabled ? null : serving.length === 0 ? 'no rack serves it' : serving.map(nameOf)]], 'No VLANs.')
  })
  on<{ rack?: string[], mode?: string, v6?: string, via?: string }>(noun.command('enable').description('serve a VLAN').argument('<vlan>', vlanArgument)
    .option('--rack <rack...>', 'the racks that do it, by id or hostname, the first answers first; by default every rack on the VLAN')
    .addOption(new Option('--mode <mode>', 'IPv4: give addresses, only say what to boot where another server gives them, or nothing').choices(['server', 'proxy', 'off']))
    .option('--via <vlan>', 'the VLAN its relays send to, where no rack is on this one; "none": racks are on it again')
    .addOption(new Option('--v6 <mode>', 'DHCPv6: nothing, options alone, or addresses').choices(['off', 'stateless', 'stateful'])), async ({ client, output }, [given = ''], { rack, mode, v6, via }) => {
    const { id, name } = await findVlan(client, given)
    const racks = rack === undefined ? undefined : await Promise.all(rack.map(async one => (await findController(client, one)).id))
    const dhcp = await client.send<Dhcp>('PUT', `/dhcp/vlans/${id}`, { enabled: true, ...racks === undefined ? {} : { racks }, ...mode === undefined ? {} : { mode }, ...v6 === undefined ? {} : { v6 }, ...via === undefined ? {} : { via: via === 'none' ? null : (await findVlan(client, via)).id } })
    output.done(`DHCP is on for VLAN ${name} (IPv4: ${dhcp.mode}, IPv6: ${dhcp.v6}), served by ${dhcp.serving.map(await controllerNames(client)).join(', ') || 'no rack yet'}.`, dhcp)
  })
  on(noun.command('disable').description('serve a VLAN no more').argument('<vlan>', vlanArgument), async ({ client, output }, [given = '']) => {
    const { id, name } = await findVlan(client, given)
    output.done(`DHCP is off for VLAN ${name}.`, await client.send('PUT', `/dhcp/vlans/${id}`, { enabled: false }))
  })
}

function subnetCommands (parent: Command, on: On): void {
  const noun = parent.command('subnet').description('lease times and names of a subnet\'s clients')
  on(noun.command('list').description('DHCP settings of every subnet'), async ({ client, output }) => {
    output.rows(await client.list<Settings>('/dhcp/subnets'), [['SUBNET', one => one.cidr], ['LEASE', one => one.leaseSeconds ?? 'default'], ['FIRMWARE', one => one.firmwareSeconds ?? 'default'], ['DOMAIN', one => one.domain], ['SEARCH', one => one.search], ['NTP', one => one.ntp]], 'No subnets.')
  })
  on<{ lease?: Seconds, firmwareLease?: Seconds, domain?: string, search?: string[], ntp?: string[] }>(noun.command('set').description('change what is given, and leave the rest').argument('<subnet>', subnetArgument)
    .option('--lease <seconds>', 'lease time; default: the configuration\'s', orDefault).option('--firmware-lease <seconds>', 'lease time of boot firmware; default: the configuration\'s', orDefault)
    .option('--domain <name>', 'domain name; none: no name').option('--search <name...>', 'domains to search names in; none: no list').option('--ntp <address...>', 'time servers; none: no list'), async ({ client, output }, [given = ''], { lease, firmwareLease, domain, search, ntp }) => {
    const subnet = await findSubnet(client, given)
    const { id, cidr, ...before } = await client.get<Settings>(`/dhcp/subnets/${subnet.id}`)
    const list = (values: string[]) => values.length === 1 && values[0] === 'none' ? [] : values
    const settings = await client.send<Settings>('PUT', `/dhcp/subnets/${id}`, {
      ...before, ...lease === undefined ? {} : { leaseSeconds: secondsOf(lease) }, ...firmwareLease === undefined ? {} : { firmwareSeconds: secondsOf(firmwareLease) },
      ...domain === undefined ? {} : { domain: domain === 'none' ? null : domain }, ...search === undefined ? {} : { search: list(search) }, ...ntp === undefined ? {} : { ntp: list(ntp) }
    })
    output.done(`Subnet ${cidr} is set.`, settings)
  })
}
type Seconds = number | 'default'
const secondsOf = (given: Seconds): number | null => given === 'default' ? null : given
function orDefault (text: string): Seconds {
  if (text === 'default') return text
  try { return integer(text) } catch { throw new InvalidArgumentError('Write a whole number of seconds, or: default.') }
}

interface ScopeFlags { readonly subnet?: string, readonly mac?: string }
const scoped = (command: Command): Command => command.option('--subnet <subnet>', `of one subnet: ${subnetArgument}`).option('--mac <mac>', 'of one machine, by its MAC in any common form')
/** The scope as the API names it, and as people do. */
async function scopeOf (client: Client, { subnet, mac }: ScopeFlags): Promise<readonly [scope: string, said: string]> {
  if (subnet !== undefined && mac !== undefined) throw new Failure('Give --subnet or --mac, not both.', { exitCode: 2 })
  if (mac !== undefined) return [`mac:${mac}`, mac]
  if (subnet === undefined) return ['global', 'everybody']
  const { id, cidr } = await findSubnet(client, subnet)
  return [`subnet:${id}`, `subnet ${cidr}`]
}
const optionPath = (scope: string, name: string) => `/dhcp/options/${encodeURIComponent(scope)}/${encodeURIComponent(name)}`
const written = (value: unknown): string => typeof value === 'string' ? value : Array.isArray(value) ? value.map(written).join(', ') : JSON.stringify(value)

function optionCommands (parent: Command, on: On): void {
  const noun = parent.command('option').description('what clients are told besides: everybody, a subnet or a machine; the narrower one counts')
  on<ScopeFlags>(scoped(noun.command('list').description('options that were set')), async ({ client, output }, _, flags) => {
    const query = flags.subnet === undefined && flags.mac === undefined ? '' : `?scope=${encodeURIComponent((await scopeOf(client, flags))[0])}`
    const [options, subnets] = [await client.list<Custom>(`/dhcp/options${query}`), await client.list<Subnet>('/network/subnets')]
    const said = (scope: string) => scope.startsWith('subnet:') ? subnets.find(({ id }) => `subnet:${id}` === scope)?.cidr ?? scope : scope.startsWith('mac:') ? scope.slice(4) : 'everybody'
    output.rows(options, [['FOR', one => said(one.scope)], ['OPTION', one => one.name], ['CODE', one => one.code], ['VALUE', one => written(one.value)], ['TYPE', one => one.type]], 'No options. Set one: bedplate dhcp option set ntp-servers 10.0.0.7')
  })
  on(noun.command('names').description('options that have a name, and what they hold').argument('[text]', 'only those with this in the name, or of this number'), async ({ client, output }, [text = '']) => {
    const items = (await client.list<Definition>('/dhcp/option-definitions')).filter(({ name, code }) => name.includes(text.toLowerCase()) || String(code) === text)
    output.rows(items, [['CODE', one => one.code], ['OPTION', one => one.name], ['TYPE', one => one.type], ['SET BY', one => one.refused === null ? 'operators' : one.refused]], `No option has ${text} in its name.`)
  })
  on<ScopeFlags & { type?: string }>(scoped(noun.command('set').description('set an option; it is checked at once').argument('<option>', 'name (ntp-servers) or number').argument('<value>', 'as text; lists with commas'))
    .option('--type <type>', 'of an option without a name: ip, ip-list, u8, u16, u32, text, bytes, …'), async ({ client, output }, [name = '', value = ''], { type, ...flags }) => {
    const [scope, said] = await scopeOf(client, flags)
    const option = await client.send<Custom>('PUT', optionPath(scope, name), { value, ...type === undefined ? {} : { type } })
    output.done(`Option ${option.name} (${option.code}) is set for ${said}.`, option)
  })
  on<ScopeFlags>(scoped(noun.command('unset').description('take an option back').argument('<option>', 'name or number')), async ({ client, output }, [name = ''], flags) => {
    const [scope, said] = await scopeOf(client, flags)
    await client.send('DELETE', optionPath(scope, name))
    output.done(`Option ${name} is not set for ${said} any more.`, { scope, option: name })
  })
}

function fixedCommands (parent: Command, on: On): void {
  const noun = parent.command('fixed').description('addresses that belong to a client id; those of MACs: bedplate address reserve')
  on(noun.command('list').description('all of them'), async ({ client, output }) => {
    output.rows(await client.list<Fixed>('/dhcp/fixed'), [['ADDRESS', one => one.address], ['CLIENT ID', one => one.clientId], ['HOSTNAME', one => one.hostname]], 'No addresses are fixed by client id.')
  })
  on<{ clientId: string, hostname?: string }>(noun.command('set').description('give an address to a client id for good').argument('<address>', 'outside every range, or in a reserved one')
    .requiredOption('--client-id <id>', 'hex with or without colons, or a text in double quotes').option('--hostname <name>'), async ({ client, output }, [address = ''], { clientId, hostname }) => {
    const fixed = await client.send<Fixed>('PUT', `/dhcp/fixed/${encodeURIComponent(address)}`, { clientId, ...hostname === undefined ? {} : { hostname } })
    output.done(`Address ${fixed.address} belongs to client id ${fixed.clientId}.`, fixed)
  })
  on(noun.command('unset').description('take an address back').argument('<address>'), async ({ client, output }, [address = '']) => {
    await client.send('DELETE', `/dhcp/fixed/${encodeURIComponent(address)}`)
    output.done(`Address ${address} is free.`, { address })
  })
}

function leaseCommands (parent: Command, on: On): void {
  const noun = parent.command('lease').description('who has which address, and who had it')
  const states = ['all', 'active', 'expired', 'retiring', 'set-aside', 'quarantine', 'block', 'reserve']
  on<{ subnet?: string, mac?: string, clientId?: string, address?: string, hostname?: string, state: string }>(noun.command('list').description('leases, by address')
    .option('--subnet <subnet>', subnetArgument).option('--mac <mac>', 'any common form').option('--client-id <id>', 'hex').option('--address <address>').option('--hostname <name>', 'as the client calls itself')
    .addOption(new Option('--state <state>', 'what addresses are').choices(states).default('active')), async ({ client, output }, _, { subnet, state, clientId, ...given }) => {
    const query = new URLSearchParams({ ...given, ...clientId === undefined ? {} : { clientId }, ...state === 'all' ? {} : { state }, ...subnet === undefined ? {} : { subnet: (await findSubnet(client, subnet)).id } })
    const nameOf = await controllerNames(client)
    output.rows(await client.list<Lease>(`/dhcp/leases?${query}`), [['ADDRESS', one => one.address], ['STATE', one => one.state], ['CLIENT', one => one.client ?? (one.rack === null ? null : `rack ${nameOf(one.rack)}`)], ['HOSTNAME', one => one.hostname], ['CLIENT ID', one => one.clientId],
      ['EXPIRES', one => one.expires === null || one.state === 'set-aside' ? null : ago(one.expires)]], state === 'all' ? 'No leases.' : `No leases that are ${state}; --state all shows the others.`)
  })
  on<{ at?: string }>(noun.command('history').description('who had an address, the last first').argument('<address>').option('--at <time>', 'who had it then, for example 2030-01-31T12:00:00Z'), async ({ client, output }, [address = ''], { at }) => {
    const { items } = await client.get<{ readonly items: readonly Holding[] }>(`/dhcp/addresses/${encodeURIComponent(address)}/history?limit=1000${at === undefined ? '' : `&at=${encodeURIComponent(at)}`}`)
    output.rows(items, [['CLIENT', one => one.client], ['HOSTNAME', one => one.hostname], ['SINCE', one => one.since], ['UNTIL', one => one.until ?? 'now']], at === undefined ? `Nobody is known to have had ${address}.` : `Nobody is known to have had ${address} then.`)
  })
  on(noun.command('release').description('end the claim of an address\'s client, or its quarantine').argument('<address>'), async ({ client, output }, [address = '']) => {
    await client.send('DELETE', `/dhcp/leases/${encodeURIComponent(address)}`)
    output.done(`The claim to ${address} is ended: it is free after its lease, unless its client asks for it again.`, { address })
  })
}

/** Adds what an import needs and the network lacks. */
async function addMissing (client: Client, output: Output, { subnets, ranges }: Missing, vlan: string | undefined): Promise<void> {
  const vlanId = subnets.length === 0 ? '' : (await vlanOrOnly(client, vlan)).id
  for (const subnet of subnets) {
    await client.send('POST', '/network/subnets', { vlanId, ...subnet })
    output.note(`Subnet ${subnet.cidr} added.`)
  }
  for (const { cidr, start, end } of ranges) {
    await client.send('POST', '/network/ranges', { subnetId: (await findSubnet(client, cidr)).id, kind: 'dynamic', start, end })
    output.note(`Dynamic range ${start} to ${end} added.`)
  }
}

function importCommand (parent: Command, on: On): void {
  on<ScopeFlags & { dryRun?: boolean, addNetwork?: boolean, vlan?: string }>(parent.command('import').description('take over what an ISC dhcpd.conf says, and name what cannot be').argument('<file>').option('--dry-run', 'only say what would be done')
    .option('--add-network', 'first add the subnets and dynamic ranges that are not there').option('--vlan <vlan>', `where new subnets belong: ${vlanArgument}; by default the only one`)
    .option('--subnet <subnet>', `the file is what stands in the block of this subnet: ${subnetArgument}`).option('--mac <mac>', 'the file is what stands in the block of this host, by its MAC'), async ({ client, output }, [file = ''], { dryRun, addNetwork, vlan, ...flags }) => {
    const text = await readFile(file, 'utf8').catch((error: unknown) => { throw new Failure(`${file} cannot be read: ${sentenceOf(error)}`, { exitCode: 2 }) })
    const [scope] = await scopeOf(client, flags)
    const send = (dry: boolean) => client.send<Report>('POST', `/dhcp/import?dryRun=${dry}${scope === 'global' ? '' : `&scope=${encodeURIComponent(scope)}`}`, { text })
    if (addNetwork === true && dryRun !== true) await addMissing(client, output, (await send(true)).missing, vlan)
    const report = await send(dryRun === true)
    output.item(report, [[report.dryRun ? 'Would be taken' : 'Taken', () => report.taken.length], ['Left', () => report.left.length]], [
      { title: report.dryRun ? 'What would be taken' : 'What was taken', rows: report.taken.map(({ line, what }) => [`line ${line}`, what]) },
      { title: 'What is left, and why', rows: report.left.map(({ line, what, why }) => [`line ${line}`, what, why]) }
    ])
  })
}
