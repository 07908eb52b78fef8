/** Asks the BMCs that are this rack's for the power of their machines, each in its turn of the interval, and tells the region. */
import { BedplateError, hasCode } from '../../../core/errors.ts'
import { off, running as up } from '../../../core/health.ts'
import type { Client, Clock, Health, Logger, Reported, Service } from '../../../core/plugin.ts'
import { isFatal, pace, redacted } from '../driver.ts'
import { endpointText } from '../endpoint.ts'
import type { Kept } from '../kept.ts'
import type { manifest, PowerStateName } from '../manifest.ts'
import type { BmcEntry, BmcListener } from './bmcs.ts'
import { createCredentials, type Credentials } from './credentials.ts'
import { decide, fresh, mayAsk, type Patience, type Result } from './patience.ts'
import type { Queue } from './queue.ts'
import type { Reaching } from './reach.ts'
import { createSchedule } from './schedule.ts'
import { createTelling } from './telling.ts'

export interface Seen { readonly machine: string, readonly state: PowerStateName, readonly error: string | null, readonly version: string, readonly turn: string }
export interface PollOptions {
  readonly clock: Clock, readonly log: Logger, readonly rack: string, readonly seconds: number
  readonly kept: Kept, readonly queue: Queue, readonly region: Pick<Client<'region', typeof manifest.rpc>, 'credentials'>, readonly reaching: Pick<Reaching, 'answered' | 'doubt'>
  report(seen: readonly Seen[]): Reported
  readonly random?: () => number
}
export interface Polling extends BmcListener {
  readonly service: Service
  /** An action is about to begin: a poll under way gives way, and what was seen before is not told any more. */
  yield(machine: string): void
}

const beat = 250 // ms
const most = 256 // polls at once
const within = 15_000 // ms
const told = { soon: 50, late: 10_000 } // ms

interface Asked { entry: BmcEntry, place: string | null, patience: Patience, lastTold: string | null, under: { readonly controller: AbortController, readonly end: number } | undefined }

export function createPoll ({ clock, log, rack, seconds, kept, queue, region, reaching, report, random = Math.random }: PollOptions): Polling {
  const interval = seconds * 1000
  const mine = new Map<string, Asked>()
  const schedule = createSchedule({ interval, beat, salt: rack, atOnce: 100 })
  const telling = createTelling<Seen>({ clock, log, ...told, report })
  const ready = new Set<string>()
  const under = new Map<string, Asked>()
  const asks = new Set<Promise<void>>()
  const credentials = createCredentials({ clock, log, region, random, came (machine, version) { if (mine.get(machine)?.entry.version === version) ready.add(machine) } })
  let health: Health = off('not started')

  function tell (machine: string, asked: Asked, entry: BmcEntry, version: string, state: PowerStateName, error: string | null): void {
    const said = `${version} ${entry.turn} ${state} ${error ?? ''}`
    telling.tell(machine, { machine, state, error, version, turn: entry.turn }, asked.lastTold !== said)
    asked.lastTold = said
  }

  function conclude (machine: string, asked: Asked, entry: BmcEntry, version: string, result: Result, state: PowerStateName, error: string | null): void {
    const now = clock.monotonic()
    const decision = decide(asked.patience, result, { version, now, interval, random: random() })
    asked.patience = decision.patience
    if (decision.tell) tell(machine, asked, entry, version, state, error)
    if (decision.again !== undefined) schedule.again(machine, decision.again, now)
    // Whoever refuses is there: only silence is a reason to doubt the way.
    if (asked.place !== null) { if (result === 'failed') reaching.doubt(asked.place); else reaching.answered(asked.place) }
  }

  async function ask (machine: string, asked: Asked, { driver, parameters, secrets, version }: Credentials): Promise<void> {
    const { entry } = asked
    const own = { controller: new AbortController(), end: clock.monotonic() + within }
    const { signal } = own.controller
    asked.under = own
    under.set(machine, asked)
    let answer: { readonly state: PowerStateName } | { readonly thrown: unknown } | undefined
    try {
      await queue.run(machine, async () => { if (!signal.aborted) answer = { state: await driver.query(parameters, { signal, clock, pace, kept }) } })
    } catch (thrown) { answer = { thrown } }
    asked.under = undefined
    under.delete(machine)
    // Taken from it meanwhile, or it gave way: what it saw is of no use.
    if (mine.get(machine) !== asked || asked.entry !== entry || answer === undefined || signal.reason === gaveWay) return
    if ('state' in answer) { conclude(machine, asked, entry, version, 'answered', answer.state, null); return }
    const { thrown } = answer
    const error = redacted(signal.aborted ? new BedplateError('POWER_FAILED', { action: 'query', reason: `it did not answer within ${within / 1000} s` }) : thrown, secrets)
    conclude(machine, asked, entry, version, hasCode(error, 'POWER_AUTHENTICATION') ? 'refused' : isFatal(error) ? 'fatal' : 'failed', 'error', error.message)
  }

  function step (): void {
    const now = clock.monotonic()
    for (const { under: own } of under.values()) if (own !== undefined && now >= own.end) own.controller.abort(late)
    for (const machine of schedule.due(now)) ready.add(machine)
    for (const machine of ready) {
      if (under.size >= most) return
      ready.delete(machine)
      const asked = mine.get(machine)
      if (asked === undefined || asked.under !== undefined || queue.has(machine) || !mayAsk(asked.patience, asked.entry.version, now)) continue
      const known = credentials.of(machine, asked.entry.version)
      if (known === undefined) continue
      const asking = ask(machine, asked, known).finally(() => { asks.delete(asking) })
      asks.add(asking)
    }
  }

  async function run (signal: AbortSignal): Promise<void> {
    const others = [telling.run(signal), credentials.run(signal)]
    while (!signal.aborted) {
      step()
      await clock.sleep(beat, signal)
    }
    for (const { under: own } of under.values()) own?.controller.abort(gaveWay)
    await Promise.all([...others, ...asks])
  }

  let life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  const service: Service = {
    name: 'poll',
    async start (signal) {
      if (life !== undefined || signal.aborted) return
      const controller = new AbortController()
      health = up
      for (const asked of mine.values()) asked.lastTold = null
      life = { controller, done: ended.then(() => run(controller.signal)) } // never two at once
    },
    async stop () {
      life?.controller.abort()
      ended = life?.done ?? ended
      life = undefined
      await ended
      if (life === undefined) health = off('Stopped.')
    },
    health: () => health
  }

  function remove (machine: string): void {
    const asked = mine.get(machine)
    if (asked === undefined) return
    asked.under?.controller.abort(gaveWay)
    mine.delete(machine)
    ready.delete(machine)
    schedule.remove(machine)
    telling.drop(machine)
    credentials.drop(machine)
  }

  return {
    service,
    put (machine, entry) {
      if (!entry.poll) { remove(machine); return }
      const asked = mine.get(machine)
      const place = entry.endpoint === null ? null : endpointText(entry.endpoint)
      if (asked === undefined) {
        mine.set(machine, { entry, place, patience: fresh, lastTold: null, under: undefined })
        schedule.add(machine, clock.monotonic())
        return
      }
      if (asked.entry.version === entry.version && asked.entry.turn === entry.turn && asked.place === place) return
      const configured = asked.entry.version !== entry.version
      asked.entry = entry
      asked.place = place
      telling.drop(machine) // the region would not believe it
      if (configured) ready.add(machine)
    },
    remove,
    yield (machine) {
      mine.get(machine)?.under?.controller.abort(gaveWay)
      telling.drop(machine)
    }
  }
}

const gaveWay = 'gave way'
const late = 'late'
