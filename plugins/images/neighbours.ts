/** Which racks share a VLAN with a rack, and where it reaches them there. Pure. */
import type { Attachment } from '../network/manifest.ts'

const most = 4 // addresses of one rack: each that does not answer costs a client seconds

export function peersOf (rack: string, attachments: readonly Pick<Attachment, 'rack' | 'vlanId' | 'address'>[]): { readonly id: string, readonly addresses: string[] }[] {
  const mine = new Set(attachments.filter(one => one.rack === rack).map(({ vlanId }) => vlanId))
  const own = new Set(attachments.filter(one => one.rack === rack).map(({ address }) => address)) // an address that racks hold in turn may be seen at both
  const found = new Map<string, Set<string>>()
  for (const { rack: id, vlanId, address } of attachments) {
    if (id === rack || !mine.has(vlanId) || own.has(address)) continue
    found.set(id, (found.get(id) ?? new Set()).add(address))
  }
  return [...found].sort(([one], [other]) => one < other ? -1 : 1).map(([id, addresses]) => ({ id, addresses: [...addresses].sort().slice(0, most) }))
}
