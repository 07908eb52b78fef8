/** dhcp on a region: stores bindings, grants blocks, and tells each rack what it serves. */
import { BedplateError } from '../../core/errors.ts'
import { defineRegion } from '../../core/plugin.ts'
import { Network } from '../network/manifest.ts'
import { routes } from './api.ts'
import { manifest } from './manifest.ts'
import { ranked, Serving } from './serving.ts'
import { bind, grant, quarantine, release, trimBlocks } from './store.ts'
import { listVlans } from './store/settings.ts'
import { touchedBy, wantedBy } from './wanted.ts'

export default defineRegion(manifest, {
  requires: { network: Network },
  provides: {},
  setup ({ config, db, clock, deps: { network } }) {
    const serving = new Serving(db, network, clock)
    /** Takes back what lies outside every range by now, and the blocks of racks that do not serve a VLAN any more. */
    const trim = () => db.tx(async tx => {
      const [vlans, subnets, attachments] = [await listVlans(tx), await network.subnets(tx), await network.attachments(tx)]
      const kept = vlans.filter(({ enabled, mode }) => enabled && mode === 'server').flatMap(vlan => {
        const racks = ranked(vlan, attachments.filter(({ vlanId }) => vlanId === vlan.id))
        const own = subnets.filter(({ vlanId, family }) => vlanId === vlan.id && family === 4)
        return own.flatMap(({ id, ranges }) => ranges.filter(({ kind }) => kind === 'dynamic').flatMap(({ start, end }) => racks.map(rack => ({ subnet: id, rack, start, end }))))
      })
      for (const subnet of await trimBlocks(tx, kept)) await tx.changed('dhcp.block', subnet)
    })
    return {
      provides: {},
      services: [],
      routes: routes(db, network),
      rpc: {
        bind: ({ wishes }, { controller }) => db.tx(async tx => {
          const answers = await bind(tx, controller, wishes)
          for (const [index, { address }] of wishes.entries()) if (answers[index]?.stored) await tx.changed('dhcp.binding', address)
          return { answers }
        }),
        grant: ({ subnet: id }, { controller }) => db.tx(async tx => {
          const [subnet] = await network.subnets(tx, { ids: [id] })
          if (subnet === undefined) throw new BedplateError('NOT_FOUND', { what: 'subnet', id })
          const [vlan] = await listVlans(tx, [subnet.vlanId])
          const attachments = await network.attachments(tx, { vlanId: subnet.vlanId })
          const racks = vlan?.enabled && vlan.mode === 'server' ? ranked(vlan, attachments) : []
          if (!racks.includes(controller)) return { addresses: [] }
          const setAside = await network.addresses(tx, { subnetIds: [id] })
          const taken = [...setAside.map(({ address }) => address), ...attachments.map(({ address }) => address), ...subnet.gateway === null ? [] : [subnet.gateway], ...subnet.dnsServers]
          const ranges = subnet.ranges.filter(({ kind }) => kind === 'dynamic')
          const given = await grant(tx, controller, id, { ranges, taken, racks: racks.length, most: config.blockSize })
          if (given.length > 0) await tx.changed('dhcp.block', id)
          for (const { address, hadBinding } of given) if (hadBinding) await tx.changed('dhcp.binding', address) // racks forget whose it was
          return { addresses: given.map(({ address }) => address) }
        }),
        sync: () => Promise.reject(new BedplateError('UNAVAILABLE', { reason: 'not built yet' }))
      },
      wanted: (rack, keys) => wantedBy(db, network, serving, rack, config.leaseSeconds, keys),
      touches: changes => touchedBy(db, network, serving, changes),
      async facts (tx, _rack, batch) {
        const ended = (kind: 'released' | 'declined') => batch.flatMap(fact => fact.kind === kind ? [fact.body] : [])
        const touched = [...await release(tx, ended('released')), ...await quarantine(tx, ended('declined'), config.quarantineSeconds)]
        for (const address of touched) await tx.changed('dhcp.binding', address)
      },
      reconcile: trim
    }
  }
})
