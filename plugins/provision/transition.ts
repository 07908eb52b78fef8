/** What a machine's transitions mean for its session and its addresses; runs inside their transaction. */
import { randomBytes } from 'node:crypto'
import { BedplateError } from '../../core/errors.ts'
import type { Tx } from '../../core/plugin.ts'
import type { Image, ImageService } from '../images/manifest.ts'
import type { Machine, Status, Transition } from '../machines/manifest.ts'
import type { NetworkService } from '../network/manifest.ts'
import { chooseDisk } from './install.ts'
import { putSession, removeSession, type SessionPurpose } from './store.ts'

/** 256 bits: whoever has it is the machine. */
export const newToken = (): string => randomBytes(32).toString('base64url')
const begins: Partial<Readonly<Record<Status, SessionPurpose>>> = { Commissioning: 'commission', Deploying: 'deploy', Releasing: 'release' }

/** The interface a machine boots from and is reached by. */
export const bootInterface = ({ interfaces }: Machine) => interfaces.find(({ boot }) => boot) ?? interfaces[0]

export function createTransitions (images: ImageService, network: NetworkService) {
  /** An address for the system that is to be installed, on the subnet of the interface it boots from. */
  async function allocate (tx: Tx, machine: Machine): Promise<void> {
    const nic = bootInterface(machine)
    if (!nic?.vlanId) throw new BedplateError('CONFLICT', { reason: `It is not known on which VLAN ${machine.hostname} boots. Commission it first.` })
    const subnet = (await network.subnets(tx, { vlanId: nic.vlanId })).find(({ family }) => family === 4)
    if (!subnet) throw new BedplateError('CONFLICT', { reason: `The VLAN ${machine.hostname} boots on has no IPv4 subnet. Add one: bedplate subnet create.` })
    await network.allocate(tx, { subnetId: subnet.id, kind: 'auto', mac: nic.mac, owner: machine.id, hostname: machine.hostname })
  }

  return async function transition (tx: Tx, { machine, from, to, event }: Transition): Promise<void> {
    if (event === 'removed' || to === 'Ready' || to === 'New') {
      await removeSession(tx, machine.id)
      await network.release(tx, { owner: machine.id, kind: 'auto' })
      return
    }
    if (/^(Failed|Broken|Allocated)/.test(to)) { await removeSession(tx, machine.id); return }
    const purpose = from === to ? undefined : begins[to]
    if (purpose === undefined) return
    let image: Image | undefined
    if (purpose === 'deploy') {
      const wanted = machine.deployment?.imageId ?? ''
      image = await images.find(tx, wanted)
      if (!image) throw new BedplateError('NOT_FOUND', { what: 'image', id: wanted || '(none named)' })
      if (image.architecture !== machine.architecture) throw new BedplateError('CONFLICT', { reason: `The image ${image.name} is for ${image.architecture}; ${machine.hostname} is ${machine.architecture}.` })
      chooseDisk(machine.inventory?.disks ?? [], machine.deployment?.disk ?? null) // refused now, with its reason, and not once the machine runs
      await allocate(tx, machine)
    }
    await putSession(tx, { machine: machine.id, token: newToken(), purpose, image: image?.id ?? null })
  }
}
