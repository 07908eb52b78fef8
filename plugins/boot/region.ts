/** boot, the region half: what each machine shall boot, and what unknown ones do; takes in what the racks served. */
import { Authority, defineRegion } from '../../core/plugin.ts'
import type { Static } from 'typebox'
import type { Change, Entry, Query, Tx } from '../../core/plugin.ts'
import { ServedVlans } from '../dhcp/manifest.ts'
import { Images } from '../images/manifest.ts'
import type { Image, ImageService } from '../images/manifest.ts'
import { Machines } from '../machines/manifest.ts'
import type { Machine, MachineService } from '../machines/manifest.ts'
import { Network } from '../network/manifest.ts'
import { Provision } from '../provision/manifest.ts'
import { manifest } from './manifest.ts'
import { routes } from './api.ts'
import { floatingOf } from './region/addresses.ts'
import { filesOf, intent, sentence } from './region/intent.ts'
import { createAddressKeeper, touchesAddresses } from './region/keeper.ts'
import { scopeOf, scopesOf } from './region/options.ts'
import { keptOptions, removeOptions } from './store/options.ts'
import { addRefused, refusedMacs, removeRefused, trimRefused } from './store/refused.ts'

type BootEntry = Entry<typeof manifest.wanted>
interface BootKey { readonly kind: 'machine' | 'unknown' | 'floating' | 'refused', readonly id: string }

/** Rows of MACs that have refused iPXE. Racks report what they hear, from anybody: a stranger with many MACs pushes out the oldest, and they refuse once more. */
const mostRefused = 5_000

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
  requires: { machines: Machines, images: Images, provision: Provision, network: Network, served: ServedVlans, authority: Authority },
  provides: {},
  setup ({ db, clock, deps: { machines, images, provision, network, served, authority }, log }) {
    const told = memory()
    const plan = { network, served }
    const keeper = createAddressKeeper({ db, plan, clock, log })
    machines.hooks.transition.tapPromise('boot', async (tx, { machine, event }) => {
      if (event === 'removed') await removeOptions(tx, `machine:${machine.id}`)
      if (event === 'removed' || (event === 'commissioned' && machine.inventory?.secureBoot === false)) await forgotten(tx, await removeRefused(tx, machine.interfaces.map(({ mac }) => mac)))
    })

    async function entriesOf (machine: Machine, find: ReturnType<typeof lookup>, { kept, refused }: { readonly kept: ReadonlyMap<string, string>, readonly refused: ReadonlySet<string> }): Promise<BootEntry[]> {
      const purpose = machines.purpose(machine)
      if (purpose === 'enlist') return [] // boots like one that nobody knows
      const running = purpose === 'commission' || purpose === 'deploy' || purpose === 'release'
      const session = running ? await provision.session(db, machine.id) : undefined
      const image = !running ? undefined : purpose !== 'deploy' ? await find.ephemeral(machine.architecture) : session?.image ? await find.byId(session.image) : undefined
      // one board has one firmware: what refused at one of its cards refuses at the others
      const loader = machine.inventory?.secureBoot === true || machine.interfaces.some(({ mac }) => refused.has(mac)) ? { loader: 'grub' as const } : {}
      const value = { ...intent(machine, purpose, image, session?.token ?? null, kept), ...loader }
      return machine.interfaces.map(({ mac }) => ({ kind: 'machine' as const, id: mac, value }))
    }

    return {
      provides: {},
      rpc: {
        certify: async ({ publicKey, addresses }, { controller }) => ({ certificate: await authority.server(controller, publicKey, addresses), authority: await authority.certificate() })
      },
      services: [keeper],
      routes: routes(db, machines, plan),
      changed: changes => { keeper.changed(changes) },
      async wanted (rack, keys) {
        const find = lookup(db, images)
        const chosen = keys === undefined ? await machines.list(db) : await byMacs(machines, db, keys.filter(({ kind }) => kind === 'machine').map(({ id }) => id))
        const asked = keys === undefined ? undefined : new Set(keys.map(({ kind, id }) => `${kind} ${id}`))
        const entries: BootEntry[] = []
        const kept = await keptOptions(db, keys === undefined ? undefined : [...new Set(['global', ...chosen.flatMap(machine => scopesOf(machine))])])
        const refused = await refusedMacs(db, keys === undefined ? undefined : [...chosen.flatMap(({ interfaces }) => interfaces.map(({ mac }) => mac)), ...keys.filter(({ kind }) => kind === 'refused').map(({ id }) => id)])
        for (const mac of refused) entries.push({ kind: 'refused', id: mac, value: {} })
        for (const machine of chosen) {
          told.add(machine)
          entries.push(...await entriesOf(machine, find, { kept, refused }))
        }
        const architectures = keys === undefined ? new Set((await images.list(db)).map(({ architecture }) => architecture)) : keys.filter(({ kind }) => kind === 'unknown').map(({ id }) => id)
        for (const architecture of architectures) {
          const image = await find.ephemeral(architecture)
          if (image === undefined) continue
          told.architectures.add(architecture)
          entries.push({ kind: 'unknown', id: architecture, value: filesOf(image, kept) })
        }
        const vlans = keys?.filter(({ kind }) => kind === 'floating').map(({ id }) => id)
        if (vlans === undefined || vlans.length > 0) for (const entry of await floatingOf(db, plan, rack, vlans)) entries.push({ kind: 'floating', ...entry })
        return asked === undefined ? entries : entries.filter(({ kind, id }) => asked.has(`${kind} ${id}`))
      },
      async touches (changes) {
        const ids = new Set(changes.filter(({ topic }) => topic === 'machines.machine' || topic === 'provision.session' || topic === 'boot.machine').map(({ id }) => id))
        const keys: BootKey[] = []
        for (const id of ids) keys.push(...told.keys(id, await machines.get(db, id)))
        for (const { topic, id } of changes) if (topic === 'boot.refused') keys.push({ kind: 'refused', id })
        const scopes = changes.filter(({ topic }) => topic === 'boot.option').map(({ id }) => scopeOf(id))
        if (changes.some(({ topic }) => topic === 'images.image') || scopes.some(({ kind }) => kind === 'global')) keys.push(...await keysOfImages())
        const named = scopes.flatMap(scope => scope.kind === 'global' ? [] : [scope])
        if (touchesAddresses(changes)) keys.push(...await keysOfVlans(changes))
        if (named.length > 0) keys.push(...await keysOfMachines(machine => named.some(({ kind, name }) => kind === 'tag' ? machine.tags.includes(name) : machine.id === name)))
        return keys
      },
      async facts (tx, rack, batch) {
        for (const { kind, body } of batch) {
          if (kind === 'refused') await refused(tx, rack, body)
          else if (body.machine === null) log.info({ rack, ...body }, 'served to a machine nobody knows')
          else if (await machines.get(tx, body.machine) !== undefined) await machines.record(tx, body.machine, { type: 'boot', level: body.failure === null ? 'info' : 'warning', message: sentence(body), data: { rack, ...body } })
        }
      }
    }

    /** Which racks serve a VLAN, or its boot address, may be others: there are few VLANs, and little is told of each. */
    async function keysOfVlans (changes: readonly Change[]): Promise<BootKey[]> {
      const ids = new Set((await network.vlans(db)).map(({ id }) => id))
      for (const { topic, id } of changes) if (topic === 'network.vlan' || topic === 'dhcp.vlan' || topic === 'boot.vlan') ids.add(id)
      return [...ids].map(id => ({ kind: 'floating' as const, id }))
    }

    /** Tells the racks of MACs that count no more as having refused. */
    async function forgotten (tx: Tx, macs: readonly string[]): Promise<void> {
      for (const mac of macs) {
        await tx.changed('boot.refused', mac)
        const machine = (await machines.byMac(tx, mac))?.id
        if (machine !== undefined) await tx.changed('boot.machine', machine)
      }
    }

    /** A machine's firmware took no iPXE: it gets GRUB from now on, from whichever rack. Kept by MAC, so that a machine nobody knows yet has to refuse but once. */
    async function refused (tx: Tx, rack: string, { mac }: Static<typeof manifest.facts.refused>): Promise<void> {
      if (!await addRefused(tx, mac)) return
      await tx.changed('boot.refused', mac)
      await forgotten(tx, await trimRefused(tx, mostRefused))
      const machine = (await machines.byMac(tx, mac))?.id
      log.info({ rack, machine, mac }, 'firmware refused iPXE')
      if (machine === undefined) return
      await tx.changed('boot.machine', machine)
      await machines.record(tx, machine, { type: 'boot', level: 'info', message: 'Its firmware refuses iPXE, as with Secure Boot: it gets shim and GRUB', data: { rack, mac } })
    }

    /** An image came or went, or the options of every machine: what unknown machines run may be another one, and so may be what any machine runs that is to boot one. */
    async function keysOfImages (): Promise<BootKey[]> {
      for (const { architecture } of await images.list(db)) told.architectures.add(architecture)
      return [...[...told.architectures].map(id => ({ kind: 'unknown' as const, id })), ...await keysOfMachines(() => true)]
    }
    /** Of the machines that are to boot an image, those that `concerned` names. */
    async function keysOfMachines (concerned: (machine: Machine) => boolean): Promise<BootKey[]> {
      const waiting = (await machines.list(db)).filter(machine => concerned(machine) && !['local', 'poweroff', 'enlist'].includes(machines.purpose(machine)))
      return waiting.flatMap(machine => told.keys(machine.id, machine))
    }
  }
})
