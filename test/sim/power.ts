/**
 * A cycle of a machine through two or three racks, in virtual time: racks die, hang and wake, links are cut, leaders are followed by others, the BMC takes its time. The real code
 * chooses and follows racks (region/racks.ts, handover.ts), ends what stood still (rack/standing.ts) and lets one thing at a time at the machine (rack/queue.ts).
 * It must be off once and on once, and nothing may happen after the end.
 */
import { BedplateError } from '../../core/errors.ts'
import type { Clock } from '../../core/plugin.ts'
import { notice } from '../../plugins/power/region/handover.ts'
import { createRacks, type Doubts, type RackClient } from '../../plugins/power/region/racks.ts'
import { persistently } from '../../plugins/power/rack/calls.ts'
import { createQueue } from '../../plugins/power/rack/queue.ts'
import { createStanding, limit } from '../../plugins/power/rack/standing.ts'
import { createDice } from './dice.ts'
import type { Outcome } from './run.ts'
import { createWorld } from './world.ts'

/** What is wrong with the code, for tests of this simulation. */
export interface Mutation {
  /** ms instead of `notice` that a silent rack is given. */
  readonly notice?: number
  /** Racks go on after they stood still, or without their region. */
  readonly heedless?: 'pauses' | 'links'
}

const silence = { limit: 4_000, beat: 500 } // ms, of links (core/rpc/link.ts)
const term = 5_000 // ms until another leads
const length = 90_000 // ms of a schedule

export async function power (seed: number, { verbose = false }: { readonly verbose?: boolean } = {}, mutation: Mutation = {}): Promise<Outcome> {
  const world = createWorld(verbose)
  const dice = createDice(seed)
  const facts = { cycles: 0, crashes: 0, pauses: 0, cuts: 0, leaders: 0, handovers: 0 }
  const clock: Clock = { now: () => world.now, monotonic: () => world.now, sleep: (ms, signal) => new Promise(resolve => {
    if (signal?.aborted) { resolve(); return }
    const due = world.after(ms, resolve)
    signal?.addEventListener('abort', () => { world.cancel(due); resolve() }, { once: true })
  }) }
  let state: 'on' | 'off' = 'on'
  const switched: string[] = []
  let over = false
  const slow = dice.pick([0.1, 0.3, 0.6]) // how often the BMC takes its time

  /** The BMC: carries out what arrives, and answers after its time. */
  const bmc = (rack: string, wish?: 'on' | 'off'): 'on' | 'off' => {
    if (wish !== undefined && wish !== state) {
      state = wish
      switched.push(wish)
      world.tell(`${rack} switched it ${wish}`)
      if (over || switched.join() !== 'off,on'.slice(0, switched.join().length)) world.violated(`${rack} switched it ${wish}${over ? ' after the end' : ''}: ${switched.join(', ')}`)
    }
    return state
  }

  function createRack (id: string) {
    let life = 0
    let paused = false
    let cut = false
    let held: { readonly timer: boolean, readonly run: () => void }[] = []
    const calls = new Set<{ readonly gone: (peerClosed: boolean) => void, readonly abort: AbortController }>()
    /** Runs in this process of the rack after so long: later when it hangs, never when it has died. */
    const later = (ms: number, timer: boolean, run: () => void) => { const mine = life; return world.after(ms, () => { if (mine !== life) return; if (paused) held.push({ timer, run: () => { if (mine === life) run() } }); else run() }) }
    const own: Clock = { now: clock.now, monotonic: clock.monotonic, sleep: (ms, signal) => new Promise(resolve => {
      if (signal?.aborted) { resolve(); return }
      const due = later(ms, true, resolve)
      signal?.addEventListener('abort', () => { world.cancel(due); resolve() }, { once: true })
    }) }
    const born = () => ({ queue: createQueue(), standing: mutation.heedless === 'pauses' ? { guard: <T>(signal: AbortSignal, work: (signal: AbortSignal, clock: Clock) => Promise<T>) => work(signal, own) } : createStanding(own) })
    let { queue, standing } = born()
    /** To the BMC and back, each way some ms, now and then many. */
    const ask = (signal: AbortSignal, wish?: 'on' | 'off'): Promise<'on' | 'off'> => new Promise((resolve, reject) => {
      if (signal.aborted) { reject(new BedplateError('POWER_FAILED', { action: 'x', reason: 'called off' })); return }
      signal.addEventListener('abort', () => { reject(new BedplateError('POWER_FAILED', { action: 'x', reason: 'called off' })) }, { once: true })
      const mine = life
      world.after(dice.between(1, 30), () => {
        const answer = bmc(id, wish) // also of one that died meanwhile: it is on its way
        if (mine !== life) return
        if (!dice.chance(0.03)) later(dice.chance(slow) ? dice.between(500, 6_000) : dice.between(1, 50), false, () => { resolve(answer) })
        else void own.sleep(10_000).then(() => { reject(new BedplateError('POWER_FAILED', { action: 'x', reason: 'no answer' })) })
      })
    })
    const execute = async (action: 'on' | 'off', caller: AbortSignal) => standing.guard(caller, (signal, guarded) => queue.run('m', () => persistently(guarded, signal, [], async () => {
      if (await ask(signal) === action) return { state: action, note: null }
      await guarded.sleep(dice.between(0, 40), signal) // a session, a boot device
      await ask(signal, action)
      while (await ask(signal) !== action) await guarded.sleep(1_000, signal)
      return { state: action, note: null }
    })))
    return {
      id,
      linked: () => !cut && !paused && life >= 0,
      call: (action: 'on' | 'off', timeout: number, signal: AbortSignal): Promise<{ state: 'on' | 'off', note: null }> => new Promise((resolve, reject) => {
        const abort = new AbortController()
        const fail = (error: BedplateError): void => { calls.delete(call); reject(error) }
        const call = { abort, gone: (peerClosed: boolean) => { fail(new BedplateError('CALL_UNKNOWN', { method: 'execute', controller: id, reason: 'x', ...(peerClosed ? { peerClosed } : {}) })) } }
        calls.add(call)
        void clock.sleep(timeout, abort.signal).then(() => { if (calls.has(call)) { fail(new BedplateError('CALL_TIMEOUT', { method: 'execute', controller: id, seconds: 1 })); later(dice.between(1, 20), false, () => { abort.abort() }) } })
        signal.addEventListener('abort', () => { fail(new BedplateError('UNAVAILABLE', { reason: 'cancelled' })); later(dice.between(1, 20), false, () => { abort.abort() }) }, { once: true })
        later(dice.between(1, 5), false, () => {
          execute(action, abort.signal).then(value => () => { resolve(value) }, (error: BedplateError) => () => { fail(error) }).then(answer => { if (!cut) world.after(dice.between(1, 5), () => { if (calls.delete(call)) answer() }) })
        })
      }),
      /** Killed: its system closes the connections; it is there again after a while, with nothing in mind. */
      crash () {
        facts.crashes++
        world.tell(`${id} is killed`)
        life++
        held = []
        ;({ queue, standing } = born())
        for (const call of [...calls]) { calls.delete(call); call.gone(true) }
      },
      pause (ms: number) {
        if (paused) return
        facts.pauses++
        world.tell(`${id} hangs for ${ms.toFixed(0)} ms`)
        paused = true
        const mine = [...calls]
        const given = world.after(silence.limit + dice.between(0, silence.beat), () => { for (const call of mine) if (calls.delete(call)) { call.gone(false); held.push({ timer: false, run: () => { call.abort.abort() } }) } })
        world.after(ms, () => {
          world.tell(`${id} goes on`)
          world.cancel(given)
          paused = false
          // Timers first, as libuv does after a signal; then what came meanwhile, in its order.
          const due = held
          held = []
          for (const { run } of [...due.filter(one => one.timer), ...due.filter(one => !one.timer)]) world.after(0, run) // each with all that follows from it
        })
      },
      /** Both ends fall silent for each other: each gives the link up by its own clock. */
      cut (ms: number) {
        if (cut) return
        facts.cuts++
        world.tell(`${id} is cut off for ${ms.toFixed(0)} ms`)
        cut = true
        const mine = [...calls]
        if (ms > silence.limit) {
          world.after(silence.limit + dice.between(0, silence.beat), () => { for (const call of mine) if (calls.delete(call)) call.gone(false) })
          later(silence.limit + dice.between(0, silence.beat) + dice.pick([0, dice.between(0, limit)]), true, () => { if (mutation.heedless !== 'links') for (const call of mine) call.abort.abort() })
        }
        world.after(Math.max(ms, silence.limit + 2 * silence.beat), () => { cut = false })
      },
      /** The leader died: its end of the links is closed by its system, or nobody's. */
      deserted (silently: boolean) {
        const mine = [...calls]
        calls.clear()
        later(silently ? silence.limit + dice.between(0, silence.beat) : dice.between(1, 10), false, () => { for (const call of mine) call.abort.abort() })
      }
    }
  }

  const racks = ['a', 'b', 'c'].slice(0, dice.whole(2, 3)).map(createRack)
  const routes = racks.map(({ id }) => ({ rack: id, reachable: dice.chance(0.9), rtt: dice.between(1, 30) }))
  const row = { step: 0, acting: null as string | null } // what the database keeps

  /** One leader's work, as region/actions.ts does it. */
  async function lead (signal: AbortSignal, last: string | null): Promise<void> {
    const doubts: Doubts = new Map()
    if (row.acting !== null) doubts.set('m', { rack: row.acting, until: world.now + (mutation.notice ?? notice) })
    const hasty = mutation.notice
    if (hasty !== undefined) { const set = doubts.set.bind(doubts); doubts.set = (machine, doubt) => set(machine, { ...doubt, until: Math.min(doubt.until, world.now + hasty) }) }
    const chooser = createRacks({
      clock, racks: () => racks.filter(one => one.linked()).map(one => one.id), routes: async () => routes,
      rack: id => {
        const rack = racks.find(one => one.id === id)
        if (rack?.linked() !== true) throw new BedplateError('LINK_DOWN', { controller: id })
        return { execute: ({ action }, options) => rack.call(action as 'on' | 'off', options?.timeout ?? 1_000, options?.signal ?? signal) } as RackClient
      }
    }, dice.random)
    for (const [index, action] of (['off', 'on'] as const).entries()) {
      if (index < row.step) continue
      let handed = last
      await chooser.execute({ machine: 'm', driver: 'x', parameters: {} }, action, { boot: null }, { timeout: length, signal, hosts: [], doubts, async hand (id) {
        if (signal.aborted) return false
        if (handed !== null && handed !== id) facts.handovers++
        handed = row.acting = id
        world.tell(`${action} is handed to ${id}`)
        return true
      } })
      if (signal.aborted) return
      Object.assign(row, { step: index + 1, acting: null })
    }
    if (over) return // another leader, after the end
    over = true
    facts.cycles++
    world.tell('done')
  }

  let leader = new AbortController()
  const begin = (): void => { lead(leader.signal, row.acting).catch((error: unknown) => { if (!leader.signal.aborted) world.note(() => `the action ended: ${String(error)}`) }) }
  begin()
  for (let count = dice.whole(1, 5); count > 0; count--) {
    world.at(dice.chance(0.6) ? dice.between(0, 400) : dice.between(0, 25_000), () => {
      const rack = dice.pick(racks)
      const what = dice.whole(0, 3)
      if (what === 0) rack.crash()
      else if (what === 1) rack.pause(dice.chance(0.4) ? dice.between(100, 3_500) : dice.between(4_000, 30_000))
      else if (what === 2) rack.cut(dice.between(4_500, 25_000))
      else if (!leader.signal.aborted) {
        facts.leaders++
        world.tell('the leader is gone')
        leader.abort()
        const silently = dice.chance(0.5)
        for (const one of racks) one.deserted(silently)
        world.after(term, () => { leader = new AbortController(); begin() })
      }
    })
  }
  const violation = await world.run(length)
  return { seed, violation, hash: world.hash, lines: world.lines, facts }
}
