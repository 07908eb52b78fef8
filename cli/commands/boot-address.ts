/** `bedplate vlan boot-address`: the address a VLAN's racks hold in turn, where machines find what they boot. */
import { isIP } from 'node:net'
import { Option } from 'commander'
import type { Command } from 'commander'
import { Failure } from '../failure.ts'
import { controllerNames, findVlan } from '../names.ts'
import type { On } from '../session.ts'

interface Family { readonly setting: string, readonly address: string | null, readonly holder: string | null, readonly problem: string | null }
interface Addresses { readonly id: string, readonly v4: Family, readonly v6: Family }

/** A sentence about what there is now. */
const said = (name: string, { v4, v6 }: Addresses): string => {
  const found = [v4, v6].flatMap(({ address }) => address ?? [])
  const problems = [v4, v6].flatMap(({ problem }) => problem ?? [])
  if (found.length > 0) return [`The boot address of VLAN ${name} is ${found.join(' and ')}.`, ...problems].join(' ')
  if (problems.length > 0) return problems.join(' ')
  return v4.setting === 'none' && v6.setting === 'none'
    ? `VLAN ${name} has no boot address: machines find what they boot at the rack that answers them.`
    : `VLAN ${name} has no boot address yet: one is set aside when two racks serve it.`
}

export function bootAddressCommand (parent: Command, on: On): void {
  on<{ family?: '4' | '6' }>(parent.command('boot-address').description('show or set the address that the racks of a VLAN hold in turn for machines that boot')
    .argument('<vlan>', 'id, name, fabric/name, or the CIDR of a subnet on it').argument('[address]', 'an address outside the dynamic ranges; auto: one is chosen when two racks serve the VLAN; none; left out: it is shown')
    .addOption(new Option('--family <family>', 'of auto and none: IPv4 or IPv6 alone').choices(['4', '6'])), async ({ client, output }, [given = '', wish], { family }) => {
    const { id, name } = await findVlan(client, given)
    if (wish === undefined) {
      const [one, nameOf] = [await client.get<Addresses>(`/boot/vlans/${id}`), await controllerNames(client)]
      const rows = [{ family: 'IPv4', ...one.v4 }, { family: 'IPv6', ...one.v6 }]
      output.rows(rows, [['FAMILY', row => row.family], ['SETTING', row => row.setting], ['ADDRESS', row => row.address], ['RACK', row => row.holder === null ? null : nameOf(row.holder)], ['PROBLEM', row => row.problem]], 'None.')
      return
    }
    const kind = isIP(wish)
    if (kind === 0 && wish !== 'auto' && wish !== 'none') throw new Failure(`"${wish}" is no address, and neither auto nor none.`, { exitCode: 2 })
    if (kind !== 0 && family !== undefined && family !== String(kind)) throw new Failure(`${wish} is an address of IPv${kind}.`, { exitCode: 2 })
    const only = kind !== 0 ? String(kind) : family
    const addresses = await client.send<Addresses>('PUT', `/boot/vlans/${id}`, { ...only === '6' ? {} : { v4: wish }, ...only === '4' ? {} : { v6: wish } })
    output.done(said(name, addresses), addresses)
  })
}
