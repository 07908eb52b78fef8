/** What may go wrong between a wish and a machine that is switched, and what must come of it. */
import { equal, match, ok } from 'node:assert/strict'
import { until } from '../kit/wait.ts'
import type { Protocol } from './bmcs.ts'
import type { Rack, World } from './world.ts'

/** `seconds`: from the wish (or the fault) to its end. `switches`: how often the power of the machine went on or off. */
export interface Cost { readonly seconds: number, readonly switches: number, readonly outcome: string }
export interface Row {
  readonly name: string
  /** In `npm test`, too. */
  readonly ci?: true
  /** What the power must have done: times it went on or off. */
  readonly switches: number
  run(world: World, name: string): Promise<Cost>
}

const since = (began: number): number => Math.round((performance.now() - began) / 100) / 10
const short = (rack: Rack): string => rack.member.name

/** Begins `action` on a machine, holds back what the BMC answers at that moment, does `fault`, and waits for the end. */
async function between (world: World, name: string, { action, state, when, by = 'redfish' }: { readonly action: 'on' | 'cycle', readonly state: 'on' | 'off', readonly when: 'switched' | 'looked', readonly by?: Protocol }, fault: (acting: Rack) => Promise<() => Promise<void>>): Promise<Cost & { readonly acting: Rack, readonly by: string | null }> {
  const box = await world.box(name, { state, by })
  // Polls ask, too: the hold is for the action. Who asks and who acts are the same rack, and one waits for the other.
  const began = performance.now()
  if (when === 'looked') {
    await world.power(box, action)
    await until(async () => (await world.actions(box)).at(-1)?.rack, { interval: 5, what: 'a rack to be handed it' })
    await world.bmc(box, { ask: 'hold', when })
  } else {
    await world.bmc(box, { ask: 'hold', when })
    await world.power(box, action)
  }
  await until(async () => (await world.bmc(box, { ask: 'tell' })).held, { interval: 5, what: 'the BMC to hold an answer back' })
  const acting = world.rack((await world.actions(box)).at(-1)?.rack ?? null)
  const heal = await fault(acting)
  await world.bmc(box, { ask: 'release' })
  const last = await world.ended(box)
  const seconds = since(began)
  await heal()
  // Whoever was away is back: it must not go on where it was.
  await world.whole()
  const { poller } = await until(async () => { const now = await world.machine(box); return now.state === 'on' && now.poller !== null ? now : undefined }, { timeout: 30_000, what: 'the machine to be seen on' })
  ok(poller !== null)
  const { switches, state: now } = await world.bmc(box, { ask: 'tell' })
  equal(last.state, 'done', last.error ?? '')
  equal(now, 'on')
  return { seconds, switches, outcome: `done by ${last.rack === acting.member.id ? 'the same rack' : 'the other rack'}`, acting, by: last.rack }
}
const byOther = ({ acting, by, ...cost }: Awaited<ReturnType<typeof between>>): Cost => { ok(by !== acting.member.id, 'the other rack did it'); return cost }

export const rows: readonly Row[] = [
  {
    name: 'nothing: the nearest rack does it', ci: true, switches: 1,
    async run (world, name) {
      const box = await world.box(name)
      // In namespaces all are equally near: one is said to be far.
      const [far, near] = world.racks
      await world.query('update power.route set rtt = 80 where endpoint = $1 and rack = $2', [box.endpoint, far.member.id])
      const began = performance.now()
      await world.power(box, 'on')
      const last = await world.ended(box)
      equal(last.rack, near.member.id)
      equal(last.state, 'done')
      return { seconds: since(began), switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: 'done by the nearest' }
    }
  },
  {
    name: 'the nearest rack loses its way to the BMC', switches: 1,
    async run (world, name) {
      const box = await world.box(name)
      const [near, far] = world.racks
      await world.query('update power.route set rtt = 80 where endpoint = $1 and rack = $2', [box.endpoint, far.member.id])
      await near.cable('down')
      try {
        const began = performance.now()
        await world.power(box, 'on')
        const last = await world.ended(box)
        equal(last.state, 'done', last.error ?? '')
        equal(last.rack, far.member.id)
        return { seconds: since(began), switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: 'done by the other rack' }
      } finally { await near.cable('up') }
    }
  },
  {
    name: 'the rack is killed between send and answer', ci: true, switches: 1,
    run: async (world, name) => byOther(await between(world, name, { action: 'on', state: 'off', when: 'switched' }, async acting => {
      await acting.member.process.kill()
      return async () => { acting.member.process.start(); await acting.member.ready() }
    }))
  },
  {
    name: 'the rack is killed in the middle of a cycle, after the off', switches: 2,
    run: async (world, name) => byOther(await between(world, name, { action: 'cycle', state: 'on', when: 'switched' }, async acting => {
      await acting.member.process.kill()
      return async () => { acting.member.process.start(); await acting.member.ready() }
    }))
  },
  {
    name: 'the rack is cut off from the regions between send and answer', switches: 1,
    run: async (world, name) => await between(world, name, { action: 'on', state: 'off', when: 'switched' }, async acting => {
      await acting.member.cut()
      return () => acting.member.mend()
    })
  },
  {
    name: 'by IPMI: the rack is killed between send and answer', ci: true, switches: 1,
    run: async (world, name) => byOther(await between(world, name, { action: 'on', state: 'off', when: 'switched', by: 'ipmi' }, async acting => {
      await acting.member.process.kill()
      return async () => { acting.member.process.start(); await acting.member.ready() }
    }))
  },
  {
    name: 'by IPMI: the rack is killed in the middle of a cycle, after the off', switches: 2,
    run: async (world, name) => byOther(await between(world, name, { action: 'cycle', state: 'on', when: 'switched', by: 'ipmi' }, async acting => {
      await acting.member.process.kill()
      return async () => { acting.member.process.start(); await acting.member.ready() }
    }))
  },
  {
    name: 'by IPMI: the rack is cut off from the regions between send and answer', switches: 1,
    run: async (world, name) => await between(world, name, { action: 'on', state: 'off', when: 'switched', by: 'ipmi' }, async acting => {
      await acting.member.cut()
      return () => acting.member.mend()
    })
  },
  {
    name: 'the rack hangs after it looked, the other does a cycle, and it wakes', ci: true, switches: 2,
    run: async (world, name) => byOther(await between(world, name, { action: 'cycle', state: 'on', when: 'looked' }, async acting => {
      acting.member.process.signal('SIGSTOP')
      return async () => {
        acting.member.process.signal('SIGCONT')
        await world.whole()
      }
    }))
  },
  {
    name: 'the leading region is killed in the middle of it', ci: true, switches: 1,
    run: async (world, name) => await between(world, name, { action: 'on', state: 'off', when: 'switched' }, async () => {
      const leader = await world.leader()
      await leader.process.kill()
      return async () => { leader.process.start(); await leader.ready() }
    })
  },
  {
    name: 'the leading region hangs in the middle of it, and wakes', switches: 1,
    run: async (world, name) => await between(world, name, { action: 'on', state: 'off', when: 'switched' }, async () => {
      const leader = await world.leader()
      leader.process.signal('SIGSTOP')
      return async () => { leader.process.signal('SIGCONT') }
    })
  },
  {
    name: 'no rack reaches the BMC', switches: 0,
    async run (world, name) {
      const box = await world.box(name)
      await world.bmc(box, { ask: 'shut' })
      const began = performance.now()
      await world.power(box, 'on')
      const last = await world.ended(box)
      equal(last.state, 'failed')
      ok((last.error ?? '').length > 0)
      const seconds = since(began)
      await until(async () => (await world.machine(box)).error?.startsWith('no rack reaches its BMC'), { timeout: 30_000, what: 'the machine to say so' })
      await world.bmc(box, { ask: 'open' })
      await until(async () => (await world.machine(box)).state === 'off', { timeout: 30_000, what: 'the BMC to be back' })
      return { seconds, switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: 'failed, and says why; asked again once it is back' }
    }
  },
  {
    name: 'the rack that asks the BMC is killed', switches: 0,
    async run (world, name) {
      const box = await world.box(name)
      const asking = world.rack((await world.machine(box)).poller)
      const began = performance.now()
      await asking.member.process.kill()
      await world.bmc(box, { ask: 'set', state: 'on' }) // by hand, at the machine
      await until(async () => (await world.machine(box)).state === 'on', { timeout: 30_000, what: 'another rack to see it' })
      const seconds = since(began)
      equal((await world.machine(box)).poller, world.other(asking).member.id)
      asking.member.process.start()
      await asking.member.ready()
      return { seconds, switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: 'asked by the other rack' }
    }
  },
  {
    name: 'the password is wrong', ci: true, switches: 0,
    async run (world, name) {
      const box = await world.box(name, { password: 'hunter2', settled: false })
      const began = performance.now()
      await world.power(box, 'on')
      const last = await world.ended(box)
      equal(last.state, 'failed')
      match(last.error ?? '', /refuses the credentials/)
      ok(!(last.error ?? '').includes('hunter2'))
      const { switches, logins } = await world.bmc(box, { ask: 'tell' })
      ok(logins <= 2, `${logins} logins: one for the action, one of the rack that asks`)
      return { seconds: since(began), switches, outcome: 'failed at once, one attempt' }
    }
  },
  {
    name: 'the machine carries a rack, and only one more would be left', ci: true, switches: 0,
    async run (world, name) {
      const [carried] = world.racks
      const [row] = await world.query<{ mac: string }>('select mac from network.rack_interface where rack = $1 and mac <> $2', [carried.member.id, ''])
      const box = await world.box(name, { state: 'on', macs: [row?.mac ?? ''] })
      const began = performance.now()
      await world.power(box, 'off')
      const last = await world.ended(box)
      equal(last.state, 'failed')
      match(last.error ?? '', /carries the rack controller/)
      return { seconds: since(began), switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: `refused: ${short(carried)} stays on` }
    }
  },
  {
    name: 'the action is called off while the BMC is slow', switches: 1,
    async run (world, name) {
      const box = await world.box(name, { state: 'on' })
      await world.bmc(box, { ask: 'hold', when: 'switched' })
      await world.power(box, 'cycle')
      await until(async () => (await world.bmc(box, { ask: 'tell' })).held, { interval: 5, what: 'the BMC to be slow' })
      const began = performance.now()
      const id = (await world.actions(box)).at(-1)?.id ?? ''
      equal((await world.api('DELETE', `/power/machines/${box.id}/actions/${id}`)).status, 200)
      const last = await world.ended(box)
      equal(last.state, 'cancelled')
      const seconds = since(began)
      await world.bmc(box, { ask: 'release' })
      await until(async () => (await world.machine(box)).state === 'off', { timeout: 30_000, what: 'the machine to be seen off' })
      return { seconds, switches: (await world.bmc(box, { ask: 'tell' })).switches, outcome: 'called off after the off, not on again' }
    }
  }
]
