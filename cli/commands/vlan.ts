/** `bedplate vlan`: the segments, and who gives addresses on them. */
import { InvalidArgumentError } from 'commander'
import { bootAddressCommand } from './boot-address.ts'
import { controllerNames, findController, findFabric, findVlan } from '../names.ts'
import type { Fabric, Vlan } from '../names.ts'
import type { Client } from '../client.ts'
import type { Column } from '../output.ts'
import type { Noun } from '../session.ts'

interface Dhcp { readonly id: string, readonly enabled: boolean, readonly racks: readonly string[], readonly serving: readonly string[] }
type Shown = Vlan & { readonly fabric: string, readonly dhcp: { readonly enabled: boolean, readonly serving: readonly string[] } | null }

export const integer = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

async function shown (client: Client, vlans: readonly Vlan[]): Promise<Shown[]> {
  const [fabrics, served, nameOf] = [await client.list<Fabric>('/network/fabrics'), await client.list<Dhcp>('/dhcp/vlans'), await controllerNames(client)]
  return vlans.map(vlan => {
    const dhcp = served.find(({ id }) => id === vlan.id)
    return { ...vlan, fabric: fabrics.find(({ id }) => id === vlan.fabricId)?.name ?? vlan.fabricId, dhcp: dhcp === undefined ? null : { enabled: dhcp.enabled, serving: dhcp.serving.map(nameOf) } }
  })
}
const serving: Column<Shown> = ['DHCP', ({ dhcp }) => dhcp === null || !dhcp.enabled ? 'off' : dhcp.serving.length === 0 ? 'on, but no rack serves it' : `on: ${dhcp.serving.join(', ')}`]

export const vlanCommands: Noun = (program, on) => {
  const noun = program.command('vlan').description('the segments of the network, and who gives addresses on them')

  on(noun.command('list').description('all VLANs'), async ({ client, output }) => {
    output.rows(await shown(client, await client.list<Vlan>('/network/vlans')), [['ID', vlan => vlan.id], ['FABRIC', vlan => vlan.fabric], ['VID', vlan => vlan.vid], ['NAME', vlan => vlan.name], ['MTU', vlan => vlan.mtu], serving], 'No VLANs.')
  })
  on(noun.command('show').description('one VLAN').argument('<vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it'), async ({ client, output }, [given = '']) => {
    const [vlan] = await shown(client, [await findVlan(client, given)])
    if (vlan !== undefined) output.item(vlan, [['ID', () => vlan.id], ['Name', () => vlan.name], ['Fabric', () => vlan.fabric], ['VLAN number', () => vlan.vid === 0 ? '0 (untagged)' : vlan.vid], ['MTU', () => vlan.mtu], ['DHCP', serving[1]]])
  })
  on<{ fabric?: string, name?: string, mtu: number }>(noun.command('create').description('make a VLAN').argument('<vid>', 'VLAN number, 1 to 4094', integer)
    .option('--fabric <fabric>', 'id or name', 'fabric-0').option('--name <name>').option('--mtu <bytes>', 'largest packet', integer, 1500), async ({ client, output }, [vid], { fabric = 'fabric-0', name, mtu }) => {
    const vlan = await client.send<Vlan & { readonly id: string }>('POST', '/network/vlans', { fabricId: (await findFabric(client, fabric)).id, vid: Number(vid), name: name ?? `vlan-${Number(vid)}`, mtu })
    output.done(`VLAN ${vlan.vid} made on ${fabric}, id ${vlan.id}.`, vlan)
  })
  on(noun.command('delete').description('delete a VLAN without subnets').argument('<vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it'), async ({ client, output }, [given = '']) => {
    const vlan = await findVlan(client, given)
    await client.send('DELETE', `/network/vlans/${vlan.id}`)
    output.done(`VLAN ${vlan.name} deleted.`, vlan)
  })
  on<{ rack?: string[] }>(noun.command('enable-dhcp').description('give addresses on a VLAN').argument('<vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it')
    .option('--rack <rack...>', 'the racks that do it, by id or hostname, the first answers first; by default every rack on the VLAN'), async ({ client, output }, [given = ''], { rack }) => {
    const { id, name } = await findVlan(client, given)
    const racks = rack === undefined ? undefined : await Promise.all(rack.map(async one => (await findController(client, one)).id))
    const dhcp = await client.send<Dhcp & { readonly id: string }>('PUT', `/dhcp/vlans/${id}`, { enabled: true, ...racks === undefined ? {} : { racks } })
    output.done(`DHCP is on for VLAN ${name}, served by ${dhcp.serving.map(await controllerNames(client)).join(', ') || 'no rack yet'}.`, dhcp)
  })
  on(noun.command('disable-dhcp').description('give no addresses on a VLAN').argument('<vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it'), async ({ client, output }, [given = '']) => {
    const { id, name } = await findVlan(client, given)
    output.done(`DHCP is off for VLAN ${name}.`, await client.send('PUT', `/dhcp/vlans/${id}`, { enabled: false }))
  })
  bootAddressCommand(noun, on)
}
