/** Asks the BMCs that are this rack's for the power of their machines, each in its turn of the interval, and tells the region. */
import { BedplateError, hasCode } from '../../../core/errors.ts'
import { off, running as up } from '../../../core/health.ts'
import type { Client, Clock, Health, Logger, Reported, Service } from '../../../core/plugin.ts'
import { isFatal, pace, redacted } from '../driver.ts'
import { endpointText } from '../endpoint.ts'
import type { Kept } from '../kept.ts'
import type { manifest, PowerStateName } from '../manifest.ts'
import { accountKey, createAccounts, type Account } from './accounts.ts'
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

interface Asked { entry: BmcEntry, place: string | null, patience: Patience, lastTold: string | null, account: Account | undefined, under: { readonly controller: AbortController, readonly end: number } | undefined }

export function createPoll ({ clock, log, rack, seconds, kept, queue, region, reaching, report, random = Math.random }: PollOptions): Polling {
  const interval = seconds * 1000
  const mine = new Map<string, Asked>()
  const schedule = createSchedule({ interval, beat, salt: rack, atOnce: 100 })
  const accounts = createAccounts(interval)
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

  async function ask (machine: string, asked: Asked, account: Account, { driver, parameters, secrets, version }: Credentials): Promise<void> {
    const { entry } = asked
    const began = clock.monotonic()
    const own = { controller: new AbortController(), end: began + within }
    const { signal } = own.controller
    asked.under = own
    under.set(machine, asked)
    let answer: { readonly state: PowerStateName } | { readonly thrown: unknown } | undefined
    try {
      await queue.run(machine, async () => { if (!signal.aborted) answer = { state: await driver.query(parameters, { signal, clock, pace, kept }) } })
    } catch (thrown) { answer = { thrown } }
    asked.under = undefined
    under.delete(machine)
    const seen = answer === undefined || signal.reason === gaveWay ? undefined : outcome(answer, signal, secrets)
    const { result, state, error } = seen ?? { result: 'failed', state: 'error', error: null } as const
    const good = account.end(machine, seen && { result: result === 'answered' || result === 'refused' ? result : 'other', problem: error ?? '', began, now: clock.monotonic() })
    if (good) for (const other of account.machines) ready.add(other) // they were told a problem there is not
    // Taken from it meanwhile, or it gave way: what it saw is of no use.
    if (mine.get(machine) === asked && asked.entry === entry && seen !== undefined) conclude(machine, asked, entry, version, result, state, error)
  }

  /** Asks, if it may with this account now. False: another machine tries the account at this moment. */
  function attempt (machine: string, asked: Asked, known: Credentials, now: number): boolean {
    asked.account ??= accounts.join(machine, accountKey(asked.place ?? `of ${machine}`, known.driver.name, known.parameters))
    const turn = asked.account.begin(machine, now)
    if (turn === 'wait') return false
    if (turn === 'now') {
      const asking = ask(machine, asked, asked.account, known).finally(() => { asks.delete(asking) })
      asks.add(asking)
    } else tell(machine, asked, asked.entry, asked.entry.version, 'error', turn.problem)
    return true
  }

  function step (): void {
    const now = clock.monotonic()
    for (const { under: own } of under.values()) if (own !== undefined && now >= own.end) own.controller.abort(late)
    for (const machine of schedule.due(now)) ready.add(machine)
    for (const machine of ready) {
      if (under.size >= most) return
      const asked = mine.get(machine)
      const may = asked !== undefined && asked.under === undefined && !queue.has(machine) && mayAsk(asked.patience, asked.entry.version, now)
      const known = may ? credentials.of(machine, asked.entry.version) : undefined
      if (asked === undefined || known === undefined || attempt(machine, asked, known, now)) ready.delete(machine)
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
    accounts.leave(machine)
  }

  return {
    service,
    put (machine, entry) {
      if (!entry.poll) { remove(machine); return }
      const asked = mine.get(machine)
      const place = entry.endpoint === null ? null : endpointText(entry.endpoint)
      if (asked === undefined) {
        mine.set(machine, { entry, place, patience: fresh, lastTold: null, account: undefined, under: undefined })
        schedule.add(machine, clock.monotonic())
        return
      }
      if (asked.entry.version === entry.version && asked.entry.turn === entry.turn && asked.place === place) return
      const configured = asked.entry.version !== entry.version
      asked.entry = entry
      if (configured || asked.place !== place) { accounts.leave(machine); asked.account = undefined }
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

/** What a poll is to the region. The error tells no secret. */
function outcome (answer: { readonly state: PowerStateName } | { readonly thrown: unknown }, signal: AbortSignal, secrets: readonly string[]): { readonly result: Result, readonly state: PowerStateName, readonly error: string | null } {
  if ('state' in answer) return { result: 'answered', state: answer.state, error: null }
  const error = redacted(signal.aborted ? new BedplateError('POWER_FAILED', { action: 'query', reason: `it did not answer within ${within / 1000} s` }) : answer.thrown, secrets)
  return { result: hasCode(error, 'POWER_AUTHENTICATION') ? 'refused' : isFatal(error) ? 'fatal' : 'failed', state: 'error', error: error.message }
}

const gaveWay = 'gave way'
const late = 'late'
