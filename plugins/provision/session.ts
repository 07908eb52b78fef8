/** What a session's machine may fetch: its script and its metadata, rendered from the machine, its image and its addresses. */
import { reasonOf } from '../../core/errors.ts'
import type { Entry, Query } from '../../core/plugin.ts'
import type { ImageService } from '../images/manifest.ts'
import type { Machine, MachineService } from '../machines/manifest.ts'
import type { NetworkService } from '../network/manifest.ts'
import { renderCommission } from './collect.ts'
import { renderInstall, renderRefusal } from './install.ts'
import type { manifest } from './manifest.ts'
import { renderMetadata } from './metadata.ts'
import { renderRelease } from './release.ts'
import type { Session } from './store.ts'
import { bootInterface } from './transition.ts'

type SessionEntry = Entry<typeof manifest.wanted>
interface Services { readonly machines: MachineService, readonly images: ImageService, readonly network: NetworkService }

/** The address the installed system shall have, with what it needs to use it. */
async function networkOf (q: Query, network: NetworkService, machine: Machine) {
  const mac = bootInterface(machine)?.mac
  const own = (await network.addresses(q, { owner: machine.id })).find(address => address.kind === 'auto' && address.mac === mac)
  if (mac === undefined || own === undefined) return null
  const [subnet] = await network.subnets(q, { ids: [own.subnetId] })
  return subnet ? { mac, address: own.address, prefix: Number(subnet.cidr.split('/')[1]), gateway: subnet.gateway, dns: subnet.dnsServers } : null
}

/** The entry of a session; undefined when its machine is gone. */
export async function sessionEntry (q: Query, { machines, images, network }: Services, session: Session): Promise<SessionEntry | undefined> {
  const machine = await machines.get(q, session.machine)
  if (!machine) return undefined
  const none = { metaData: '', userData: '', vendorData: '', networkConfig: '' }
  const entry = (script: string, metadata = none): SessionEntry => ({ kind: 'session', id: session.token, value: { machine: machine.id, purpose: session.purpose, script, ...metadata } })
  if (session.purpose === 'commission') return entry(renderCommission())
  if (session.purpose === 'release') return entry(renderRelease())
  const { deployment } = machine
  const image = session.image === null ? undefined : await images.find(q, session.image)
  if (!deployment) return undefined
  // The session stands: a machine that has its system already must still be heard. One that is not so far gets no metadata, which lacks the image's account, and fails.
  if (!image) return entry(renderRefusal(`Image ${deployment.imageId} is gone.`))
  const metadata = renderMetadata({ machine, image, deployment, network: await networkOf(q, network, machine) })
  // What cannot be rendered must not keep the other machines' entries from the rack: this machine says so itself, and fails.
  try { return entry(renderInstall({ machine, image, disk: deployment.disk }), metadata) } catch (error) { return entry(renderRefusal(reasonOf(error)), metadata) }
}
