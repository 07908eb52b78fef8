/** What a rack is told, from the model's tables: kind by kind, not in one snapshot, in the order the plugin reads them. */
import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'
import type { SimDatabase } from './database.ts'
import { rackAddress } from './installation.ts'
import type { Installation } from './installation.ts'
import type { WantedEntry, WantedKey, WantedSource } from './publisher.ts'
import type { ModelReferee } from './referee.ts'

export function createSource (o: { readonly world: World, readonly dice: Dice, readonly db: SimDatabase, readonly referee: ModelReferee, readonly installation: Installation, readonly racks: readonly string[], readonly leaseSeconds: number }): WantedSource {
  const { world, dice, db, referee, installation, racks, leaseSeconds } = o
  const { table } = referee
  /** Between two statements somebody else may commit. */
  const gap = (): Promise<void> => dice.chance(0.05) ? new Promise(resolve => { world.after(dice.between(1, 400), resolve) }) : Promise.resolve()
  return {
    async entries (rack, keys) {
      const found: WantedEntry[] = []
      const asked = (kind: string): string[] | undefined => keys?.filter(key => key.kind === kind).map(({ id }) => id)
      const wants = (kind: string): boolean => keys === undefined || keys.some(key => key.kind === kind)
      const subnets = installation.subnets.filter(({ vlanId }) => installation.serving.get(vlanId)?.includes(rack))
      const ids = subnets.map(({ id }) => id)
      if (ids.some(id => table.told.get(id)?.has(rack) !== true) || !table.racks.has(rack)) await db.instantly(tx => referee.tells(tx, rack, ids))
      if (wants('standing')) found.push({ kind: 'standing', id: 'self', value: { number: await referee.standingOf(undefined, rack) ?? '0' } })
      await gap()
      if (wants('retiring')) for (const { address, subnet, round } of await referee.retirementsOf(undefined, rack, asked('retiring'))) found.push({ kind: 'retiring', id: address, value: { subnet, round } })
      await gap()
      if (wants('binding')) {
        for (const { address, subnet, client, clientId, expires, number, retiring } of await referee.bindingsOf(undefined, ids, asked('binding'))) {
          if (retiring === null) found.push({ kind: 'binding', id: address, value: { subnet, client, clientId, expires: expires.toISOString(), number } })
        }
      }
      await gap()
      for (const { id, vlanId, cidr, gateway, ranges } of subnets) {
        if (asked('segment')?.includes(vlanId) ?? true) {
          found.push({
            kind: 'segment', id: vlanId,
            value: {
              interface: `eth-${vlanId}`, address: rackAddress(Number(vlanId.slice(1)), racks.indexOf(rack)), rank: installation.serving.get(vlanId)?.indexOf(rack) ?? 0, mtu: 1500,
              subnets: [{ id, cidr, gateway, dnsServers: [], leaseSeconds, dynamic: ranges.map(({ start, end }) => ({ start, end })) }]
            }
          })
        }
        if (asked('block')?.includes(id) ?? true) {
          const addresses = [...table.rows.values()].filter(row => row.rack === rack && row.subnet === id).map(({ address }) => address)
          if (addresses.length > 0) found.push({ kind: 'block', id, value: { addresses } })
        }
      }
      const hosts = asked('host')
      for (const { address, subnetId, mac, hostname } of installation.addresses.values()) {
        if (mac !== null && ids.includes(subnetId) && (hosts?.includes(address) ?? true)) found.push({ kind: 'host', id: address, value: { subnet: subnetId, client: mac, hostname } })
      }
      return found
    },
    keys (topic, id): readonly WantedKey[] | undefined {
      switch (topic) {
        case 'dhcp.binding': return [{ kind: 'binding', id }, { kind: 'retiring', id }]
        case 'dhcp.block': return [{ kind: 'block', id }]
        case 'dhcp.rack': return [{ kind: 'standing', id: 'self' }]
        case 'network.address': return [{ kind: 'host', id }]
        case 'dhcp.vlan': case 'network.vlan': return [{ kind: 'segment', id }]
        default: return undefined
      }
    }
  }
}
