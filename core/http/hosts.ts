/** The two HTTP hosts of a controller: the region's API and the rack's pages for machines. One encapsulated mount per plugin. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { ActiveRack, ActiveRegion } from '../active.ts'
import type { Clock } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { DatabaseHandle } from '../database/pool.ts'
import type { Controller, Service } from '../plugin.ts'
import type { RegionEnd } from '../rpc/ends.ts'
import type { Secrets } from '../secrets.ts'
import type { Settings } from '../settings.ts'
import type { Status } from '../status.ts'
import { createApp } from './app.ts'
import { audit, authenticate } from './authenticate.ts'
import { conventions } from './conditional.ts'
import { control } from './control.ts'
import { createEvents } from './events.ts'
import type { Events } from './events.ts'
import { idempotency } from './idempotency.ts'
import { createListener } from './listener.ts'
import type { Listener, Where } from './listener.ts'
import { describe, publish } from './openapi.ts'
import { probes } from './probes.ts'

export interface HostsOptions {
  readonly settings: Settings, readonly log: Logger, readonly clock: Clock, readonly metrics: Metrics, readonly hooks: Hooks
  readonly controller: Controller, readonly status: () => Status
  readonly regions: readonly ActiveRegion[], readonly racks: readonly ActiveRack[]
  readonly region?: { readonly db: DatabaseHandle, readonly secrets: Secrets, readonly end: RegionEnd } | undefined
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
  const listen = (app: FastifyInstance, name: string, where: Where, onStop = () => {}): Listener => {
    const listener = createListener({ name, app, where, log, onStop })
    listeners.push(listener)
    return listener
  }
  let api: Listener | undefined
  let rack: Listener | undefined
  if (settings.roles.includes('region')) {
    const { app, events } = await apiApp(options)
    const onStop = () => events?.end()
    apps.push(app)
    api = listen(app, 'api', { host: settings.http.host, port: settings.http.port }, onStop)
    if (settings.http.socket !== undefined) listen(app, 'api-socket', { socket: settings.http.socket }, onStop)
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

async function apiApp ({ log: parent, clock, metrics, hooks, controller, status, regions, region }: HostsOptions): Promise<{ app: FastifyInstance, events: Events | undefined }> {
  const log = parent.child({ part: 'api' })
  const app = createApp(log)
  await describe(app, regions.map(({ manifest }) => manifest), controller.version)
  conventions(app)
  authenticate(app, hooks)
  audit(app, hooks)
  await app.register(probes({ metrics, status }))
  const events = region === undefined ? undefined : createEvents({ feed: region.db.feed, clock, log })
  if (region !== undefined && events !== undefined) {
    idempotency(app, region.db, region.secrets, clock)
    await app.register(control({ end: region.end, status }), { prefix: '/api/v1' })
    await app.register(events.routes, { prefix: '/api/v1' })
  }
  for (const { manifest, running } of regions) if (running.routes !== undefined) await mount(app, `/api/v1/${manifest.name}`, manifest.name, running.routes)
  await publish(app)
  await app.ready()
  return { app, events }
}

async function rackApp ({ log, metrics, status, racks }: HostsOptions): Promise<FastifyInstance> {
  const app = createApp(log.child({ part: 'rack-http' }))
  conventions(app)
  await app.register(probes({ metrics, status }))
  for (const { manifest, running } of racks) if (running.routes !== undefined) await mount(app, `/${manifest.name}`, manifest.name, running.routes)
  await app.ready()
  return app
}

/** Adds one plugin's routes below its prefix, tagged with its name in the description. What it decorates or hooks stays its own. */
async function mount (app: FastifyInstance, prefix: string, name: string, routes: FastifyPluginAsyncTypebox): Promise<void> {
  await app.register(async scope => {
    scope.addHook('onRoute', route => { route.schema = { tags: [name], ...route.schema } })
    await scope.register(routes)
  }, { prefix })
}
