/** `bedplate address`: what is given to machines, and what is set aside by hand. */
import { findSubnet } from '../names.ts'
import type { Subnet } from '../names.ts'
import type { Noun } from '../session.ts'

interface Address { readonly address: string, readonly subnetId: string, readonly kind: string, readonly mac: string | null, readonly owner: string | null, readonly hostname: string | null }

export const addressCommands: Noun = (program, on) => {
  const noun = program.command('address').description('addresses given to machines, or set aside by hand')

  on<{ subnet?: string, mac?: string }>(noun.command('list').description('addresses in use').option('--subnet <subnet>', 'id, name or CIDR').option('--mac <mac>', 'any common form'), async ({ client, output }, _, { subnet, mac }) => {
    const query = new URLSearchParams()
    if (subnet !== undefined) query.set('subnetId', (await findSubnet(client, subnet)).id)
    if (mac !== undefined) query.set('mac', mac)
    const [addresses, subnets] = [await client.list<Address>(`/network/addresses${query.size > 0 ? `?${query}` : ''}`), await client.list<Subnet>('/network/subnets')]
    output.rows(addresses, [['ADDRESS', row => row.address], ['SUBNET', row => subnets.find(({ id }) => id === row.subnetId)?.cidr], ['KIND', row => row.kind], ['MAC', row => row.mac], ['HOSTNAME', row => row.hostname], ['OWNER', row => row.owner]], 'No addresses in use.')
  })
  on<{ subnet: string, mac?: string, hostname?: string }>(noun.command('reserve').description('set an address aside').argument('[address]', 'by default the next free one').requiredOption('--subnet <subnet>', 'id, name or CIDR')
    .option('--mac <mac>', 'interface it is for').option('--hostname <name>'), async ({ client, output }, [address], { subnet, mac, hostname }) => {
    const given = await client.send<Address & { readonly address: string }>('POST', '/network/addresses', { subnetId: (await findSubnet(client, subnet)).id, ...address === undefined ? {} : { address }, ...mac === undefined ? {} : { mac }, ...hostname === undefined ? {} : { hostname } })
    output.done(`Address ${given.address} is set aside.`, given)
  })
  on(noun.command('release').description('take back an address that was set aside').argument('<address>'), async ({ client, output }, [address = '']) => {
    await client.send('DELETE', `/network/addresses/${encodeURIComponent(address)}`)
    output.done(`Address ${address} is free.`, { address })
  })
}
