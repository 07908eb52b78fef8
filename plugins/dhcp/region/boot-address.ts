/** The boot addresses of VLANs, as the network's plan has them. */
import type { Query } from '../../../core/plugin.ts'
import { bootOwner } from '../../boot/manifest.ts'
import type { NetworkService } from '../../network/manifest.ts'
import type { Served } from './serving.ts'

/** By VLAN, the address its racks hold in turn for machines that boot. */
export async function bootAddresses (q: Query, network: NetworkService, served: readonly Served[], family: 4 | 6): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const { vlan, subnets } of served) {
    const here = new Set(subnets.filter(subnet => subnet.vlanId === vlan.id && subnet.family === family).map(({ id }) => id))
    const address = (await network.addresses(q, { owner: bootOwner(vlan.id) })).find(({ subnetId }) => here.has(subnetId))?.address
    if (address !== undefined) found.set(vlan.id, address)
  }
  return found
}
