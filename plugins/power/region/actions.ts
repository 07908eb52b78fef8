/** The service that carries out wishes: one action at a time per machine, taken up again after a crash, its outcome stored once. */
import { BedplateError, hasCode, reasonOf } from '../../../core/errors.ts'
import type { Clock, Database, Logger, Term } from '../../../core/plugin.ts'
import { redact, secretFields, type Start } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import { createKept } from '../kept.ts'
import { notice, type Doubt } from './handover.ts'
import { createLoop, type Loop } from './loop.ts'
import type { PowerActionName, PowerStateName } from '../manifest.ts'
import type { Racks } from './racks.ts'
import type { PowerCore, Target } from './service.ts'
import * as store from '../store.ts'

export interface ActionsOptions {
  readonly db: Database, readonly clock: Clock, readonly log: Logger, readonly power: PowerCore, readonly racks: Racks, readonly timeout: number // ms
  /** The racks that run on this machine. */
  readonly hosts: (machine: string) => Promise<readonly string[]>
}
interface Outcome { readonly state: 'done' | 'failed' | 'cancelled', readonly power: PowerStateName | null, readonly reason: string | null, readonly rack: string | null }

const atOnce = 64 // actions under way at the same time

/**
 * What an action is made of. A cycle is off, then on, each noted when it was seen to be done: whatever dies in between, the part
 * that is repeated finds its work done, and the machine is switched once. So it is even where the BMC has a cycle of its own, which cannot be repeated.
 */
export function stepsOf (driver: string, action: PowerActionName): readonly PowerActionName[] {
  const { actions, queries } = driverNamed(driver)
  return action === 'cycle' && (!actions.includes('cycle') || (queries && actions.includes('off') && actions.includes('on'))) ? ['off', 'on'] : [action]
}

export function createActions ({ db, clock, log, power, racks, timeout, hosts }: ActionsOptions): Loop {
  const underWay = new Map<string, { readonly id: string, readonly done: Promise<void>, readonly cancel: AbortController }>() // by machine
  const doubts = new Map<string, Doubt>() // by machine
  let led: Term | undefined

  const isDoubted = (machine: string): boolean => clock.monotonic() < (doubts.get(machine)?.until ?? -Infinity)

  async function carryOut (term: Term, signal: AbortSignal, cancelled: AbortSignal, id: string): Promise<void> {
    const action = await term.write(tx => store.begin(tx, id, new Date(clock.now())))
    if (action === undefined) return
    const held = { known: false } // whether a rack may still be at it
    const outcome = action.cancelled ? { state: 'cancelled' as const, power: null, reason: null, rack: action.rack } : await attempt(term, signal, cancelled, action, held)
    if (outcome === undefined) return // interrupted: whoever leads next takes it up
    const { machine } = action
    const ok = outcome.state === 'done'
    await term.write(async tx => {
      if (!await store.finish(tx, action, { state: outcome.state, error: ok ? null : outcome.reason, rack: outcome.rack, answered: held.known && !isDoubted(machine) }, new Date(clock.now()))) return
      await tx.changed('power.action', machine)
      await tx.changed('power.bmc', machine)
      if (outcome.power !== null) await power.saw(tx, machine, outcome.power, null)
      await power.hooks.outcome.promise(tx, { machine, action: action.action, ok, reason: outcome.reason, rack: outcome.rack, superseded: await store.waits(tx, machine), ...(outcome.state === 'cancelled' ? { cancelled: true } : {}) })
    })
    if (!isDoubted(machine)) doubts.delete(machine)
  }

  async function attempt (term: Term, signal: AbortSignal, cancelled: AbortSignal, action: store.Action, held: { known: boolean }): Promise<Outcome | undefined> {
    const { id, machine } = action
    const end = clock.monotonic() + timeout
    let rack = action.rack
    let target: Target | undefined
    let calledOff = false
    try {
      target = await power.target(db, machine)
      // Handed out by whoever led before: that rack may still be at it, until it notices.
      if (target.acting !== null && doubts.get(machine)?.rack !== target.acting) doubts.set(machine, { rack: target.acting, until: clock.monotonic() + notice })
      held.known = true
      const on = target.driver === 'manual' ? [] : await hosts(machine)
      let state: PowerStateName = 'unknown'
      let note: string | null = null
      const steps = stepsOf(target.driver, action.action)
      for (const [index, step] of steps.entries()) {
        if (index < action.step) continue
        const start: Start = { boot: step === 'on' || step === 'cycle' ? action.boot : null, ...(action.firmware === null ? {} : { firmware: action.firmware }) }
        const done = target.driver === 'manual' ? await byHand(step, start) : await racks.execute(target, step, start, {
          timeout: end - clock.monotonic(), signal: AbortSignal.any([signal, cancelled]), hosts: on, doubts,
          async hand (to) {
            const handed = await term.write(tx => store.hand(tx, id, machine, to))
            if (handed) rack = to
            else calledOff = true
            return handed
          }
        })
        ;({ rack, state, note } = done)
        if (index < steps.length - 1) await term.write(tx => store.stepDone(tx, action, index + 1, rack))
      }
      return { state: 'done', power: state, reason: note, rack }
    } catch (error) {
      if (signal.aborted || hasCode(error, 'TERM_LOST')) return undefined
      if (cancelled.aborted || calledOff) return { state: 'cancelled', power: null, reason: null, rack }
      if (!(error instanceof BedplateError)) log.error({ err: error, machine, action: action.action }, 'a power action failed in an unforeseen way')
      return { state: 'failed', power: null, reason: withoutSecrets(error, target), rack }
    }
  }

  /** Nobody's BMC: needs no rack, not even one that is linked. */
  async function byHand (action: PowerActionName, start: Start) {
    const { state, note } = await driverNamed('manual').power({}, action, { ...start, signal: AbortSignal.timeout(1_000), clock, pace: { request: 0, poll: 0, settle: 0, shutdown: 0 }, kept: createKept() })
    return { rack: null, state, note: note ?? null }
  }

  function begin (term: Term, signal: AbortSignal, id: string, machine: string): void {
    const cancel = new AbortController()
    const over = (): void => { if (underWay.get(machine)?.id === id) underWay.delete(machine) }
    const done = carryOut(term, signal, cancel.signal, id).then(
      () => { over(); loop.wake() }, // another wish may have come meanwhile
      (error: unknown) => { over(); if (!signal.aborted) log.warn({ err: error, machine }, 'a power action could not be concluded; it is taken up again') })
    underWay.set(machine, { id, done, cancel })
  }

  const loop = createLoop({
    name: 'actions', every: 5_000, clock, log,
    async look (term, signal) {
      if (led !== term) { led = term; doubts.clear() } // what others did meanwhile is in the database
      for (const { id, machine } of await store.calledOff(db)) { const one = underWay.get(machine); if (one?.id === id) one.cancel.abort() }
      for (const { id, machine } of await store.runnable(db, atOnce * 2)) {
        if (signal.aborted || underWay.size >= atOnce) break
        if (!underWay.has(machine)) begin(term, signal, id, machine)
      }
    },
    async idle () { await Promise.allSettled([...underWay.values()].map(one => one.done)) }
  })
  return loop
}

const withoutSecrets = (error: unknown, target: Target | undefined): string => {
  const secrets = target === undefined ? [] : secretFields(driverNamed(target.driver).parameters).map(field => String(target.parameters[field] ?? ''))
  return redact(reasonOf(error).replace(/^Power \w+ failed: /, ''), secrets)
}
