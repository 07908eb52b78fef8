/** dhcp on a region: stores bindings, grants blocks and reserves, takes in what racks gave alone, and tells each rack what it serves. */
import { Controllers, defineRegion } from '../../core/plugin.ts'
import type { Query, Tx } from '../../core/plugin.ts'
import { Network } from '../network/manifest.ts'
import { routes } from './api.ts'
import { createHandlers } from './region/handlers.ts'
import type { Pool } from './region/handlers.ts'
import { createKeeper } from './region/keeper.ts'
import { leaseService } from './region/leases.ts'
import { Leases, manifest, ServedVlans } from './manifest.ts'
import { ranked, servedVlans, Serving } from './region/serving.ts'
import { forgetRacks, goneRacks, referee, restReserve, tidy, trimBlocks } from './store.ts'
import { claim } from './store/claims.ts'
import { setAside } from './store/occupied.ts'
import { notePorts } from './store/ports.ts'
import { pruneHistory } from './store/leases.ts'
import { saveRogues } from './store/rogues.ts'
import { retireOld6 } from './store/server6.ts'
import { dropSubnets, dropVlans, listVlans, lockSettings } from './store/settings.ts'
import { claimsOf, touchedBy, wantedBy } from './region/wanted.ts'

const sizeOf = ({ start, end }: { readonly start: string, readonly end: string }): number => valueOf(end) - valueOf(start) + 1
const valueOf = (address: string): number => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)

const keptDays6 = 7 // a client of IPv6 that comes back within them gets the address it had

export default defineRegion(manifest, {
  requires: { network: Network, controllers: Controllers },
  provides: { leases: Leases, served: ServedVlans },
  setup ({ config, db, clock, log, deps: { network, controllers } }) {
    const serving = new Serving(db, network, clock)

    /** Where addresses may come from, of all subnets that are served, or of these. */
    async function pools (q: Query, ids?: readonly string[]): Promise<Pool[]> {
      const subnets = (await network.subnets(q, ids === undefined ? {} : { ids })).filter(({ family }) => family === 4)
      if (subnets.length === 0) return []
      const vlans = (await listVlans(q)).filter(({ enabled, mode }) => enabled && mode === 'server')
      const attachments = await network.attachments(q)
      const served = subnets.filter(({ vlanId }) => vlans.some(({ id }) => id === vlanId))
      const setAside = served.length === 0 || ids === undefined ? [] : await network.addresses(q, { subnetIds: served.map(({ id }) => id) })
      return served.flatMap(subnet => {
        const own = vlans.find(({ id }) => id === subnet.vlanId)
        const vlan = own === undefined || own.via === null ? own : vlans.find(({ id, via }) => id === own.via && via === null)
        const here = attachments.filter(({ vlanId }) => vlanId === vlan?.id)
        const ranges = subnet.ranges.filter(({ kind }) => kind === 'dynamic').map(({ start, end }) => ({ start, end }))
        const taken = [...setAside.flatMap(({ subnetId, address }) => subnetId === subnet.id ? [address] : []), ...here.map(({ address }) => address), ...subnet.gateway === null ? [] : [subnet.gateway], ...subnet.dnsServers]
        return vlan === undefined ? [] : [{ subnet: subnet.id, racks: ranked(vlan, here), ranges, taken, size: ranges.reduce((sum, range) => sum + sizeOf(range), 0) }]
      })
    }

    /** Takes back what lies outside every range by now, and the blocks of racks that do not serve a VLAN any more. */
    const trim = () => db.tx(async tx => {
      const kept = (await pools(tx)).flatMap(({ subnet, racks, ranges }) => ranges.flatMap(range => racks.map(rack => ({ subnet, rack, ...range }))))
      for (const subnet of await trimBlocks(tx, kept)) await tx.changed('dhcp.block', subnet)
    })

    /** What was set for subnets and VLANs that the network's plan has no more. */
    const dropUnplanned = () => db.tx(async tx => {
      await lockSettings(tx)
      await dropVlans(tx, (await network.vlans(tx)).map(({ id }) => id))
      for (const scope of await dropSubnets(tx, (await network.subnets(tx)).map(({ id }) => id))) await tx.changed('dhcp.option', scope)
    })

    /** What a rack that was removed held comes back once nothing it knew can count any more. */
    async function buryRacks (tx: Tx): Promise<void> {
      const known = (await controllers.list()).map(({ id }) => id)
      if (known.length === 0) return
      const racks = await goneRacks(tx, known, config.autonomySeconds)
      if (racks.length === 0) return
      const rested: string[] = []
      for (const rack of racks) rested.push(...await restReserve(tx, rack))
      await forgetRacks(tx, racks)
      for (const address of rested) await tx.changed('dhcp.binding', address)
      log.info({ racks, addresses: rested.length }, 'the reserves of racks that were removed rest, and are free after the longest lease that may have been given from them')
    }

    const handlers = createHandlers({ db, referee, log, config, pools, relayed: notePorts })
    const keeper = createKeeper({
      clock,
      log,
      async sweep () {
        await handlers.sweep()
        await db.tx(buryRacks)
        await db.tx(tidy)
      },
      claims: async () => db.tx(async tx => {
        for (const address of await claim(tx, await claimsOf(tx, network, (await pools(tx)).map(({ subnet }) => subnet)))) await tx.changed('dhcp.binding', address)
        for (const address of await retireOld6(tx, keptDays6)) await tx.changed('dhcp.binding', address)
      })
    })
    return {
      provides: { leases: leaseService(network), served: { vlans: async q => servedVlans(await serving.look(q)) } },
      services: [keeper],
      routes: routes(db, network, config),
      rpc: { bind: handlers.bind, grant: handlers.grant, sync: handlers.sync },
      wanted: (rack, keys) => wantedBy(db, network, serving, rack, config.leaseSeconds, keys),
      touches: changes => touchedBy(db, network, serving, changes),
      changed: changes => { keeper.changed(changes) },
      async facts (tx, rack, batch) {
        await handlers.facts(tx, batch)
        await saveRogues(tx, rack, batch.flatMap(({ kind, at, body }) => kind === 'rogue' ? [{ ...body, at }] : []))
        const occupied = batch.flatMap(fact => fact.kind === 'occupied' ? [fact.body.address] : [])
        for (const subnet of await setAside(tx, rack, occupied, config.quarantineSeconds)) await tx.changed('dhcp.block', subnet)
      },
      async reconcile () {
        await trim()
        await serving.moved()
        await dropUnplanned()
        for (let pruned = 1; pruned > 0;) pruned = await pruneHistory(db, config.historyDays)
      }
    }
  }
})
