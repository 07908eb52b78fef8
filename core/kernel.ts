/** The daemon's phases and their undo, in order: load → check → identify → database → setup → start → run, and stop. */
import { join } from 'node:path'
import type { ActiveRack, ActiveRegion } from './active.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { createHalves } from './container.ts'
import { rackContext, regionContext } from './context.ts'
import { identify } from './controller.ts'
import { createContraction } from './database/contraction.ts'
import { coreMigrations } from './database/migrate.ts'
import type { Migrated } from './database/migrate.ts'
import type { DatabaseHandle } from './database/pool.ts'
import { withDeadline } from './deadline.ts'
import { BedplateError, reasonOf } from './errors.ts'
import { holdDirectory } from './exclusive.ts'
import { checkGraph, checkRunning, halfName } from './graph.ts'
import type { Half } from './graph.ts'
import { createHooks } from './hooks.ts'
import type { Hooks } from './hooks.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createHosts } from './http/hosts.ts'
import type { Hosts } from './http/hosts.ts'
import { createHandover } from './leader/handover.ts'
import { loadHalves } from './load.ts'
import type { Logger } from './log.ts'
import { createMetrics } from './metrics.ts'
import type { Elector, Parts } from './parts.ts'
import type { Change, Controller, Plugin, Service } from './plugin.ts'
import { Authority, Controllers, Self } from './plugin.ts'
import { createReconciler } from './reconcile.ts'
import { admitRegion } from './rpc/admission.ts'
import type { RegionEnd } from './rpc/ends.ts'
import { createSecrets, loadSecretKey } from './secrets.ts'
import type { Secrets } from './secrets.ts'
import { createStatus } from './status.ts'
import type { Phase, Status } from './status.ts'
import { createSteps } from './steps.ts'
import { createSupervisor } from './supervise.ts'
import type { Owner } from './supervise.ts'
import { readFloating } from './vip/address.ts'

export interface KernelOptions {
  readonly config: Config
  readonly plugins: readonly Plugin[]
  readonly log: Logger
  readonly clock?: Clock
  /** Aborting it stops the daemon, during start as well. */
  readonly signal?: AbortSignal
  readonly parts: Parts
  readonly startTimeout?: number // ms for each half's and service's start; default 30,000
  readonly stopTimeout?: number // ms for each part's stop; default 10,000
  /** Whether the process-wide metrics (memory, event loop) are collected; a daemon does, tests do not. */
  readonly processMetrics?: boolean
}

export interface Kernel {
  readonly controller: Controller
  readonly hooks: Hooks
  readonly hosts: Hosts
  readonly region?: RegionEnd
  readonly db?: DatabaseHandle
  status(): Status
  /** Not ready → drain → stop in reverse order, each part with a deadline. Callers share one promise; it rejects with every error. */
  stop(): Promise<void>
  /** Settles as `stop()` does, whoever asked for it. */
  readonly stopped: Promise<void>
}

/** Owns what the controller cannot be ready without. */
const core: Owner = { plugin: 'core' }

type Halves = readonly (Half & { readonly running: ActiveRegion['running'] | ActiveRack['running'] })[]
interface RegionSide { readonly db: DatabaseHandle, readonly migrate: () => Promise<Migrated>, readonly server: readonly Service[], readonly secrets: Secrets, readonly end: RegionEnd }

/**
 * Starts a controller. Rejects with CONFIG_INVALID, GRAPH_INVALID, MIGRATION_FAILED, START_FAILED, START_TIMEOUT … after undoing what had started.
 * A service that cannot start (a port in use, a privilege missing) does not stop the daemon: it is supervised, and shown with its reason.
 */
export async function startKernel (options: KernelOptions): Promise<Kernel> {
  const { config: { core: settings, plugins: configs }, plugins, parts, clock = systemClock, startTimeout = 30_000, stopTimeout = 10_000 } = options
  const { roles } = settings
  const stopping = new AbortController()
  const signal = options.signal === undefined ? stopping.signal : AbortSignal.any([stopping.signal, options.signal])
  const hooks = createHooks((error, observer) => options.log.error({ err: error, observer }, `${observer} failed over something it observes`))
  const metrics = createMetrics({ process: options.processMetrics ?? false })
  const steps = createSteps(clock, options.log)
  const within = (what: string, work: (signal: AbortSignal) => Promise<void> | undefined): Promise<void> => withDeadline(clock, startTimeout, 'START_TIMEOUT', what, async inner => {
    try { await work(inner) } catch (cause) {
      throw cause instanceof BedplateError ? cause : new BedplateError('START_FAILED', { what, reason: reasonOf(cause) }, cause)
    }
  }, signal)
  let phase: Phase = 'starting'

  try {
    const halves = await steps.run('load', () => loadHalves(plugins, roles))
    const ordered = await steps.run('check', () => checkGraph(plugins, halves, settings.without))
    const addresses = settings.vip === undefined ? [] : readFloating(settings.vip, roles)
    const controller = await steps.run('identify', () => identify(settings))
    steps.undo('data directory', holdDirectory(controller.dataDirectory))
    const log = options.log.child({ controller: controller.hostname })

    // The ends are made before the halves they carry traffic for, because contexts call through them.
    const regions: ActiveRegion[] = []
    const racks: ActiveRack[] = []
    const shared = { controller, log, clock, metrics, hooks }
    let apiPort = (): number | undefined => undefined
    let removed = (reason: string): void => { log.error(reason) }
    const region = roles.includes('region') ? await steps.run('database', () => openRegion()) : undefined
    const rack = roles.includes('rack')
      ? await parts.createRackEnd({ ...shared, halves: () => racks, regions: settings.regions, ...(region === undefined ? {} : { loopback: region.end.loopback() }), ...(settings.enrolmentToken === undefined ? {} : { token: settings.enrolmentToken }) })
      : undefined

    async function openRegion (): Promise<RegionSide> {
      const { db, services: server = [], shared: opened, stopServer } = await steps.run('connect', () => parts.openDatabase(settings, controller, log, clock))
      steps.undo('database server', stopServer, 60_000)
      steps.undo('database', () => db.close(), stopTimeout)
      const keyFile = join(controller.dataDirectory, 'secret.key')
      const secretKey = await loadSecretKey(keyFile)
      const secrets = createSecrets(secretKey)
      await steps.run('admission', () => admitRegion({ db, secrets, controller: controller.id, keyFile })) // before it is told to the others that it is there
      const sets = plugins.flatMap(({ manifest: { name, migrations } }) => migrations === undefined ? [] : [{ name, directory: migrations }])
      const migrate = (): Promise<Migrated> => db.migrate([coreMigrations, ...sets], controller)
      for (const reason of (await steps.run('migrate', migrate)).waiting) log.info({ reason }, 'a migration is put off')
      const embedded = settings.database === undefined
      const given = settings.database ?? (opened === undefined || settings.embedded === undefined ? undefined : { ...opened, hosts: [settings.embedded.listen] })
      const installation = { secretKey: secretKey.toString('hex'), embedded, ...given === undefined ? {} : { database: given } }
      const end = await parts.createRegionEnd({ ...shared, db, secrets, halves: () => regions, listen: settings.rpc, api: { host: settings.http.host, port: () => apiPort() }, installation, removed: reason => removed(reason) })
      return { db, migrate, server, secrets, end }
    }

    const active: Halves = await steps.run('setup', async () => {
      const context = (half: Half, deps: Readonly<Record<string, unknown>>) => {
        const { manifest } = half
        const common = { config: configs[manifest.name] ?? {}, deps, hooks, log: log.child({ plugin: manifest.name, role: half.role }), clock, metrics, controller }
        if (half.role === 'region') return half.half.setup(regionContext(manifest, common, region ?? lacking('region')))
        return half.half.setup(rackContext(manifest, common, rack ?? lacking('rack')))
      }
      const container = createHalves(ordered, context, { [Self.id]: { status: () => status() }, ...(region === undefined ? {} : { [Controllers.id]: { list: () => region.end.controllers() }, [Authority.id]: region.end.authority }) })
      const made: Halves[number][] = []
      for (const half of ordered) made.push({ ...half, running: await steps.run(halfName(half), () => container.resolve(half)) })
      for (const { role, manifest, running } of made) if (role === 'region') regions.push({ manifest, running: running as ActiveRegion['running'] }); else racks.push({ manifest, running: running as ActiveRack['running'] })
      checkRunning(regions, racks)
      return made
    })

    const states = metrics.gauge('service_state', 'State of each supervised service: 1 for the state it is in', ['plugin', 'service', 'state'])
    const supervisor = createSupervisor({
      log, clock, startTimeout, stopTimeout,
      onChange (changed) {
        const { plugin, service, state } = changed
        if (phase !== 'stopping') void hooks.service.promise(changed)
        for (const each of ['running', 'degraded', 'dead', 'off', 'unknown'] as const) states.set({ plugin, service, state: each }, each === state ? 1 : 0)
      }
    })
    const reconciler = createReconciler({ log, clock })
    const supervise = async (name: string, owner: Owner, services: readonly Service[]): Promise<void> => {
      steps.undo(`${name} services`, () => supervisor.stop(services), stopTimeout * (services.length + 1))
      await steps.run(`${name} services`, () => supervisor.start(owner, services))
      signal.throwIfAborted()
    }
    const elector: Elector | undefined = region === undefined ? undefined : parts.createElector({
      name: 'region', holder: controller.id, db: region.db, clock, log,
      ready: createHandover({ clock, log, leading: () => elector?.current() !== undefined, missed: () => region.end.missed() }),
      onGain (term) {
        supervisor.gain(term)
        reconciler.kick()
        void hooks.leader.promise({ leading: true, term: term.number })
      },
      onLoss (term) {
        void hooks.leader.promise({ leading: false, term: term.number })
        return supervisor.lose()
      }
    })
    const floating = region === undefined || addresses.length === 0 ? undefined : parts.createFloatingAddress({
      addresses, interface: settings.vip?.interface, holder: controller.id, db: region.db, clock, log, metrics, ready: () => status().ready, createElector: parts.createElector
    })
    const status = createStatus({ controller, phase: () => phase, supervisor, region, rack, elector, floating })
    const hosts = await steps.run('http', () => createHosts({ settings, log, clock, metrics, hooks, controller, status, regions, racks, region }))
    apiPort = () => hosts.ports().api
    steps.undo('http', () => hosts.close(), stopTimeout)

    await steps.run('start', async () => {
      if (region !== undefined) await supervise('database server', core, region.server)
      if (region !== undefined) await supervise('feed', core, [region.db.feed.service])
      if (region !== undefined) steps.undo('changes', region.db.feed.subscribe(changes => tell(regions, changes, log), () => reconciler.kick()))
      for (const { role, manifest, running } of active) {
        const name = halfName({ role, manifest })
        // Undone even when the start below fails half-way: stop must cope with that.
        if (running.stop !== undefined) steps.undo(name, () => running.stop?.(), stopTimeout)
        if (running.start !== undefined) await steps.run(name, () => within(`${name} start`, signal => running.start?.(signal)))
      }
      if (rack !== undefined) await steps.run('restore', () => rack.restore())
      for (const { role, manifest, running } of active) await supervise(halfName({ role, manifest }), { plugin: manifest.name, role }, running.services)
      if (region !== undefined) await supervise('region-link', core, region.end.services)
      if (rack !== undefined) await supervise('rack-link', core, rack.services)
      if (elector !== undefined && region !== undefined) await supervise('leader', core, [createHousekeeping({ clock, log }), createContraction({ clock, log, migrate: region.migrate }), elector])
      await supervise('http', core, hosts.services)
      if (floating !== undefined) await supervise('floating address', core, [floating]) // last, so that it is given up before anything else ends
      region?.end.refresh() // the API's port is taken now
    })

    steps.undo('reconcile', () => reconciler.stop(), stopTimeout)
    for (const { role, manifest, running } of active) if (running.reconcile !== undefined) reconciler.add(halfName({ role, manifest }), signal => running.reconcile?.(signal) ?? Promise.resolve())
    signal.throwIfAborted()
    phase = 'ready'
    log.info(`started as ${roles.join(' and ')}:\n${steps.tree()}`)

    const { promise: stopped, resolve, reject } = Promise.withResolvers<void>()
    stopped.catch(() => {}) // told to whoever calls stop
    let asked = false
    const stop = (): Promise<void> => {
      if (!asked) {
        asked = true
        phase = 'stopping'
        stopping.abort()
        region?.db.hurry()
        log.info('stopping')
        steps.undoAll().then(errors => {
          if (errors.length === 0) resolve()
          else reject(errors.length === 1 ? errors[0] : new BedplateError('STOP_FAILED', { what: 'Bedplate', reason: errors.map(reasonOf).join(' ') }, new AggregateError(errors)))
        }, reject)
      }
      return stopped
    }
    removed = reason => { log.error(reason); void stop() }
    if (signal.aborted) void stop()
    else options.signal?.addEventListener('abort', () => void stop(), { once: true })
    return { controller, hooks, hosts, status, stop, stopped, ...(region === undefined ? {} : { region: region.end, db: region.db }) }
  } catch (cause) {
    const first = cause instanceof BedplateError ? cause : signal.aborted ? new BedplateError('UNAVAILABLE', { reason: 'Bedplate was stopped while it started' }, cause) : new BedplateError('START_FAILED', { what: 'Bedplate', reason: reasonOf(cause) }, cause)
    phase = 'stopping'
    stopping.abort()
    const later = await steps.undoAll()
    if (later.length === 0) throw first
    throw new BedplateError('START_FAILED', { what: 'Bedplate', reason: [first, ...later].map(reasonOf).join(' ') }, new AggregateError([first, ...later]))
  }
}

/** Hands committed changes to every half that listens; one that throws does not keep them from the next. */
function tell (regions: readonly ActiveRegion[], changes: readonly Change[], log: Logger): void {
  for (const { manifest, running } of regions) {
    try { running.changed?.(changes) } catch (error) { log.error({ err: error, plugin: manifest.name }, `${manifest.name} failed over a change`) }
  }
}

const lacking = (role: string): never => { throw new BedplateError('INTERNAL', { reason: `a ${role} half was set up without its side`, requestId: 'start' }) }
