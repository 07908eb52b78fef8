/** `bedplate subnet`: the prefixes of the VLANs. */
import { findSubnet, vlanOrOnly } from '../names.ts'
import type { Subnet, Vlan } from '../names.ts'
import type { Noun } from '../session.ts'

export const subnetCommands: Noun = (program, on) => {
  const noun = program.command('subnet').description('the prefixes of the VLANs')

  on(noun.command('list').description('all subnets'), async ({ client, output }) => {
    const [subnets, vlans] = [await client.list<Subnet>('/network/subnets'), await client.list<Vlan>('/network/vlans')]
    output.rows(subnets, [['ID', subnet => subnet.id], ['CIDR', subnet => subnet.cidr], ['NAME', subnet => subnet.name], ['VLAN', subnet => vlans.find(({ id }) => id === subnet.vlanId)?.name ?? subnet.vlanId],
      ['GATEWAY', subnet => subnet.gateway], ['DNS', subnet => subnet.dnsServers], ['DYNAMIC', subnet => subnet.ranges.filter(({ kind }) => kind === 'dynamic').map(({ start, end }) => `${start}-${end}`)]],
    'No subnets. Add one: bedplate subnet create 10.0.0.0/24 --gateway 10.0.0.1')
  })
  on(noun.command('show').description('one subnet with its ranges').argument('<subnet>', 'id, name or CIDR'), async ({ client, output }, [given = '']) => {
    const subnet = await findSubnet(client, given)
    output.item(subnet, [['ID', () => subnet.id], ['CIDR', () => subnet.cidr], ['Name', () => subnet.name], ['VLAN', () => subnet.vlanId], ['Gateway', () => subnet.gateway], ['DNS servers', () => subnet.dnsServers],
      ...subnet.ranges.map(range => [`Range ${range.id}`, () => `${range.kind} ${range.start} to ${range.end}${range.comment === '' ? '' : ` (${range.comment})`}`] as const)])
  })
  on<{ vlan?: string, name?: string, gateway?: string, dns?: string[] }>(noun.command('create').description('add a subnet').argument('<cidr>', 'for example 10.0.0.0/24')
    .option('--vlan <vlan>', 'id, name or fabric/name; by default the only one').option('--name <name>').option('--gateway <address>').option('--dns <address...>', 'DNS servers of its machines'), async ({ client, output }, [cidr], { vlan, name, gateway, dns }) => {
    const subnet = await client.send<{ readonly id: string, readonly cidr: string }>('POST', '/network/subnets', {
      vlanId: (await vlanOrOnly(client, vlan)).id, cidr, ...name === undefined ? {} : { name }, ...gateway === undefined ? {} : { gateway }, ...dns === undefined ? {} : { dnsServers: dns }
    })
    output.done(`Subnet ${subnet.cidr} added, id ${subnet.id}.`, subnet)
  })
  on(noun.command('delete').description('delete a subnet in which no address is in use').argument('<subnet>', 'id, name or CIDR'), async ({ client, output }, [given = '']) => {
    const subnet = await findSubnet(client, given)
    await client.send('DELETE', `/network/subnets/${subnet.id}`)
    output.done(`Subnet ${subnet.cidr} deleted.`, subnet)
  })
}
