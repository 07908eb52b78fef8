/** Stand-ins for what boot requires of other plugins, at the boundary of their tokens. */
import { AsyncSeriesHook } from 'tapable'
import type { VlanRacksService } from '../../../plugins/dhcp/manifest.ts'
import type { FileStore, Image, ImageService } from '../../../plugins/images/manifest.ts'
import type { Machine, MachineRecord, MachineService, Purpose, Transition } from '../../../plugins/machines/manifest.ts'
import type { NetworkService } from '../../../plugins/network/manifest.ts'
import type { Certifier, Tx } from '../../../core/plugin.ts'
import { BedplateError } from '../../../core/errors.ts'

export const fakeImage = (changes: Partial<Image> = {}): Image => ({
  id: '4', name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: 'quiet', way: 'http', createdAt: new Date(0),
  kernel: { sha256: '1'.repeat(64), size: 10 }, initrd: { sha256: '2'.repeat(64), size: 20 }, root: { sha256: '3'.repeat(64), size: 30 }, ...changes
})

export const fakeMachine = (changes: Partial<Machine> = {}): Machine => ({
  id: '1', hostname: 'otter', status: 'Commissioning', reason: null, since: new Date(0), deadline: null, architecture: 'amd64', firmware: 'bios',
  interfaces: [{ mac: '52:54:00:00:00:07', name: null, vlanId: null, boot: true }], owner: null, inventory: null, deployment: null, installed: false, hostKeys: [], tags: [], bootWay: null, ...changes
})

const absent = (): never => { throw new TypeError('boot does not use this') }

/** Machines in memory; `purposes` says what each shall do. */
export function fakeMachines () {
  const all = new Map<string, Machine>()
  const purposes = new Map<string, Purpose>()
  const records: (MachineRecord & { readonly id: string })[] = []
  const service: MachineService = {
    get: async (_q, id) => all.get(id),
    byMac: async (_q, mac) => [...all.values()].find(({ interfaces }) => interfaces.some(one => one.mac === mac)),
    list: async () => [...all.values()],
    purpose: ({ id }) => purposes.get(id) ?? 'commission',
    record: async (_tx, id, record) => { records.push({ id, ...record }) },
    act: absent, enlist: absent, saveInventory: absent, hooks: { transition: new AsyncSeriesHook<[Tx, Transition]>(['tx', 'transition']) }
  }
  return { all, purposes, records, service }
}

export function fakeImages (...images: Image[]) {
  const all = [...images]
  let lookups = 0
  const service: ImageService = {
    list: async () => all,
    find: async (_q, key) => { lookups++; return all.findLast(({ id, name }) => id === key || name === key) },
    ephemeral: async (_q, architecture) => { lookups++; return all.findLast(image => image.architecture === architecture) }
  }
  return { all, service, get lookups () { return lookups } }
}

/** Files by hash, at the paths given; others can be had only after `arrive`. */
export function fakeFiles (paths: Record<string, string>) {
  const waiting = new Map<string, PromiseWithResolvers<string>>()
  const asked: string[] = []
  const sizes = new Map<string, number>()
  const store: FileStore = {
    has: sha256 => sha256 in paths,
    size: sha256 => sizes.get(sha256),
    path (sha256, signal) {
      const path = paths[sha256]
      if (path !== undefined) return Promise.resolve(path)
      asked.push(sha256)
      const pull = waiting.get(sha256) ?? Promise.withResolvers<string>()
      waiting.set(sha256, pull)
      signal?.addEventListener('abort', () => pull.reject(new BedplateError('UNAVAILABLE', { reason: 'given up' })))
      return pull.promise
    }
  }
  return { store, asked, sizes, arrive: (sha256: string, path: string) => { paths[sha256] = path; waiting.get(sha256)?.resolve(path) }, fail: (sha256: string, error: Error) => waiting.get(sha256)?.reject(error) }
}

/** A network without VLANs, and so without boot addresses, and an authority that is not asked. */
export function fakePlan (): { readonly network: NetworkService, readonly served: VlanRacksService, readonly authority: Certifier } {
  const nothing = async () => []
  return {
    network: { vlans: nothing, subnets: nothing, subnetOf: async () => undefined, attachments: nothing, interfaces: nothing, addresses: nothing, allocate: absent, release: async () => 0 },
    served: { vlans: nothing },
    authority: { certificate: absent, server: absent }
  }
}
