/** `bedplate range`: parts of a subnet kept for DHCP, or kept free of Bedplate. */
import { Option } from 'commander'
import { choose, findSubnet } from '../names.ts'
import type { Range, Subnet } from '../names.ts'
import type { Noun } from '../session.ts'

export const rangeCommands: Noun = (program, on) => {
  const noun = program.command('range').description('parts of a subnet kept for DHCP (dynamic), or kept free of Bedplate (reserved)')

  on<{ subnet?: string }>(noun.command('list').description('all ranges').option('--subnet <subnet>', 'id, name or CIDR'), async ({ client, output }, _, { subnet }) => {
    const only = subnet === undefined ? '' : `?subnetId=${(await findSubnet(client, subnet)).id}`
    const [ranges, subnets] = [await client.list<Range>(`/network/ranges${only}`), await client.list<Subnet>('/network/subnets')]
    output.rows(ranges, [['ID', range => range.id], ['SUBNET', range => subnets.find(({ id }) => id === range.subnetId)?.cidr], ['KIND', range => range.kind], ['START', range => range.start], ['END', range => range.end], ['COMMENT', range => range.comment]], 'No ranges.')
  })
  on<{ subnet: string, kind: string, comment?: string }>(noun.command('create').description('add a range to a subnet').argument('<start>').argument('<end>').requiredOption('--subnet <subnet>', 'id, name or CIDR')
    .addOption(new Option('--kind <kind>', 'dynamic: for DHCP leases; reserved: for nothing of Bedplate').choices(['dynamic', 'reserved']).default('dynamic')).option('--comment <text>'), async ({ client, output }, [start, end], { subnet, kind, comment }) => {
    const range = await client.send<Range & { readonly id: string }>('POST', '/network/ranges', { subnetId: (await findSubnet(client, subnet)).id, kind, start, end, ...comment === undefined ? {} : { comment } })
    output.done(`The ${range.kind} range ${range.start} to ${range.end} was added, id ${range.id}.`, range)
  })
  on(noun.command('delete').description('delete a range').argument('<range>', 'id, or its first address'), async ({ client, output }, [given = '']) => {
    const range = choose('range', given, await client.list<Range>('/network/ranges'), ({ start, end }) => [start, `${start}-${end}`])
    await client.send('DELETE', `/network/ranges/${range.id}`)
    output.done(`The ${range.kind} range ${range.start} to ${range.end} was deleted.`, range)
  })
}
