/** Whether the racks ranked above this one are silent, learned from clients that had to ask again: without it every new client would wait for a rack that is gone. Pure. */

const enough = 3 // clients that asked again, with nobody taking another rack's offer meanwhile
const probe = 64 // of so many clients one is left to the racks above, to find out whether they are back

interface Silence { missed: number, asked: number }

/** By VLAN. A wrong guess costs a second offer, of which the client takes one; nothing is bound at once by such a guess (`rapid` in `v4/chain.ts`). */
export class Standby {
  private readonly vlans = new Map<string, Silence>()

  /** A client asked again: no rack above this one answered it. */
  missed (vlan: string): void {
    const silence = this.vlans.get(vlan)
    if (silence === undefined) this.vlans.set(vlan, { missed: 1, asked: 0 })
    else silence.missed++
  }

  /** A client took another rack's offer: they are there. */
  heard (vlan: string): void { this.vlans.delete(vlan) }

  /** Whether to answer a client's first question at once. To be asked once for each. */
  ahead (vlan: string): boolean {
    const silence = this.vlans.get(vlan)
    return silence !== undefined && silence.missed >= enough && ++silence.asked % probe !== 0
  }

  /** Forgets the VLANs that are not served any more. */
  keep (served: ReadonlyMap<string, unknown>): void { for (const vlan of this.vlans.keys()) if (!served.has(vlan)) this.vlans.delete(vlan) }
}
