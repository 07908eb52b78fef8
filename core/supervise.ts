/** Keeps services running: starts them with a deadline, restarts the dead with growing pauses, follows leadership, and tells how each one is. */
import type { Clock } from './clock.ts'
import { withDeadline } from './deadline.ts'
import { BedplateError, reasonOf } from './errors.ts'
import { dead, off } from './health.ts'
import type { Health } from './health.ts'
import type { Term } from './leader/term.ts'
import type { Logger } from './log.ts'
import type { Role, Service } from './plugin.ts'

export interface ServiceStatus {
  readonly plugin: string // 'core' for the core's own
  readonly role?: Role
  readonly service: string
  readonly on?: 'leader'
  readonly state: Health['state']
  readonly reason?: string
  readonly since: string // ISO 8601: when it came into this state
  readonly restarts: number
}

export interface Owner { readonly plugin: string, readonly role?: Role }

export interface SupervisorOptions {
  readonly log: Logger
  readonly clock: Clock
  readonly startTimeout?: number // ms, default 30,000
  readonly stopTimeout?: number // ms, default 10,000
  /** Hears each change of state at once, and of a reason alone at most every few seconds, for metrics and events. Must not throw. */
  readonly onChange?: (status: ServiceStatus) => void
  readonly random?: () => number
}

export interface Supervisor {
  /** Starts them together and waits for each one's first attempt, good or bad. Those `on: 'leader'` wait for a term. */
  start(owner: Owner, services: readonly Service[]): Promise<void>
  /** Stops these services, in reverse. Throws what they threw. */
  stop(services: readonly Service[]): Promise<void>
  gain(term: Term): void
  /** Resolves when every leader service has stopped. */
  lose(): Promise<void>
  list(): readonly ServiceStatus[]
}

const pollEvery = 1_000
const longestPause = 30_000
const reasonEvery = 5_000 // ms between two announcements of the same state with another reason
const steady = 60_000 // running this long forgives earlier deaths

export function createSupervisor (options: SupervisorOptions): Supervisor {
  const units: Unit[] = []
  let term: Term | undefined
  return {
    async start (owner, services) {
      const added = services.map(service => createUnit(owner, service, options))
      units.push(...added)
      await Promise.all(added.map(unit => unit.service.on === 'leader' ? (term === undefined ? undefined : void unit.want(term)) : unit.want(undefined)))
    },
    async stop (services) {
      const errors: unknown[] = []
      for (const unit of units.filter(one => services.includes(one.service)).reverse()) {
        await unit.halt().catch((error: unknown) => errors.push(error))
        units.splice(units.indexOf(unit), 1)
      }
      if (errors.length > 0) throw errors.length === 1 ? errors[0] : new BedplateError('CONFLICT', { reason: errors.map(reasonOf).join('; ') }, new AggregateError(errors))
    },
    gain (gained) {
      term = gained
      for (const unit of units) if (unit.service.on === 'leader') void unit.want(gained)
    },
    async lose () {
      term = undefined
      await Promise.allSettled(units.filter(unit => unit.service.on === 'leader').map(unit => unit.halt()))
    },
    list: () => units.map(unit => unit.status())
  }
}

type Unit = ReturnType<typeof createUnit>

function createUnit (owner: Owner, service: Service, { log: parent, clock, startTimeout = 30_000, stopTimeout = 10_000, onChange, random = Math.random }: SupervisorOptions) {
  const name = `${owner.plugin}/${service.name}`
  const log = parent.child({ ...owner, service: service.name })
  let shown: Health = off(service.on === 'leader' ? 'Runs on the leading region only.' : 'Not started yet.')
  let since = clock.now()
  let restarts = 0
  let announced: { readonly reason: string, readonly at: number } = { reason: reasonText(shown), at: -Infinity }
  let current: { readonly controller: AbortController, readonly done: Promise<void>, readonly tried: Promise<void> } | undefined

  const show = (next: Health): void => {
    const changed = shown.state !== next.state
    shown = next
    if (!changed) {
      // A reason that counts something changes at every look: what it is by then is told now and again.
      if (announced.reason !== reasonText(next) && clock.monotonic() - announced.at >= reasonEvery) announce()
      return
    }
    since = clock.now()
    const fields = { state: next.state, ...(next.state === 'running' ? {} : { reason: next.reason }) }
    if (next.state === 'dead' || next.state === 'degraded') log.warn(fields, `${name} is ${next.state}`)
    else log.info(fields, `${name} is ${next.state}`)
    announce()
  }
  const announce = (): void => {
    announced = { reason: reasonText(shown), at: clock.monotonic() }
    onChange?.(status())
  }
  const check = (): Health => {
    try { return service.health() } catch (error) { return dead(`Its health cannot be told: ${reasonOf(error)}`) }
  }
  const status = (): ServiceStatus => ({ ...owner, service: service.name, ...(service.on === undefined ? {} : { on: service.on }), state: shown.state, ...(shown.state === 'running' ? {} : { reason: shown.reason }), since: new Date(since).toISOString(), restarts })
  const stop = () => withDeadline(clock, stopTimeout, 'STOP_TIMEOUT', name, () => service.stop())

  /** One life under supervision: start, watch, stop, pause, and again, until aborted. Rejects only when the last stop fails. */
  async function live (term: Term | undefined, signal: AbortSignal, tried: () => void): Promise<void> {
    let failures = 0
    for (;;) {
      const began = clock.monotonic()
      let reason: string
      try {
        await withDeadline(clock, startTimeout, 'START_TIMEOUT', name, inner => term === undefined ? service.start(inner) : service.start(inner, term), signal)
        show(check())
        tried()
        reason = await watch(signal)
      } catch (error) {
        reason = reasonOf(error)
      }
      if (signal.aborted) break
      show(dead(reason)) // before the stop, which may take its time
      tried()
      if (clock.monotonic() - began >= steady) failures = 0
      await stop().catch((error: unknown) => log.warn({ err: error }, `${name} did not stop cleanly before its restart`))
      const pause = Math.min(longestPause, pollEvery * 2 ** Math.min(failures++, 10)) * (0.8 + 0.4 * random())
      await clock.sleep(Math.min(longestPause, pause), signal)
      if (signal.aborted) break
      restarts++
    }
    tried()
    await stop()
  }

  /** Resolves with a reason when the service is dead, or when aborted. */
  async function watch (signal: AbortSignal): Promise<string> {
    while (!signal.aborted) {
      const health = check()
      if (health.state === 'dead') return health.reason
      show(health)
      await clock.sleep(pollEvery, signal)
    }
    return ''
  }

  async function halt (): Promise<void> {
    const life = current
    if (life === undefined) return
    life.controller.abort()
    try { await life.done } finally {
      if (current === life) {
        current = undefined
        show(off(service.on === 'leader' ? 'Runs on the leading region only.' : 'Stopped.'))
      }
    }
  }

  return {
    service,
    status,
    halt,
    /** Starts a life, after the one before has ended. Resolves after its first attempt. */
    async want (term: Term | undefined): Promise<void> {
      const before = current
      before?.controller.abort()
      const controller = new AbortController()
      const { promise: tried, resolve } = Promise.withResolvers<void>()
      const done = (async () => {
        await before?.done.catch((error: unknown) => log.warn({ err: error }, `${name} did not stop cleanly`))
        if (!controller.signal.aborted) await live(term, controller.signal, resolve)
      })().finally(resolve)
      done.catch(() => {}) // told by halt, or logged by the next life
      current = { controller, done, tried }
      await tried
    }
  }
}

const reasonText = (health: Health): string => health.state === 'running' ? '' : health.reason

