/** network on a region: keeps the plan, gives addresses out, and knows which rack touches which VLAN. */
import { defineRegion } from '../../core/plugin.ts'
import { routes } from './api.ts'
import { allocate, release } from './allocation.ts'
import { normaliseIp, normaliseMac } from './address.ts'
import { manifest, Network } from './manifest.ts'
import { listAddresses, listAttachments, listInterfaces, listSubnets, listVlans, replaceInterfaces, subnetHolding } from './store.ts'

export default defineRegion(manifest, {
  requires: {},
  provides: { network: Network },
  setup (ctx) {
    return {
      provides: {
        network: {
          vlans: q => listVlans(q),
          subnets: (q, filter = {}) => listSubnets(q, filter),
          subnetOf: (q, address) => subnetHolding(q, normaliseIp(address)),
          attachments: (q, filter = {}) => listAttachments(q, filter),
          interfaces: listInterfaces,
          addresses: (q, filter) => listAddresses(q, { ...filter, macs: filter.macs?.map(normaliseMac), addresses: filter.addresses?.map(normaliseIp) }),
          allocate,
          release
        }
      },
      rpc: {},
      services: [],
      routes: routes(ctx.db),
      /** What a rack sees of itself replaces what it saw before; of several reports only the last counts. */
      async facts (tx, rack, batch) {
        const last = batch.findLast(fact => fact.kind === 'interfaces')
        if (last === undefined) return
        await replaceInterfaces(tx, rack, last.body.interfaces)
        await tx.changed('network.attachment', rack)
      }
    }
  }
})
