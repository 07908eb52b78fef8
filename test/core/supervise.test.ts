/** The supervisor: restarts with growing pauses, leadership, racing callers; all on a clock that the test moves. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { dead, degraded, off, running } from '../../core/health.ts'
import type { Health } from '../../core/health.ts'
import type { Term } from '../../core/leader/term.ts'
import type { Service } from '../../core/plugin.ts'
import { createSupervisor } from '../../core/supervise.ts'
import type { ServiceStatus, Supervisor } from '../../core/supervise.ts'
import { manualClock } from '../kit/clock.ts'
import { quiet } from '../kit/parts.ts'

interface Puppet extends Service { starts: number, stops: number, state: Health, terms: (bigint | undefined)[], refuse: Error | undefined, hang: boolean }

function puppet (name: string, on?: 'leader'): Puppet {
  const self: Puppet = {
    name,
    ...(on === undefined ? {} : { on }),
    starts: 0,
    stops: 0,
    terms: [],
    state: off('Not started.'),
    refuse: undefined,
    hang: false,
    async start (_signal, term) {
      self.starts++
      self.terms.push(term?.number)
      if (self.hang) await new Promise(() => {})
      if (self.refuse !== undefined) throw self.refuse
      self.state = running
    },
    async stop () { self.stops++; self.state = off('Stopped.') },
    health: () => self.state
  }
  return self
}

const term = (number: bigint): Term => ({ number, valid: () => true, signal: new AbortController().signal, write: () => Promise.reject(new RangeError('no writes')) })
const owner = { plugin: 'toy', role: 'region' as const }

let supervisor: Supervisor
let used: Service[] = []
function fixture () {
  const clock = manualClock()
  const changes: ServiceStatus[] = []
  supervisor = createSupervisor({ log: quiet, clock, random: () => 0.5, startTimeout: 5_000, stopTimeout: 2_000, onChange: status => { changes.push(status) } })
  const start = (services: readonly Service[]) => { used.push(...services); return supervisor.start(owner, services) }
  return { clock, changes, start }
}
afterEach(async () => { await supervisor.stop(used).catch(() => {}); used = [] })

describe('the supervisor', () => {
  test('starts, lists and stops', async () => {
    const { clock, changes, start } = fixture()
    const [one, two] = [puppet('one'), puppet('two')]
    await start([one, two])
    expect(supervisor.list()).toEqual([one, two].map(({ name }) => ({ plugin: 'toy', role: 'region', service: name, state: 'running', since: new Date(clock.now()).toISOString(), restarts: 0 })))
    await supervisor.stop([one, two])
    expect([one.stops, two.stops]).toEqual([1, 1])
    expect(supervisor.list()).toEqual([])
    expect(changes.map(({ service, state }) => `${service} ${state}`)).toEqual(['one running', 'two running', 'two off', 'one off'])
  })

  test('a refused start shows its reason and is repeated after 1, 2, 4 … 30 seconds', async () => {
    const { clock, start } = fixture()
    const one = puppet('one')
    one.refuse = new RangeError('port 67 is taken')
    await start([one])
    expect(supervisor.list()).toMatchObject([{ state: 'dead', reason: 'port 67 is taken', restarts: 0 }])
    for (const pause of [1, 2, 4, 8, 16, 30, 30]) {
      const before = one.starts
      await clock.advance(pause * 1000 - 1)
      expect(one.starts, `before ${pause} s`).toBe(before)
      await clock.advance(1)
      expect(one.starts, `after ${pause} s`).toBe(before + 1)
    }
    one.refuse = undefined
    await clock.advance(30_000)
    expect(supervisor.list()).toMatchObject([{ state: 'running', restarts: 8 }])
  })

  test('pauses differ by up to a fifth, so that many do not come back at once', async () => {
    const clock = manualClock()
    const one = puppet('one')
    one.refuse = new RangeError('no')
    used = [one]
    supervisor = createSupervisor({ log: quiet, clock, random: () => 0 })
    await supervisor.start(owner, [one])
    await clock.advance(799)
    expect(one.starts).toBe(1)
    await clock.advance(1)
    expect(one.starts).toBe(2)
  })

  test('a service that dies is stopped and started again; long steady running forgives', async () => {
    const { clock, start } = fixture()
    const one = puppet('one')
    await start([one])
    one.state = dead('it fell over')
    await clock.advance(1_000)
    expect(supervisor.list()).toMatchObject([{ state: 'dead', reason: 'it fell over' }])
    expect(one.stops).toBe(1)
    await clock.advance(1_000)
    expect(supervisor.list()).toMatchObject([{ state: 'running', restarts: 1 }])
    await clock.advance(61_000)
    one.state = dead('again')
    await clock.advance(2_000) // noticed within one second, restarted after one, not two
    expect(supervisor.list()).toMatchObject([{ state: 'running', restarts: 2 }])
  })

  test('a degraded service is shown and left alone', async () => {
    const { clock, changes, start } = fixture()
    const one = puppet('one')
    await start([one])
    one.state = degraded('the disk is slow')
    await clock.advance(10_000)
    expect(supervisor.list()).toMatchObject([{ state: 'degraded', reason: 'the disk is slow', restarts: 0 }])
    one.state = degraded('the disk is slower')
    await clock.advance(1_000)
    expect(supervisor.list()).toMatchObject([{ reason: 'the disk is slower' }])
    one.state = running
    await clock.advance(1_000)
    expect(changes.map(({ state, reason }) => [state, reason])).toEqual([['running', undefined], ['degraded', 'the disk is slow'], ['degraded', 'the disk is slower'], ['running', undefined]])
    expect(one.starts).toBe(1)
  })

  test('a reason that changes at every look is announced now and again, and as it is in the end', async () => {
    const { clock, changes, start } = fixture()
    const one = puppet('one')
    await start([one])
    let looks = 0
    one.health = () => degraded(`${Math.min(++looks, 18)} facts wait`)
    await clock.advance(40_000)
    const [, ...told] = changes.map(({ reason }) => Number(reason?.split(' ')[0]))
    expect(told.length).toBeLessThanOrEqual(5)
    expect(told.at(-1)).toBe(18)
    expect(new Set(changes.slice(1).map(({ since }) => since)).size).toBe(1)
  })

  test('a leader service is known as such in every announcement', async () => {
    const { changes, start } = fixture()
    await start([puppet('plain'), puppet('single', 'leader')])
    expect(supervisor.list().map(({ on }) => on)).toEqual([undefined, 'leader'])
    supervisor.gain(term(1n))
    await vi.waitFor(() => { expect(changes.at(-1)).toMatchObject({ service: 'single', on: 'leader', state: 'running' }) })
  })

  test('a start that hangs is called dead after its time, by name, and tried again', async () => {
    const { clock, start } = fixture()
    const one = puppet('one')
    one.hang = true
    const started = start([one])
    await clock.advance(5_000)
    await started
    expect(supervisor.list()).toMatchObject([{ state: 'dead', reason: 'toy/one did not start within 5 s.' }])
    one.hang = false
    await clock.advance(1_000)
    expect(supervisor.list()).toMatchObject([{ state: 'running' }])
  })

  test('a health that throws is a death with a reason', async () => {
    const { clock, start } = fixture()
    const one = puppet('one')
    await start([one])
    const broken = vi.spyOn(one, 'health').mockImplementation(() => { throw new RangeError('no pulse') })
    await clock.advance(1_000)
    expect(supervisor.list()).toMatchObject([{ state: 'dead', reason: 'Its health cannot be told: no pulse' }])
    broken.mockRestore()
  })

  test('a stop during the start interrupts it, and stops what it may have begun', async () => {
    const { clock, start } = fixture()
    const one = puppet('one')
    one.hang = true
    const started = start([one])
    await clock.advance(0)
    expect(one.starts).toBe(1)
    await supervisor.stop([one])
    await started
    expect(one.stops).toBe(1)
    expect(supervisor.list()).toEqual([])
  })

  test('a stop during the pause ends it at once', async () => {
    const { start } = fixture()
    const one = puppet('one')
    one.refuse = new RangeError('no')
    await start([one])
    await supervisor.stop([one])
    expect(one.starts).toBe(1)
  })

  test('a stop that fails is told, and the others are stopped', async () => {
    const { start } = fixture()
    const [one, two] = [puppet('one'), puppet('two')]
    two.stop = () => Promise.reject(new RangeError('stuck'))
    await start([one, two])
    await expect(supervisor.stop([one, two])).rejects.toThrow('stuck')
    expect(one.stops).toBe(1)
  })

  describe('leadership', () => {
    test('starts leader services with the term, stops them on its loss', async () => {
      const { clock, start } = fixture()
      const [one, everywhere] = [puppet('one', 'leader'), puppet('everywhere')]
      await start([one, everywhere])
      expect(supervisor.list()).toMatchObject([{ service: 'one', state: 'off', reason: 'Runs on the leading region only.' }, { state: 'running' }])
      supervisor.gain(term(3n))
      await clock.advance(0)
      expect(one.terms).toEqual([3n])
      await supervisor.lose()
      expect(one.stops).toBe(1)
      expect(supervisor.list()).toMatchObject([{ service: 'one', state: 'off' }, { state: 'running' }])
    })

    test('a service added while leading starts with the term', async () => {
      const { start } = fixture()
      supervisor.gain(term(4n))
      const one = puppet('one', 'leader')
      await start([one])
      expect(one.terms).toEqual([4n])
    })

    test('a new term right after a loss starts one life, after the old one ended', async () => {
      const { clock, start } = fixture()
      const one = puppet('one', 'leader')
      await start([one])
      supervisor.gain(term(1n))
      await clock.advance(0)
      const { promise: stopping, resolve } = Promise.withResolvers<void>()
      const plain = one.stop
      one.stop = async () => { await stopping; await plain.call(one) }
      void supervisor.lose()
      supervisor.gain(term(2n))
      await clock.advance(0)
      expect(one.terms).toEqual([1n])
      one.stop = plain
      resolve()
      await clock.advance(0)
      expect(one.terms).toEqual([1n, 2n])
      expect(supervisor.list()).toMatchObject([{ state: 'running' }])
    })

    test('gains and losses in any quick order end as the last one says', async () => {
      const { clock, start } = fixture()
      const one = puppet('one', 'leader')
      await start([one])
      for (let number = 1n; number <= 20n; number++) { supervisor.gain(term(number)); void supervisor.lose() }
      await clock.advance(10)
      expect(one.state.state).toBe('off')
      for (let number = 21n; number <= 40n; number++) { void supervisor.lose(); supervisor.gain(term(number)) }
      await clock.advance(10)
      expect(one.state).toBe(running)
      expect(one.terms.at(-1)).toBe(40n)
    })
  })
})
