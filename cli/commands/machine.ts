/** `bedplate machine list|show|create|rename|tag|set-boot|delete|events|boots`: the machines, and their history. */
import { Argument, Option } from 'commander'
import { ways } from '../../plugins/images/manifest.ts'
import type { Client } from '../client.ts'
import type { Vlan } from '../names.ts'
import { begin, boots, shortName, type Request } from '../boots.ts'
import { controllerNames } from '../names.ts'
import { ago, bytes } from '../output.ts'
import type { Column } from '../output.ts'
import type { Noun } from '../session.ts'
import { integer } from './vlan.ts'

export interface Machine {
  readonly id: string, readonly hostname: string, readonly status: string, readonly reason: string | null, readonly since: string, readonly deadline: string | null, readonly architecture: string, readonly firmware: string, readonly owner: string | null
  readonly interfaces: readonly { readonly mac: string, readonly name: string | null, readonly vlanId: string | null, readonly boot: boolean }[]
  readonly inventory: null | {
    readonly cpu: { readonly count: number, readonly model: string }, readonly memory: number, readonly disks: readonly { readonly name: string, readonly size: number, readonly model: string | null }[], readonly dmi: Readonly<Record<string, string>>, readonly bmc?: { readonly address: string }, readonly secureBoot?: boolean
  }
  readonly deployment: null | { readonly imageId: string, readonly sshKeys: readonly string[], readonly disk: string | null }
  readonly hostKeys: readonly string[], readonly tags?: readonly string[] /* not told by a region one version older */, readonly bootWay: string | null
  readonly power: { readonly driver: string | null, readonly state: string, readonly checkedAt: string | null, readonly error: string | null }
}
export interface MachineEvent { readonly id: string, readonly at: string, readonly type: string, readonly level: string, readonly message: string }

const lastEvents = 8
export const path = (name: string, rest = ''): string => `/machines/${encodeURIComponent(name)}${rest}`

/** Addresses that are the machine's, and those its interfaces have been lent by DHCP. */
async function addressesOf (client: Client, { id, interfaces }: Machine): Promise<{ readonly mac: string | null, readonly address: string, readonly leased: boolean }[]> {
  const fixed = await client.list<{ readonly address: string, readonly mac: string | null }>(`/network/addresses?owner=${encodeURIComponent(id)}`)
  const leases = await Promise.all(interfaces.map(({ mac }) => client.list<{ readonly address: string, readonly mac: string, readonly expires: string }>(`/dhcp/bindings?mac=${encodeURIComponent(mac)}`)))
  const living = leases.flat().filter(({ address, expires }) => Date.parse(expires) > Date.now() && !fixed.some(one => one.address === address))
  return [...fixed.map(one => ({ ...one, leased: false })), ...living.map(({ address, mac }) => ({ address, mac, leased: true }))]
}
const modelOf = ({ inventory }: Machine): string => [inventory?.dmi.sys_vendor, inventory?.dmi.product_name, inventory?.dmi.product_serial === undefined ? '' : `(${inventory.dmi.product_serial})`].filter(part => part !== undefined && part !== '').join(' ')
const powerOf = ({ power }: Machine): string => `${power.state}, by ${power.driver ?? 'hand'}${power.checkedAt === null ? '' : `, seen ${ago(power.checkedAt)}`}${power.error === null ? '' : `: ${power.error}`}`
/** Why it is where it is, and in a state that must not last, how long it may. */
const whyOf = ({ reason, deadline }: Machine): string => [reason, deadline === null ? null : `fails ${ago(deadline)} unless it gets on`].filter(part => part !== null).join('; ')

export const machineCommands: Noun = (program, on) => {
  const noun = program.command('machine').description('what is provisioned')

  on<{ status?: string, tag?: string }>(noun.command('list').description('all machines').option('--status <status>', 'only those: New, Ready, Deployed, …').option('--tag <tag>', 'only those with it'), async ({ client, output }, _, { status, tag }) => {
    const query = new URLSearchParams({ ...status === undefined ? {} : { status }, ...tag === undefined ? {} : { tag } })
    output.rows(await client.list<Machine>(`/machines${query.size === 0 ? '' : `?${query}`}`), [['HOSTNAME', m => m.hostname], ['STATUS', m => m.status], ['SINCE', m => ago(m.since)], ['POWER', m => m.power.state], ['ARCH', m => m.architecture],
      ['CPUS', m => m.inventory?.cpu.count], ['MEMORY', m => m.inventory === null ? null : bytes(m.inventory.memory * 2 ** 20)], ['DISKS', m => m.inventory?.disks.length], ['MAC', m => m.interfaces.find(({ boot }) => boot)?.mac], ['ID', m => m.id], ['REASON', m => whyOf({ ...m, reason: m.reason ?? m.power.error })]],
    status !== undefined ? `No machine is ${status}.` : tag !== undefined ? `No machine is tagged ${tag}.` : 'No machines. Switch one on in a served network, or register it: bedplate machine create --mac <mac>')
  })
  on(noun.command('show').description('one machine').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    const machine = await client.get<Machine>(path(name))
    const [addresses, vlans, events] = [await addressesOf(client, machine), await client.list<Vlan>('/network/vlans'), await client.list<MachineEvent>(path(machine.id, '/events'))]
    const told = events.filter(({ level }) => level !== 'debug').slice(-lastEvents)
    const fields: readonly Column<Machine>[] = [
      ['Hostname', m => m.hostname], ['ID', m => m.id], ['Status', m => `${m.status}, since ${ago(m.since)}`], ['Reason', m => whyOf(m)], ['Power', powerOf], ['Owner', m => m.owner], ['Tags', m => m.tags?.join(', ')], ['Root by', m => m.bootWay],
      ['Hardware', modelOf], ['CPU', m => m.inventory === null ? 'commissioning finds out' : `${m.inventory.cpu.count} × ${m.inventory.cpu.model}, ${m.architecture}, ${m.firmware}${m.inventory.secureBoot === true ? ' with Secure Boot' : ''}`], ['Memory', m => m.inventory === null ? null : bytes(m.inventory.memory * 2 ** 20)], ['BMC', m => m.inventory?.bmc === undefined ? null : `${m.inventory.bmc.address}, as the machine says`],
      ['Image', m => m.deployment === null ? null : `${m.deployment.imageId}${m.deployment.disk === null ? '' : ` on ${m.deployment.disk}`}, ${m.deployment.sshKeys.length === 1 ? 'one SSH key' : `${m.deployment.sshKeys.length} SSH keys`}`]
    ]
    output.item({ ...machine, addresses: addresses.map(({ address }) => address) }, fields.filter(([, cell]) => (cell(machine) ?? '') !== ''), [
      { title: 'Interfaces', rows: machine.interfaces.map(({ mac, name, vlanId, boot }) => [name, mac, vlans.find(({ id }) => id === vlanId)?.name, addresses.filter(one => one.mac === mac).map(({ address, leased }) => leased ? `${address} (lease)` : address), boot ? 'boots' : ' ']) },
      { title: 'Disks', rows: machine.inventory?.disks.map(({ name, size, model }) => [name, bytes(size), model]) ?? [] },
      { title: 'Host keys', rows: machine.hostKeys.map(key => [key]) },
      { title: events.length > told.length ? `Last events (all: bedplate machine events ${machine.hostname})` : 'Events', rows: told.map(({ at, level, message }) => [ago(at), level, message]) }
    ])
  })
  on<{ mac: string[], hostname?: string, architecture?: string, power?: string }>(noun.command('create').description('register a machine by hand').requiredOption('--mac <mac...>', 'its interfaces; the first is the one it boots from').option('--hostname <name>').option('--architecture <name>', 'by default amd64')
    .option('--power <url>', 'its BMC, for example redfish+https://user:password@10.0.0.9'), async ({ client, output }, _, { mac, hostname, architecture, power }) => {
    const machine = await client.send<Machine & { readonly id: string }>('POST', '/machines', { macs: mac, ...hostname === undefined ? {} : { hostname }, ...architecture === undefined ? {} : { architecture }, ...power === undefined ? {} : { power: { address: power } } })
    output.done(`Machine ${machine.hostname} is registered, id ${machine.id}.`, machine)
  })
  on(noun.command('rename').description('give a machine another hostname').argument('<machine>', 'id or hostname').argument('<hostname>'), async ({ client, output }, [name = '', hostname]) => {
    const machine = await client.send<Machine & { readonly id: string }>('PATCH', path(name), { hostname })
    output.done(`Machine ${name} is now ${machine.hostname}.`, machine)
  })
  on(noun.command('tag').description('put tags on a machine, or take them off').argument('<machine>', 'id or hostname').addArgument(new Argument('<what>').choices(['add', 'remove'])).argument('<tag...>'), async ({ client, output }, [name = '', what, ...tags]) => {
    let machine: Machine | undefined
    for (const tag of tags) machine = await client.send<Machine>(what === 'add' ? 'PUT' : 'DELETE', path(name, `/tags/${encodeURIComponent(tag)}`))
    if (machine !== undefined) output.done((machine.tags ?? []).length === 0 ? `Machine ${machine.hostname} has no tags.` : `Machine ${machine.hostname} is tagged ${machine.tags?.join(', ')}.`, machine)
  })
  on<{ way: string }>(noun.command('set-boot').description('say how a system that runs from memory gets its root').argument('<machine>', 'id or hostname')
    .addOption(new Option('--way <way>', 'http: into memory; iscsi: it stays on the rack; initrd: with the boot loader; default: as the image says').choices([...ways, 'default']).makeOptionMandatory()), async ({ client, output }, [name = ''], { way }) => {
    const machine = await client.send<Machine>('PATCH', path(name), { bootWay: way === 'default' ? null : way })
    output.done(machine.bootWay === null ? `Machine ${machine.hostname} gets its root as its image says.` : `Machine ${machine.hostname} gets its root by ${machine.bootWay}.`, machine)
  })
  on(noun.command('delete').description('forget a machine').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    await client.send('DELETE', path(name))
    output.done(`Machine ${name} is forgotten.`, { machine: name })
  })
  on<{ last: number }>(noun.command('boots').description('what a machine fetched each time it booted, and from where').argument('<machine>', 'id or hostname').option('--last <number>', 'so many boots', integer, 1), async ({ client, output }, [name = ''], { last }) => {
    const all = boots((await client.list<MachineEvent & { readonly data: Request['data'] | null }>(path(name, '/events'))).flatMap(({ type, at, data }) => type === 'boot' && data !== null && 'what' in data ? [{ at, data }] : []))
    const shown = all.slice(-Math.max(1, last)).map((boot, index, those) => ({ number: all.length - those.length + index + 1, ...boot }))
    const nameOf = await controllerNames(client)
    const lines = shown.flatMap(boot => boot.requests.map(request => ({ ...request, number: boot.number, after: (begin(request) - Date.parse(boot.from)) / 1000 })))
    output.rows(lines, [['BOOT', one => one.number], ['AT', one => new Date(begin(one)).toISOString()], ['AFTER', one => `${one.after.toFixed(1)} s`], ['WHAT', one => shortName(one.data.what)], ['BY', one => one.data.by], ['RACK', one => nameOf(one.data.rack)],
      ['BYTES', one => bytes(one.data.bytes)], ['TOOK', one => `${(one.data.milliseconds / 1000).toFixed(1)} s`], ['AGAIN', one => one.data.retries === undefined || one.data.retries === 0 ? null : one.data.retries], ['FAILED', one => one.data.failure]], 'It has not booted over the network yet.')
  })
  on(noun.command('events').description('the history of a machine, oldest first').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    output.rows(await client.list<MachineEvent>(path(name, '/events')), [['AT', event => event.at], ['LEVEL', event => event.level], ['TYPE', event => event.type], ['MESSAGE', event => event.message]], 'Nothing has happened to it yet.')
  })
}
