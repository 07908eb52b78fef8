/** boot, the region half: what each machine shall boot, and what unknown ones do; takes in what the racks served. */
import { defineRegion } from '../../core/plugin.ts'
import type { Entry, Query } from '../../core/plugin.ts'
import { Images } from '../images/manifest.ts'
import type { Image, ImageService } from '../images/manifest.ts'
import { Machines } from '../machines/manifest.ts'
import type { Machine, MachineService } from '../machines/manifest.ts'
import { Provision } from '../provision/manifest.ts'
import { manifest } from './manifest.ts'
import { filesOf, intent, sentence } from './region/intent.ts'

type BootEntry = Entry<typeof manifest.wanted>
interface BootKey { readonly kind: 'machine' | 'unknown', readonly id: string }

/** Images looked up once per computation, however many machines use them. */
function lookup (q: Query, images: ImageService) {
  const known = new Map<string, Promise<Image | undefined>>()
  const once = (key: string, find: () => Promise<Image | undefined>): Promise<Image | undefined> => {
    const found = known.get(key) ?? find()
    known.set(key, found)
    return found
  }
  return {
    ephemeral: (architecture: string) => once(`ephemeral ${architecture}`, () => images.ephemeral(q, architecture)),
    byId: (id: string) => once(`id ${id}`, () => images.find(q, id))
  }
}

/**
 * What racks were told before. A machine that is gone, or has lost a MAC, no longer says which entries were its own; a
 * region that has just started knows none of this, but it also begins every link with the whole.
 */
function memory () {
  const macs = new Map<string, readonly string[]>()
  const architectures = new Set<string>()
  return {
    architectures,
    /** Adds what is being told now; what was told before stays, until `keys` has passed it on. */
    add ({ id, interfaces }: Machine): void {
      macs.set(id, [...new Set([...macs.get(id) ?? [], ...interfaces.map(({ mac }) => mac)])])
    },
    /** Keys of the machine as it is and as it was; remembers it as it is. */
    keys (id: string, machine: Machine | undefined): BootKey[] {
      const now = machine?.interfaces.map(({ mac }) => mac) ?? []
      const all = new Set([...macs.get(id) ?? [], ...now])
      if (now.length === 0) macs.delete(id)
      else macs.set(id, now)
      return [...all].map(mac => ({ kind: 'machine' as const, id: mac }))
    }
  }
}

/** The machines that have one of the MACs. */
async function byMacs (machines: MachineService, q: Query, macs: readonly string[]): Promise<Machine[]> {
  const found = new Map<string, Machine>()
  for (const mac of macs) {
    const machine = await machines.byMac(q, mac)
    if (machine !== undefined) found.set(machine.id, machine)
  }
  return [...found.values()]
}

export default defineRegion(manifest, {
  requires: { machines: Machines, images: Images, provision: Provision },
  provides: {},
  setup ({ db, deps: { machines, images, provision }, log }) {
    const told = memory()

    async function entriesOf (machine: Machine, find: ReturnType<typeof lookup>): Promise<BootEntry[]> {
      const purpose = machines.purpose(machine)
      if (purpose === 'enlist') return [] // boots like one that nobody knows
      const running = purpose === 'commission' || purpose === 'deploy' || purpose === 'release'
      const session = running ? await provision.session(db, machine.id) : undefined
      const image = !running ? undefined : purpose !== 'deploy' ? await find.ephemeral(machine.architecture) : session?.image ? await find.byId(session.image) : undefined
      const value = intent(machine, purpose, image, session?.token ?? null)
      return machine.interfaces.map(({ mac }) => ({ kind: 'machine' as const, id: mac, value }))
    }

    return {
      provides: {},
      rpc: {},
      services: [],
      async wanted (_rack, keys) {
        const find = lookup(db, images)
        const chosen = keys === undefined ? await machines.list(db) : await byMacs(machines, db, keys.filter(({ kind }) => kind === 'machine').map(({ id }) => id))
        const asked = keys === undefined ? undefined : new Set(keys.map(({ kind, id }) => `${kind} ${id}`))
        const entries: BootEntry[] = []
        for (const machine of chosen) {
          told.add(machine)
          entries.push(...await entriesOf(machine, find))
        }
        const architectures = keys === undefined ? new Set((await images.list(db)).map(({ architecture }) => architecture)) : keys.filter(({ kind }) => kind === 'unknown').map(({ id }) => id)
        for (const architecture of architectures) {
          const image = await find.ephemeral(architecture)
          if (image === undefined) continue
          told.architectures.add(architecture)
          entries.push({ kind: 'unknown', id: architecture, value: filesOf(image) })
        }
        return asked === undefined ? entries : entries.filter(({ kind, id }) => asked.has(`${kind} ${id}`))
      },
      async touches (changes) {
        const ids = new Set(changes.filter(({ topic }) => topic === 'machines.machine' || topic === 'provision.session').map(({ id }) => id))
        const keys: BootKey[] = []
        for (const id of ids) keys.push(...told.keys(id, await machines.get(db, id)))
        if (changes.some(({ topic }) => topic === 'images.image')) keys.push(...await keysOfImages())
        return keys
      },
      async facts (tx, rack, batch) {
        for (const { body } of batch) {
          if (body.machine === null) log.info({ rack, ...body }, 'served to a machine nobody knows')
          else if (await machines.get(tx, body.machine) !== undefined) await machines.record(tx, body.machine, { type: 'boot', level: body.failure === null ? 'info' : 'warning', message: sentence(body), data: { rack, ...body } })
        }
      }
    }

    /** An image came or went: what unknown machines run may be another one, and so may be what any machine runs that is to boot one. */
    async function keysOfImages (): Promise<BootKey[]> {
      for (const { architecture } of await images.list(db)) told.architectures.add(architecture)
      const waiting = (await machines.list(db)).filter(machine => !['local', 'poweroff', 'enlist'].includes(machines.purpose(machine)))
      return [...[...told.architectures].map(id => ({ kind: 'unknown' as const, id })), ...waiting.flatMap(machine => told.keys(machine.id, machine))]
    }
  }
})
