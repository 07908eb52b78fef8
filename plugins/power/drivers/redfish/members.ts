/** All systems of a service: the machines of a chassis, or of a hypervisor. */
import type { Member } from '../../driver.ts'
import { uuidFrom } from './identity.ts'
import { link, text } from '../../connection/json.ts'
import type { Found, Service } from './service.ts'

const most = 500 // systems
const cards = 32 // network interfaces of a system

/** A MAC address in lower case with colons; undefined for what is none. Pure. */
export function macFrom (value: unknown): string | undefined {
  const digits = text(value)?.toLowerCase().replace(/[-:.\s]/g, '')
  return digits !== undefined && /^(?!0{12}|f{12})[0-9a-f]{12}$/.test(digits) ? digits.match(/../g)?.join(':') : undefined
}

/** What each is called: its own name, and its Id with it where others have the same ("System"). Pure. */
export function namesOf (systems: readonly Pick<Found, 'path' | 'body'>[]): readonly string[] {
  const ids = systems.map(({ path, body }) => text(body.Id) ?? path.split('/').at(-1) ?? path)
  const names = systems.map(({ body }, index) => text(body.HostName) ?? text(body.Name) ?? ids[index] ?? '')
  return names.map((name, index) => names.filter(other => other === name).length > 1 ? `${name} ${ids[index]}` : name)
}

export async function systems (service: Service): Promise<readonly Member[]> {
  const found = (await service.members(service.root.systems, most)).filter(one => one.path !== '')
  const names = namesOf(found)
  const { user, tls } = service.credentials
  const members: Member[] = []
  for (const [index, { path, body }] of found.entries()) {
    const interfaces = await service.members(link(body.EthernetInterfaces), cards)
    const macs = interfaces.flatMap(({ body: card }) => macFrom(card.MACAddress) ?? macFrom(card.PermanentMACAddress) ?? [])
    members.push({
      name: names[index] ?? path, uuid: uuidFrom(body.UUID), macs: [...new Set(macs)],
      parameters: { address: `${service.origin}${path}`, ...(user === undefined ? {} : { user }), ...(tls === undefined ? {} : { tls }) }
    })
  }
  return members
}
