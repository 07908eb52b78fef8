/** `bedplate machine list|show|create|rename|delete|events`: the machines, and their history. */
import type { Client } from '../client.ts'
import { bytes } from '../output.ts'
import type { Noun } from '../session.ts'

export interface Machine {
  readonly id: string, readonly hostname: string, readonly status: string, readonly reason: string | null, readonly since: string, readonly deadline: string | null, readonly architecture: string, readonly firmware: string, readonly owner: string | null
  readonly interfaces: readonly { readonly mac: string, readonly name: string | null, readonly boot: boolean }[]
  readonly inventory: null | {
    readonly cpu: { readonly count: number, readonly model: string }, readonly memory: number, readonly disks: readonly { readonly name: string, readonly size: number, readonly model: string | null }[], readonly dmi: Readonly<Record<string, string>>
  }
  readonly deployment: null | { readonly imageId: string, readonly sshKeys: readonly string[] }
  readonly power: { readonly driver: string | null, readonly state: string, readonly error: string | null }
}
export interface MachineEvent { readonly id: string, readonly at: string, readonly type: string, readonly level: string, readonly message: string }

export const path = (name: string, rest = ''): string => `/machines/${encodeURIComponent(name)}${rest}`
const addressesOf = async (client: Client, id: string): Promise<string[]> => (await client.list<{ address: string }>(`/network/addresses?owner=${encodeURIComponent(id)}`)).map(({ address }) => address)

export const machineCommands: Noun = (program, on) => {
  const noun = program.command('machine').description('what is provisioned')

  on<{ status?: string }>(noun.command('list').description('all machines').option('--status <status>', 'only those: New, Ready, Deployed, …'), async ({ client, output }, _, { status }) => {
    output.rows(await client.list<Machine>(`/machines${status === undefined ? '' : `?status=${encodeURIComponent(status)}`}`), [['ID', m => m.id], ['HOSTNAME', m => m.hostname], ['STATUS', m => m.status], ['POWER', m => m.power.state], ['ARCH', m => m.architecture], ['FIRMWARE', m => m.firmware],
      ['CPUS', m => m.inventory?.cpu.count], ['MEMORY', m => m.inventory === null ? null : bytes(m.inventory.memory * 2 ** 20)], ['MAC', m => m.interfaces.find(({ boot }) => boot)?.mac], ['REASON', m => m.reason]], 'No machines. Switch one on in a served network, or register it: bedplate machine create --mac <mac>')
  })
  on(noun.command('show').description('one machine').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    const machine = await client.get<Machine>(path(name))
    const addresses = await addressesOf(client, machine.id)
    output.item({ ...machine, addresses }, [
      ['ID', m => m.id], ['Hostname', m => m.hostname], ['Status', m => m.status], ['Reason', m => m.reason], ['Since', m => m.since], ['Deadline', m => m.deadline], ['Owner', m => m.owner],
      ['Power', m => `${m.power.state} (${m.power.driver ?? 'no driver'})${m.power.error === null ? '' : `: ${m.power.error}`}`], ['Architecture', m => m.architecture], ['Firmware', m => m.firmware],
      ['CPU', m => m.inventory === null ? null : `${m.inventory.cpu.count} × ${m.inventory.cpu.model}`], ['Memory', m => m.inventory === null ? null : bytes(m.inventory.memory * 2 ** 20)],
      ['Disks', m => m.inventory?.disks.map(disk => `${disk.name} ${bytes(disk.size)}${disk.model === null ? '' : ` ${disk.model}`}`)],
      ['Interfaces', m => m.interfaces.map(({ mac, name, boot }) => `${name ?? '?'} ${mac}${boot ? ' (boots)' : ''}`)], ['Addresses', m => m.addresses],
      ['Hardware', m => [m.inventory?.dmi.manufacturer, m.inventory?.dmi.product, m.inventory?.dmi.serial].filter(part => part !== undefined && part !== '').join(' ')],
      ['Image', m => m.deployment?.imageId], ['SSH keys', m => m.deployment?.sshKeys.length]
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
  on(noun.command('delete').description('forget a machine').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    await client.send('DELETE', path(name))
    output.done(`Machine ${name} is forgotten.`, { machine: name })
  })
  on(noun.command('events').description('the history of a machine, oldest first').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    output.rows(await client.list<MachineEvent>(path(name, '/events')), [['AT', event => event.at], ['LEVEL', event => event.level], ['TYPE', event => event.type], ['MESSAGE', event => event.message]], 'Nothing has happened to it yet.')
  })
}
