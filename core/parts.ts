/** The parts the kernel joins: database, elector and the two ends of the links. One seam, so that a test can put in its own. */
import type { Clock } from './clock.ts'
import { startEmbedded } from './database/embedded.ts'
import type { Embedded } from './database/embedded.ts'
import { openDatabase } from './database/pool.ts'
import type { DatabaseHandle } from './database/pool.ts'
import { startShared } from './database/sharing.ts'
import type { Shared } from './database/sharing.ts'
import { createServerWatch } from './database/watch.ts'
import { createElector } from './leader/elector.ts'
import type { Elector, ElectorOptions } from './leader/elector.ts'
import type { Logger } from './log.ts'
import type { Controller, Service } from './plugin.ts'
import { createRackEnd } from './rpc/client.ts'
import type { RackEnd, RackEndOptions, RegionEnd, RegionEndOptions } from './rpc/ends.ts'
import { createRegionEnd } from './rpc/server.ts'
import type { Settings } from './settings.ts'
import { createFloatingAddress } from './vip/service.ts'
import type { FloatingAddressOptions, FloatingAddressService } from './vip/service.ts'

export type { Elector }

export interface Parts {
  /** Starts the embedded server where none is configured, and connects. `stopServer` stops what was started; `services` keep it running until then. */
  openDatabase(settings: Settings, controller: Controller, log: Logger, clock: Clock): Promise<{ readonly db: DatabaseHandle, readonly services?: readonly Service[], readonly shared?: Shared, stopServer(): Promise<void> }>
  createElector(options: ElectorOptions): Elector
  createFloatingAddress(options: FloatingAddressOptions): FloatingAddressService
  createRegionEnd(options: RegionEndOptions): RegionEnd
  createRackEnd(options: RackEndOptions): RackEnd
}

/** The real ones. */
export const parts: Parts = {
  async openDatabase ({ database, embedded, dataDirectory }, { hostname, version }, log, clock) {
    const shared = { log, clock, version, applicationName: `bedplate ${hostname}` }
    if (database !== undefined) {
      const { hosts, name, user, password } = database
      return { db: await openDatabase({ ...shared, hosts: hosts.map(hostOf), every: 1000, database: name, user, ...(password === '' ? {} : { password }) }), stopServer: async () => {} }
    }
    const start = (): Promise<Embedded & { readonly shared?: Shared }> => embedded === undefined ? startEmbedded({ dataDirectory, log }) : startShared({ dataDirectory, log, listen: hostOf(embedded.listen) })
    const server = await start()
    const { host, port, database: name, user } = server.connection
    try {
      return { db: await openDatabase({ ...shared, hosts: [{ host, port }], database: name, user }), services: [createServerWatch({ server, start, clock })], ...server.shared === undefined ? {} : { shared: server.shared }, stopServer: () => server.stop() }
    } catch (error) {
      await server.stop()
      throw error
    }
  },
  createElector,
  createFloatingAddress,
  createRegionEnd,
  createRackEnd
}

/** `name`, `name:port`, `[v6]:port`, a bare v6 address, or the folder of a socket. Port 5432 unless given. */
export function hostOf (text: string): { host: string, port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined || host === '' ? { host: text, port: 5432 } : { host, port: port === undefined ? 5432 : Number(port) }
}
