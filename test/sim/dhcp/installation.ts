/** What operators have set: VLANs, subnets with their ranges, which racks touch what, and addresses set aside. Changed as rows are, inside transactions of the model. */
import type { Pool } from '../../../plugins/dhcp/region/handlers.ts'
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { Address, Attachment, Range, Subnet, Vlan } from '../../../plugins/network/manifest.ts'
import type { Dice } from '../dice.ts'

export interface Plan { readonly racks: readonly string[], readonly segments: number, readonly pool: number }

/** `10.0.<n>.0/24` for segment n; racks have .1, .2, …; dynamic addresses begin at .100, those set aside at .200. */
export const rackAddress = (segment: number, rack: number): string => `10.0.${segment}.${rack + 1}`
export const segmentName = (number: number): string => `v${number}`
export const subnetName = (number: number): string => `s${number}`

export class Installation {
  readonly vlans: Vlan[] = []
  readonly subnets: Subnet[] = []
  readonly attachments: Attachment[] = []
  readonly addresses = new Map<string, Address>()
  /** Racks that serve each VLAN, ranked. */
  readonly serving = new Map<string, string[]>()

  constructor (dice: Dice, plan: Plan) {
    for (let n = 0; n < plan.segments; n++) {
      const id = segmentName(n)
      this.vlans.push({ id, fabricId: 'f', vid: n, name: id, mtu: 1500 })
      const ranges: Range[] = [{ id: `r${n}`, kind: 'dynamic', start: `10.0.${n}.100`, end: `10.0.${n}.${100 + plan.pool - 1}`, comment: '' }]
      this.subnets.push({ id: subnetName(n), vlanId: id, name: id, cidr: `10.0.${n}.0/24`, family: 4, gateway: `10.0.${n}.254`, dnsServers: [], ranges })
      const there = plan.racks.filter((_, index) => n === 0 || index === 0 || dice.chance(0.7))
      this.serving.set(id, there)
      for (const rack of there) this.attachments.push({ rack, vlanId: id, subnetId: subnetName(n), interface: `eth${n}`, mac: '52:54:00:ff:00:00', address: rackAddress(n, plan.racks.indexOf(rack)) })
    }
  }

  /** Gives the dynamic range of a subnet another end. */
  end (subnet: string, end: string): void {
    const at = this.subnets.findIndex(({ id }) => id === subnet)
    const before = this.subnets[at]
    if (before !== undefined) this.subnets[at] = { ...before, ranges: before.ranges.map(range => ({ ...range, end })) }
  }

  /** Where addresses of these subnets come from, as the region's half of the plugin works it out. */
  pools (ids: readonly string[]): Pool[] {
    return this.subnets.filter(({ id }) => ids.includes(id)).map(({ id, vlanId, gateway, ranges }) => ({
      subnet: id,
      racks: this.serving.get(vlanId) ?? [],
      ranges: ranges.map(({ start, end }) => ({ start, end })),
      size: ranges.reduce((sum, { start, end }) => sum + parseIp(end) - parseIp(start) + 1, 0),
      taken: [...this.addresses.keys(), ...this.attachments.map(({ address }) => address), ...gateway === null ? [] : [gateway]]
    }))
  }
}
