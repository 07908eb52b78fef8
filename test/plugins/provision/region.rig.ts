/** provision's region half on a real database, with the real machines, power, network and images beside it. */
import { systemClock } from '../../../core/clock.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Change, Fact, Tx } from '../../../core/plugin.ts'
import { createSecrets } from '../../../core/secrets.ts'
import { manifest as imagesManifest } from '../../../plugins/images/manifest.ts'
import imagesRegion from '../../../plugins/images/region.ts'
import { insertImage } from '../../../plugins/images/store.ts'
import { storeFile } from '../../../plugins/images/upload.ts'
import { manifest as machinesManifest, type Deployment, type Machine, type MachineEvent } from '../../../plugins/machines/manifest.ts'
import machinesRegion from '../../../plugins/machines/region.ts'
import { events } from '../../../plugins/machines/store.ts'
import { manifest as networkManifest } from '../../../plugins/network/manifest.ts'
import networkRegion from '../../../plugins/network/region.ts'
import { insertFabric, insertSubnet, insertVlan } from '../../../plugins/network/store.ts'
import { manifest as powerManifest } from '../../../plugins/power/manifest.ts'
import powerRegion from '../../../plugins/power/region.ts'
import { manifest } from '../../../plugins/provision/manifest.ts'
import region from '../../../plugins/provision/region.ts'
import { sessionOf } from '../../../plugins/provision/store.ts'
import { fakeInitrd, fakeKernel, fakeRoot, sha256 } from '../images/rig.ts'
import { testDatabase } from '../../kit/database.ts'
import { quiet } from '../../kit/parts.ts'
import { virtual } from './outputs.ts'

export type ProvisionFact = Fact<typeof manifest.facts>
export const deployment = (imageId: string, changes: Partial<Deployment> = {}): Deployment => ({ imageId, sshKeys: ['ssh-ed25519 AAAA me'], userData: null, disk: null, ...changes })
let count = 0
export const nextMac = (): string => `52:54:00:77:${(++count >> 8).toString(16).padStart(2, '0')}:${(count & 255).toString(16).padStart(2, '0')}`
/** What a virtual machine with that MAC uploads. */
export const uploadOf = (mac: string, changes: Parameters<typeof virtual>[0] = {}) => virtual({ cmdline: `quiet BOOTIF=01-${mac.replaceAll(':', '-')}\n`, interfaces: `ens3 ${mac} -1 1\n`, ...changes })

export async function createRig () {
  const db = await testDatabase({ migrations: [networkManifest, powerManifest, imagesManifest, machinesManifest, manifest] })
  const shared = {
    clock: systemClock, hooks: createHooks(), log: quiet, metrics: createMetrics(), controller: { id: 'c1', hostname: 'c1', roles: ['region'] as const, version: '0', dataDirectory: '/nonexistent' },
    db, secrets: createSecrets(Buffer.alloc(32, 7)), racks: () => [], rack: () => { throw new TypeError('no racks here') }
  }
  const { network } = networkRegion.setup({ ...shared, deps: {}, config: { scanSeconds: 10, ignoreInterfaces: [] } }).provides
  const { power } = powerRegion.setup({ ...shared, deps: { network }, config: { pollSeconds: 60, reachSeconds: 60, actionTimeoutSeconds: 120 } }).provides
  const { images } = imagesRegion.setup({ ...shared, deps: { network }, config: { peerPort: 0 } }).provides
  const { machines } = machinesRegion.setup({ ...shared, deps: { power }, config: { commissioningMinutes: 20, deployingMinutes: 40, releasingMinutes: 15 } }).provides
  const running = region.setup({ ...shared, deps: { machines, images, network }, config: {} })
  const facts = running.facts!
  const give = (...batch: readonly Pick<ProvisionFact, 'kind' | 'body'>[]) => db.tx(tx => facts(tx, 'rack-1', batch.map(fact => ({ ...fact, at: new Date().toISOString() }) as ProvisionFact)))
  const show = async (id: string): Promise<Machine> => {
    const machine = await machines.get(db, id)
    if (machine === undefined) throw new TypeError(`no machine ${id}`)
    return machine
  }
  const act = (id: string, event: MachineEvent, details: Parameters<typeof machines.act>[3] = {}) => db.tx(tx => machines.act(tx, id, event, { by: 'me', ...details }))
  const session = (id: string) => sessionOf(db, id)
  const token = async (id: string): Promise<string> => {
    const own = await session(id)
    if (own === undefined) throw new TypeError(`machine ${id} has no session`)
    return own.token
  }

  /** What the machine says over its present session, or over `token`. */
  const says = (id: string) => ({
    async report (stage: string, status: 'started' | 'progress' | 'ok' | 'failed', message = 'hello', by?: string) { await give({ kind: 'report', body: { token: by ?? await token(id), machine: id, address: '10.7.0.50', stage, status, message } }) },
    async inventory (files: Record<string, string>, by?: string, address = '10.7.0.50') { await give({ kind: 'inventory', body: { token: by ?? await token(id), machine: id, address, files } }) },
    async phoneHome (hostKeys: string[] = [], by?: string) { await give({ kind: 'phoneHome', body: { token: by ?? await token(id), machine: id, address: '10.7.0.50', hostKeys } }) }
  })
  async function enlisted (mac = nextMac(), address = '10.7.0.50'): Promise<Machine> {
    await give({ kind: 'enlisted', body: { address, files: uploadOf(mac) } })
    return (await machines.byMac(db, mac))!
  }
  async function ready (mac = nextMac()): Promise<Machine> {
    const { id } = await enlisted(mac)
    await act(id, 'commission')
    await says(id).inventory(uploadOf(mac))
    return await show(id)
  }
  async function allocated (): Promise<Machine> { return await act((await ready()).id, 'allocate') }
  async function deploying (imageId: string): Promise<Machine> { return await act((await allocated()).id, 'deploy', { deployment: deployment(imageId) }) }

  return {
    db, machines, images, network, running, give, show, act, session, token, says, enlisted, ready, allocated, deploying,
    history: async (id: string) => (await events(db, id, { limit: 1000 })).map(({ level, message, data }) => ({ level, message, data })),
    addresses: (owner: string) => network.addresses(db, { owner }),
    /** A VLAN with one subnet. */
    segment: (cidr: string, more: { readonly gateway?: string, readonly dnsServers?: readonly string[] } = {}) => db.tx(async tx => {
      const fabric = await insertFabric(tx, `fabric-${cidr}`)
      const vlanId = await insertVlan(tx, { fabricId: fabric, vid: 0, name: 'untagged', mtu: 1500 })
      const subnetId = await insertSubnet(tx, { vlanId, name: cidr, cidr, gateway: more.gateway ?? null, dnsServers: [...more.dnsServers ?? []] })
      return { vlanId, subnetId }
    }),
    async image (changes: Partial<{ name: string, architecture: string }> = {}): Promise<string> {
      const [kernel, initrd, root] = await Promise.all([fakeKernel(), fakeInitrd(), fakeRoot()].map(async bytes => (await storeFile(db, sha256(bytes), async function * () { yield bytes }())).sha256))
      return await db.tx(async (tx: Tx) => {
        const id = await insertImage(tx, { name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: 'quiet', way: 'http', kernel: kernel!, initrd: initrd!, root: root!, ...changes })
        await tx.changed('images.image', id)
        return id
      })
    },
    /** What `work` put into the change log. */
    async changes (work: () => Promise<unknown>): Promise<readonly Change[]> {
      const before = await db.feed.position()
      await work()
      return (await db.feed.since(before)).changes
    }
  }
}
export type Rig = Awaited<ReturnType<typeof createRig>>
