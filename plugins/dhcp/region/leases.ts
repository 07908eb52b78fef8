/** Leases as other plugins see them: under the name the network's plan has for the address, else the one the client gives itself. */
import type { Query } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import type { LeaseOf, LeaseService } from '../manifest.ts'
import { activeLeases } from '../store/leases.ts'

export const leaseService = (network: NetworkService): LeaseService => ({
  async leases (q: Query, { addresses, subnetIds } = {}): Promise<readonly LeaseOf[]> {
    const found = await activeLeases(q, { addresses, subnetIds })
    if (found.length === 0) return []
    const names = new Map((await network.addresses(q, addresses !== undefined ? { addresses } : { subnetIds: subnetIds ?? [...new Set(found.map(({ subnet }) => subnet))] })).map(({ address, hostname }) => [address, hostname]))
    return found.flatMap(({ address, subnet, client, hostname, boundAt, expires }) =>
      client === null || boundAt === null || expires === null ? [] : [{ address, subnetId: subnet, client, hostname: names.get(address) ?? hostname, boundAt, expires }])
  }
})
