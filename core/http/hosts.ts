/** The two HTTP hosts of a controller: the region's API and the rack's pages for machines. One encapsulated mount per plugin. */
import type { FastifyInstance } from 'fastify'
import type { ActiveRack, ActiveRegion } from '../active.ts'
import type { Clock } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { RegionDatabase } from '../parts.ts'
import type { Controller, Service } from '../plugin.ts'
import type { RegionEnd } from '../rpc/ends.ts'
import type { Settings } from '../settings.ts'
import type { Status } from '../status.ts'
import { createApp } from './app.ts'
import { createListener } from './listener.ts'
import type { Listener } from './listener.ts'
import { probes } from './probes.ts'

export interface HostsOptions {
  readonly settings: Settings, readonly log: Logger, readonly clock: Clock, readonly metrics: Metrics, readonly hooks: Hooks
  readonly controller: Controller, readonly status: () => Status
  readonly regions: readonly ActiveRegion[], readonly racks: readonly ActiveRack[]
  readonly region?: { readonly db: RegionDatabase, readonly end: RegionEnd } | undefined
}

export interface Hosts {
  readonly services: readonly Service[]
  /** Ports taken, once their services run. */
  ports(): { readonly api?: number, readonly rack?: number }
  close(): Promise<void>
}

/** Builds the apps with every route, so that a faulty route stops the start; nothing listens before the services start. */
export async function createHosts (options: HostsOptions): Promise<Hosts> {
  const { settings, log } = options
  const apps: FastifyInstance[] = []
  const listeners: Listener[] = []
  const listen = (app: FastifyInstance, name: string, where: Parameters<typeof createListener>[0]['where']): Listener => {
    const listener = createListener({ name, app, where, log })
    listeners.push(listener)
    return listener
  }
  let api: Listener | undefined
  let rack: Listener | undefined
  if (settings.roles.includes('region')) {
    const app = await apiApp(options)
    apps.push(app)
    api = listen(app, 'api', { host: settings.http.host, port: settings.http.port })
    if (settings.http.socket !== undefined) listen(app, 'api-socket', { socket: settings.http.socket })
  }
  if (settings.roles.includes('rack')) {
    const app = await rackApp(options)
    apps.push(app)
    rack = listen(app, 'rack-http', { host: settings.rackHttp.host, port: settings.rackHttp.port })
  }
  const portOf = (listener: Listener | undefined): number | undefined => {
    const address = listener?.address()
    return typeof address === 'object' ? address.port : undefined
  }
  return {
    services: listeners,
    ports () {
      const [apiPort, rackPort] = [portOf(api), portOf(rack)]
      return { ...(apiPort === undefined ? {} : { api: apiPort }), ...(rackPort === undefined ? {} : { rack: rackPort }) }
    },
    async close () { await Promise.all(apps.map(app => app.close())) }
  }
}

async function apiApp (options: HostsOptions): Promise<FastifyInstance> {
  const app = createApp(options.log.child({ part: 'api' }))
  await app.register(probes(options))
  for (const { manifest, running } of options.regions) if (running.routes !== undefined) await app.register(running.routes, { prefix: `/api/v1/${manifest.name}` })
  await app.ready()
  return app
}

async function rackApp (options: HostsOptions): Promise<FastifyInstance> {
  const app = createApp(options.log.child({ part: 'rack-http' }))
  await app.register(probes(options))
  for (const { manifest, running } of options.racks) if (running.routes !== undefined) await app.register(running.routes, { prefix: `/${manifest.name}` })
  await app.ready()
  return app
}
