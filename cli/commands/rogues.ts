/** `bedplate dhcp rogues`: the foreign DHCP servers that racks hear. */
import type { Command } from 'commander'
import { controllerNames, findVlan } from '../names.ts'
import { ago } from '../output.ts'
import type { On } from '../session.ts'

interface Rogue { readonly vlan: string, readonly address: string, readonly mac: string, readonly rack: string, readonly firstSeen: string, readonly lastSeen: string, readonly active: boolean }

export function rogueCommand (parent: Command, on: On): void {
  on<{ all?: boolean, vlan?: string }>(parent.command('rogues').description('foreign DHCP servers that racks hear on VLANs where they give the addresses')
    .option('--all', 'those that are heard no more, too').option('--vlan <vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it'), async ({ client, output }, _, { all, vlan }) => {
    const query = new URLSearchParams({ ...all ? {} : { active: 'true' }, ...vlan === undefined ? {} : { vlan: (await findVlan(client, vlan)).id } })
    const nameOf = await controllerNames(client)
    const { items } = await client.get<{ readonly items: readonly Rogue[] }>(`/dhcp/rogues?${query}`)
    output.rows(items, [['VLAN', one => one.vlan], ['ADDRESS', one => one.address], ['MAC', one => one.mac], ['HEARD BY', one => nameOf(one.rack)], ['FIRST', one => ago(one.firstSeen)], ['LAST', one => ago(one.lastSeen)]],
      all ? 'No foreign DHCP server was ever heard.' : 'No foreign DHCP server is heard; --all shows those that were.')
  })
}
