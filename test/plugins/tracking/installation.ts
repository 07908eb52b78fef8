/** Controllers of one installation in this process, with the tracking at a quick pace, and a service whose health the test sets. */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { dead, degraded, off, running } from '../../../core/health.ts'
import { parts } from '../../../core/parts.ts'
import { defineManifest, definePlugin, defineRack, defineRegion } from '../../../core/plugin.ts'
import type { Health, Plugin, Service } from '../../../core/plugin.ts'
import network from '../../../plugins/network/index.ts'
import tracking from '../../../plugins/tracking/index.ts'
import { startDaemon } from '../../kit/daemon.ts'
import type { Daemon, DaemonOptions } from '../../kit/daemon.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { until } from '../../kit/wait.ts'

export { dead, degraded, off, running }
export interface ServiceView { readonly controller: string, readonly hostname: string, readonly role: string | null, readonly plugin: string, readonly service: string, readonly leader: boolean, readonly state: string, readonly reason: string | null, readonly since: string, readonly restarts: number }
export interface PeerView { readonly id: string, readonly hostname: string, readonly up: boolean, readonly since: string | null, readonly reason: string | null }
export interface ControllerView {
  readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly version: string, readonly state: string, readonly reason: string | null, readonly since: string, readonly seenAt: string
  readonly addresses: readonly string[], readonly regions: readonly PeerView[], readonly racks: readonly PeerView[], readonly services: Readonly<Record<string, number>>
  readonly interfaces: readonly { readonly name: string, readonly up: boolean, readonly addresses: readonly string[], readonly vlans: readonly { readonly vid: number }[] }[]
}
export interface EventView { readonly id: string, readonly at: string, readonly controller: string, readonly plugin: string | null, readonly service: string | null, readonly state: string, readonly reason: string | null }

/** A plugin with one service per role whose health is what the test says. */
export interface Patient { readonly plugin: Plugin, health: Health }
export function patient (): Patient {
  const manifest = defineManifest({ name: 'patient', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
  const self = { health: running as Health }
  const service = (): Service => {
    let on = false
    return { name: 'heart', async start () { on = true }, async stop () { on = false }, health: () => on ? self.health : off('Stopped.') }
  }
  const half = { requires: {}, provides: {}, setup: () => ({ provides: {}, rpc: {}, services: [service()] }) }
  return Object.assign(self, { plugin: definePlugin({ manifest, region: async () => defineRegion(manifest, half), rack: async () => defineRack(manifest, half) }) })
}

export const quiet = 3 // s

/** `also`: plugins besides those every member has. */
export interface MemberOptions extends Omit<DaemonOptions, 'plugins'> { readonly also?: readonly Plugin[] }
export interface Member { readonly daemon: Daemon, readonly id: string, readonly patient: Patient }

export class Cluster {
  readonly #members = new Set<Member>()
  readonly #key = randomBytes(32)
  readonly db: TestDatabase
  readonly folder: string
  private constructor (db: TestDatabase, folder: string) { this.db = db; this.folder = folder }
  static async open (): Promise<Cluster> {
    return new Cluster(await testDatabase({ migrations: [network.manifest, tracking.manifest] }), await mkdtemp(join(tmpdir(), 'bedplate-tracking-')))
  }

  async #start (hostname: string, { also = [], ...options }: MemberOptions): Promise<Member> {
    const sick = patient()
    const daemon = await startDaemon({
      plugins: [network, tracking, sick.plugin, ...also], ...options,
      config: { hostname, tracking: { quietSeconds: quiet }, ...options.config },
      parts: { createRegionEnd: given => parts.createRegionEnd({ ...given, timing: { ...given.timing, tick: 500 } }) }
    })
    const member = { daemon, id: daemon.kernel.controller.id, patient: sick }
    this.#members.add(member)
    return member
  }

  /** A region in its folder of the cluster, so that it may be started again as the same. */
  async region (hostname: string, options: MemberOptions = {}): Promise<Member> {
    const dataDirectory = join(this.folder, hostname)
    await mkdir(dataDirectory, { recursive: true })
    await writeFile(join(dataDirectory, 'secret.key'), this.#key.toString('hex'), { mode: 0o600 })
    return await this.#start(hostname, { roles: ['region'], dataDirectory, database: this.db, ...options, config: { rpc: { host: '127.0.0.1', port: 0, advertise: ['127.0.0.1'] }, ...options.config } })
  }

  /** A rack enrolled at the first of these regions; it hears of the others by itself. */
  async rack (hostname: string, [first, ...others]: readonly Member[], options: Omit<MemberOptions, 'roles'> = {}): Promise<Member> {
    const token = await first!.daemon.kernel.region!.createToken(['rack'], 60)
    const port = first!.daemon.kernel.region!.port()
    const dataDirectory = join(this.folder, hostname)
    await mkdir(dataDirectory, { recursive: true })
    const rack = await this.#start(hostname, { roles: ['rack'], dataDirectory, ...options, config: { regions: [`127.0.0.1:${port}`], enrolmentToken: token, ...options.config } })
    await until(() => [first!, ...others].every(region => region.daemon.kernel.region!.racks().includes(rack.id)), { what: `${hostname} linked to every region` })
    return rack
  }

  /** Ends one, as `stop()` does: it is not heard of any more. */
  async stop (member: Member): Promise<void> {
    this.#members.delete(member)
    await member.daemon.stop()
  }

  async close (): Promise<void> {
    for (const member of [...this.#members].reverse()) await this.stop(member)
    await this.db.drop()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export const servicesAt = async ({ daemon }: Member, query = ''): Promise<readonly ServiceView[]> => (await daemon.request<{ items: ServiceView[] }>('GET', `/api/v1/tracking/services?limit=1000${query}`)).body.items
export const controllersAt = async ({ daemon }: Member): Promise<readonly ControllerView[]> => (await daemon.request<{ items: ControllerView[] }>('GET', '/api/v1/tracking/controllers')).body.items
export const historyAt = async ({ daemon }: Member, query = ''): Promise<readonly EventView[]> => (await daemon.request<{ items: EventView[] }>('GET', `/api/v1/tracking/history?limit=1000${query}`)).body.items
export const controllerAt = async (at: Member, of: Member): Promise<ControllerView | undefined> => (await controllersAt(at)).find(({ id }) => id === of.id)
export const heartAt = async (at: Member, of: Member): Promise<ServiceView | undefined> => (await servicesAt(at, `&controller=${of.id}&plugin=patient`))[0]
