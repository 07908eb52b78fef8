/** Takes machines through their lifecycle: the table's answer, the taps' consent, the power wish and the history, all in one transaction. */
import { AsyncSeriesHook } from 'tapable'
import { BedplateError } from '../../core/errors.ts'
import type { Clock, Tx } from '../../core/plugin.ts'
import type { PowerOutcome, PowerService } from '../power/manifest.ts'
import type { MachineEvent, MachineRecord, Status, Transition } from './manifest.ts'
import * as store from './store.ts'
import { decide, follow, possibleFrom, type Details, type Limits, type MachineRow } from './transition.ts'

export interface LifecycleOptions { readonly clock: Clock, readonly power: PowerService, readonly limits: Limits }
export type Lifecycle = ReturnType<typeof createLifecycle>

export function createLifecycle ({ clock, power, limits }: LifecycleOptions) {
  const transition = new AsyncSeriesHook<[Tx, Transition]>(['tx', 'transition'])

  async function record (tx: Tx, id: string, entry: MachineRecord): Promise<void> {
    await store.addEvent(tx, id, new Date(clock.now()), entry)
    await tx.changed('machines.event', id)
  }

  /** Under its row lock. NOT_FOUND. */
  async function locked (tx: Tx, id: string): Promise<MachineRow> {
    const machine = await store.lock(tx, id)
    if (machine === undefined) throw new BedplateError('NOT_FOUND', { what: 'machine', id })
    return machine
  }

  /** All of `work` or nothing of it, without ending the transaction: whoever catches a veto can go on in it. */
  async function atomically<T> (tx: Tx, work: () => Promise<T>): Promise<T> {
    await tx.query('savepoint machines')
    try {
      const value = await work()
      await tx.query('release savepoint machines')
      return value
    } catch (error) {
      await tx.query('rollback to savepoint machines')
      throw error
    }
  }

  async function act (tx: Tx, id: string, event: MachineEvent, details: Details = {}): Promise<MachineRow> {
    const machine = await locked(tx, id)
    const rule = decide(machine, event, details)
    if (rule === 'repeated') return machine
    if (rule === undefined) throw new BedplateError('TRANSITION_INVALID', { machine: machine.hostname, state: machine.status, action: event, from: possibleFrom(event).join(', ') })
    if (event === 'deploy' && details.deployment === undefined) throw new BedplateError('INVALID_REQUEST', { reason: 'deploy needs an image.' })
    const next = follow(machine, rule, event, details, new Date(clock.now()), limits)
    return await atomically(tx, async () => {
      await store.save(tx, next)
      await transition.promise(tx, { machine: next, from: machine.status, to: next.status, event })
      if (rule.power !== undefined) await power.enqueue(tx, id, { ...rule.power, ...firmwareOf(machine) })
      await record(tx, id, sentence(machine.status, next, event, details.by))
      await tx.changed('machines.machine', id)
      return { ...next, version: String(BigInt(next.version) + 1n) }
    })
  }

  /** What the machine's BMC did: into its history, and, where the machine's way depends on it, a failure of that. */
  async function heardOfPower (tx: Tx, { machine: id, action, ok, reason, rack, superseded, cancelled }: PowerOutcome): Promise<void> {
    const machine = await store.lock(tx, id)
    if (machine === undefined) return // removed meanwhile
    const data = { action, ...(rack === null ? {} : { rack }) }
    if (cancelled === true) { await record(tx, id, { type: 'power', level: 'info', message: `Power ${action} was called off.`, data }); return }
    if (ok) await record(tx, id, reason === null ? { type: 'power', level: 'info', message: `Power ${action} done.`, data } : { type: 'power', level: 'warning', message: reason, data })
    else await record(tx, id, { type: 'power', level: 'error', message: `Power ${action} failed: ${reason ?? 'no reason given'}`, data })
    if (!ok && !superseded && (action === 'on' || action === 'cycle') && machine.deadline !== null && !machine.installed) await act(tx, id, 'failed', { reason: `Power ${action} failed: ${reason ?? 'no reason given'}` })
  }

  return { act, record, locked, atomically, heardOfPower, hooks: { transition } }
}

/** What power needs to know of how it boots; nothing while that is unknown. */
export const firmwareOf = ({ firmware }: Pick<MachineRow, 'firmware'>): { readonly firmware?: 'bios' | 'uefi' } => firmware === 'unknown' ? {} : { firmware }

function sentence (from: Status, to: MachineRow, event: MachineEvent, by: string | undefined): MachineRecord {
  const who = by === undefined ? '' : ` by ${by}`
  const why = to.reason === null || to.status === from ? '' : `: ${to.reason}`
  return {
    type: 'status',
    level: event === 'failed' || event === 'timeout' ? 'error' : event === 'mark-broken' || event === 'abort' ? 'warning' : 'info',
    message: to.status === from ? `${to.status}: ${event}${who}` : `${from} → ${to.status} (${event}${who})${why}`,
    data: { from, to: to.status, event, ...(by === undefined ? {} : { by }) }
  }
}
