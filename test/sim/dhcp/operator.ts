/** What operators do meanwhile: addresses are set aside and taken back, bindings removed, ranges made smaller and larger. */
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'
import type { Client } from './client.ts'
import type { ModelTx, SimDatabase } from './database.ts'
import type { Installation } from './installation.ts'
import type { ModelReferee } from './referee.ts'

/** Notes who is to have what is set aside, as the regions' leader does now and then. */
export async function claimAll (tx: ModelTx, referee: ModelReferee, installation: Installation): Promise<void> {
  const claims = [...installation.addresses.values()].flatMap(({ address, subnetId, mac }) => mac === null ? [] : [{ address, subnet: subnetId, client: mac }])
  for (const address of await referee.claim(tx, claims)) await tx.changed('dhcp.binding', address)
}

export function operate ({ world, dice, db, installation, referee, clients }: { readonly world: World, readonly dice: Dice, readonly db: SimDatabase, readonly installation: Installation, readonly referee: ModelReferee, readonly clients: readonly Client[] }): void {
  const subnet = dice.pick(installation.subnets)
  const client = dice.pick(clients)
  const base = parseIp(subnet.cidr.split('/')[0] ?? '')
  const change = (what: string, work: (tx: ModelTx) => Promise<void>): void => { world.tell(`operator: ${what}`); void db.instantly(work) }
  switch (dice.pick(['set aside', 'set aside', 'take back', 'remove', 'range'] as const)) {
    case 'set aside': {
      const address = ipText(base + (dice.chance(0.5) ? 200 : 100) + dice.whole(0, 3))
      if (installation.addresses.has(address) || [...installation.addresses.values()].some(({ mac }) => mac === client.mac)) return
      change(`sets ${address} aside for ${client.name}`, async tx => {
        installation.addresses.set(address, { address, subnetId: subnet.id, kind: 'reserved', mac: client.mac, owner: null, hostname: null })
        await tx.changed('network.address', address)
        await claimAll(tx, referee, installation)
      })
      break
    }
    case 'take back': {
      const [address] = installation.addresses.keys()
      if (address === undefined) return
      change(`takes ${address} back`, async tx => {
        installation.addresses.delete(address)
        await tx.changed('network.address', address)
        for (const retiring of await referee.retire(tx, [address])) await tx.changed('dhcp.binding', retiring)
      })
      break
    }
    case 'remove': {
      const bound = [...referee.table.rows.values()].filter(row => row.client !== null)
      if (bound.length === 0) return
      const { address } = dice.pick(bound)
      change(`removes the binding of ${address}`, async tx => { for (const retiring of await referee.retire(tx, [address])) await tx.changed('dhcp.binding', retiring) })
      break
    }
    case 'range': {
      const end = ipText(base + 100 + dice.whole(2, 12))
      change(`lets the range of ${subnet.id} end at ${end}`, async tx => {
        installation.end(subnet.id, end)
        await tx.changed('network.vlan', subnet.vlanId)
        for (const row of [...referee.table.rows.values()]) if (row.rack !== null && row.subnet === subnet.id && parseIp(row.address) > parseIp(end)) referee.table.remove(tx, row.address) // as the regions trim blocks
        await tx.changed('dhcp.block', subnet.id)
      })
    }
  }
}
