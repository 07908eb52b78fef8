/** The service that carries out wishes: one action at a time per machine, taken up again after a crash, its outcome stored once. */
import { BedplateError, hasCode, reasonOf } from '../../../core/errors.ts'
import type { Clock, Database, Logger, Term } from '../../../core/plugin.ts'
import { redact, secretFields } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import { createKept } from '../kept.ts'
import { createLoop, type Loop } from './loop.ts'
import type { PowerActionName, PowerStateName } from '../manifest.ts'
import type { Racks } from './racks.ts'
import type { PowerCore, Target } from './service.ts'
import * as store from '../store.ts'

export interface ActionsOptions { readonly db: Database, readonly clock: Clock, readonly log: Logger, readonly power: PowerCore, readonly racks: Racks, readonly timeout: number /* ms */ }
interface Outcome { readonly ok: boolean, readonly state: PowerStateName | null, readonly reason: string | null, readonly rack: string | null }

const atOnce = 64 // actions under way at the same time

/**
 * What an action is made of. A cycle is off, then on, each noted when it was seen to be done: whatever dies in between, the part
 * that is repeated finds its work done, and the machine is switched once.
 */
export const stepsOf = (driver: string, action: PowerActionName): readonly PowerActionName[] => action === 'cycle' && !driverNamed(driver).actions.includes('cycle') ? ['off', 'on'] : [action]

export function createActions ({ db, clock, log, power, racks, timeout }: ActionsOptions): Loop {
  const underWay = new Map<string, Promise<void>>() // by machine

  async function carryOut (term: Term, signal: AbortSignal, id: string): Promise<void> {
    const action = await term.write(tx => store.begin(tx, id, new Date(clock.now())))
    if (action === undefined) return
    const outcome = await attempt(term, signal, action)
    if (outcome === undefined) return // interrupted: whoever leads next takes it up
    await term.write(async tx => {
      if (!await store.finish(tx, id, outcome.ok ? 'done' : 'failed', outcome.ok ? null : outcome.reason, outcome.rack, new Date(clock.now()))) return
      await tx.changed('power.action', action.machine)
      if (outcome.state !== null) await power.saw(tx, action.machine, outcome.state, null)
      await power.hooks.outcome.promise(tx, { machine: action.machine, action: action.action, ok: outcome.ok, reason: outcome.reason, rack: outcome.rack, superseded: await store.waits(tx, action.machine) })
    })
  }

  async function attempt (term: Term, signal: AbortSignal, action: store.Action): Promise<Outcome | undefined> {
    const end = clock.monotonic() + timeout
    let rack = action.rack
    let target: Target | undefined
    try {
      target = await power.target(db, action.machine)
      let state: PowerStateName = 'unknown'
      let note: string | null = null
      const steps = stepsOf(target.driver, action.action)
      for (const [index, step] of steps.entries()) {
        if (index < action.step) continue
        const done = target.driver === 'manual' ? await byHand(step, action.boot) : await racks.execute(target, step, step === 'on' || step === 'cycle' ? action.boot : null, { timeout: end - clock.monotonic(), signal })
        ;({ rack, state, note } = done)
        if (index < steps.length - 1) await term.write(tx => store.stepDone(tx, action.id, index + 1, rack))
      }
      return { ok: true, state, reason: note, rack }
    } catch (error) {
      if (signal.aborted || hasCode(error, 'TERM_LOST')) return undefined
      if (!(error instanceof BedplateError)) log.error({ err: error, machine: action.machine, action: action.action }, 'a power action failed in an unforeseen way')
      return { ok: false, state: null, reason: withoutSecrets(error, target), rack }
    }
  }

  /** Nobody's BMC: needs no rack, not even one that is linked. */
  async function byHand (action: PowerActionName, boot: 'network' | 'disk' | null) {
    const { state, note } = await driverNamed('manual').power({}, action, { boot, signal: AbortSignal.timeout(1_000), clock, pace: { request: 0, poll: 0, settle: 0, shutdown: 0 }, kept: createKept() })
    return { rack: null, state, note: note ?? null }
  }

  const loop = createLoop({
    name: 'actions', every: 5_000, clock, log,
    async look (term, signal) {
      for (const { id, machine } of await store.runnable(db, atOnce * 2)) {
        if (signal.aborted || underWay.size >= atOnce) break
        if (underWay.has(machine)) continue
        underWay.set(machine, carryOut(term, signal, id).then(
          () => { underWay.delete(machine); loop.wake() }, // another wish may have come meanwhile
          (error: unknown) => { underWay.delete(machine); if (!signal.aborted) log.warn({ err: error, machine }, 'a power action could not be concluded; it is taken up again') }))
      }
    },
    async idle () { await Promise.allSettled(underWay.values()) }
  })
  return loop
}

const withoutSecrets = (error: unknown, target: Target | undefined): string => {
  const secrets = target === undefined ? [] : secretFields(driverNamed(target.driver).parameters).map(field => String(target.parameters[field] ?? ''))
  return redact(reasonOf(error).replace(/^Power \w+ failed: /, ''), secrets)
}
