/** What is made of what controllers say, of links, and of silence: a table of cases, and rules that hold for any. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linkReports, worthTelling } from '../../../plugins/tracking/links.ts'
import type { ServiceReport, StateName } from '../../../plugins/tracking/manifest.ts'
import { stateNames } from '../../../plugins/tracking/manifest.ts'
import { derive, essence, keyOf, lacking, leaderless, news, rowOf } from '../../../plugins/tracking/state.ts'
import type { Given, Known, ServiceRow } from '../../../plugins/tracking/state.ts'

const start = Date.UTC(2030, 0, 1)
const at = (seconds: number): Date => new Date(start + seconds * 1000)
const known = (id: string, roles: Known['roles'], seenAt = at(100), version = '1.0.0'): Known => ({ id, hostname: `${id}.test`, roles, version, seenAt })
const row = (controller: string, service: string, state: StateName = 'running', more: Partial<ServiceRow> = {}): ServiceRow => ({ controller, role: '', plugin: 'core', service, leader: false, state, reason: state === 'running' ? null : `${service} is so`, since: at(0), restarts: 0, ...more })
const ra = known('a', ['region'])
const rb = known('b', ['region'])
const r1 = known('r1', ['rack'])
const r2 = known('r2', ['rack'])
const all = [ra, rb, r1, r2]
const link = (region: string, rack: string, since = at(10)) => ({ region, rack, since })
const links = [link('a', 'r1'), link('a', 'r2'), link('b', 'r1'), link('b', 'r2')]
const services = all.map(({ id }) => row(id, 'links'))
const whole = (more: Partial<Given> = {}) => derive({ controllers: all, services, links, missed: [], now: at(100), quiet: 15_000, ...more })
const stateOf = (id: string, more: Partial<Given> = {}) => {
  const { state, reason } = whole(more).controllers.find(one => one.id === id)!
  return [state, reason]
}

describe('a controller', () => {
  const cases: [what: string, id: string, more: Partial<Given>, state: StateName, reason: string | null][] = [
    ['runs when all of it runs and all links are up', 'a', {}, 'running', null],
    ['runs when a service is off as wanted', 'a', { services: [...services, row('a', 'x', 'off')] }, 'running', null],
    ['is degraded by a service of a plugin that is dead', 'r1', { services: [...services, row('r1', 'dhcp', 'dead', { plugin: 'dhcp', role: 'rack' })] }, 'degraded', 'dhcp/dhcp is dead: dhcp is so'],
    ['is dead when a part of the core is', 'r1', { services: [...services, row('r1', 'p', 'degraded', { plugin: 'p' }), row('r1', 'disk', 'dead')] }, 'dead', 'core/disk is dead: disk is so; p/p is degraded: p is so'],
    ['is degraded with a degraded core', 'a', { services: [...services, row('a', 'feed', 'degraded')] }, 'degraded', 'core/feed is degraded: feed is so'],
    ['is unknown when nobody heard of it', 'r2', { controllers: [ra, rb, r1, known('r2', ['rack'], at(84.9))] }, 'unknown', 'not heard of since 2030-01-01T00:01:24Z; see whether the host runs, and on it: systemctl status bedplate'],
    ['is believed for as long as it may be silent', 'r2', { controllers: [ra, rb, r1, known('r2', ['rack'], at(85))] }, 'running', null],
    ['is unknown until it tells of its services', 'a', { services: services.slice(1) }, 'unknown', 'it has not told yet how its services are'],
    ['that enrolled and never came is unknown', 'r2', { controllers: [ra, rb, r1, known('r2', ['rack'], at(99), '')] }, 'unknown', 'it has not told yet how its services are'],
    ['is not missed before it came', 'a', { controllers: [ra, rb, r1, known('r2', ['rack'], at(99), '')], links: links.slice(0, 1) }, 'running', null],
    ['a rack that misses a region says which, and why', 'r1', { links: links.filter(one => one !== links[2]), missed: [{ rack: 'r1', region: 'b', url: 'wss://10.0.0.2:5250', reason: 'connection refused', since: at(50) }] }, 'degraded', 'linked to 1 of 2 regions: misses b.test (10.0.0.2:5250: connection refused)'],
    ['a rack that does not know who is there says where', 'r1', { links: links.filter(one => one !== links[2]), missed: [{ rack: 'r1', region: '', url: 'wss://10.0.0.2:5250', reason: null, since: at(50) }] }, 'degraded', 'linked to 1 of 2 regions: misses b.test (10.0.0.2:5250: no link yet)'],
    ['a region that misses racks says which', 'b', { links: links.slice(0, 2) }, 'degraded', 'linked to 0 of 2 racks: misses r1.test (the rack does not say why; see its log), r2.test (the rack does not say why; see its log)'],
    ['a region that misses a rack nobody is linked with says so', 'b', { links: [link('a', 'r1'), link('b', 'r1')] }, 'degraded', 'linked to 1 of 2 racks: misses r2.test (no region is linked with it: it has stopped or is cut off)'],
    ['a region that is gone is missed with since when', 'r1', { controllers: [ra, known('b', ['region'], at(50)), r1, r2] }, 'degraded', 'linked to 1 of 2 regions: misses b.test (not heard of since 2030-01-01T00:00:50Z; see whether the host runs, and on it: systemctl status bedplate)'],
    ['a later word of the rack outweighs the region\'s', 'r1', { missed: [{ rack: 'r1', region: 'b', url: 'wss://b:1', reason: 'silent', since: at(11) }] }, 'degraded', 'linked to 1 of 2 regions: misses b.test (b:1: silent)'],
    ['an earlier one does not', 'r1', { missed: [{ rack: 'r1', region: 'b', url: 'wss://b:1', reason: 'silent', since: at(9) }] }, 'running', null]
  ]
  test.each(cases)('%s', (_what, id, more, state, reason) => { expect(stateOf(id, more)).toEqual([state, reason]) })

  test('with both roles is linked to itself, and misses on both sides', () => {
    const both = known('both', ['region', 'rack'])
    const given = { controllers: [both, ra], services: [row('both', 's'), row('a', 's')], links: [link('both', 'both')] }
    expect(stateOf('both', given)).toEqual(['degraded', 'linked to 1 of 2 regions: misses a.test (the rack does not say why; see its log)'])
    expect(stateOf('a', given)).toEqual(['degraded', 'linked to 0 of 1 racks: misses both.test (the rack does not say why; see its log)'])
  })
})

describe('a service', () => {
  const single = (controller: string, state: StateName, since: number) => row(controller, 'poll', state, { plugin: 'power', role: 'region', leader: true, since: at(since) })
  const polls = (given: Partial<Given>) => whole(given).services.filter(({ service }) => service === 'poll').map(({ controller, state, since }) => [controller, state, (since.getTime() - start) / 1000])
  test('of the leader is off elsewhere', () => {
    expect(polls({ services: [single('a', 'running', 50), single('b', 'off', 10)] })).toEqual([['a', 'running', 50], ['b', 'off', 10]])
  })
  test('of the leader is dead when no region leads for longer than a change takes', () => {
    const gone = [single('a', 'off', 50), single('b', 'off', 10)]
    expect(polls({ services: gone, now: at(50 + leaderless / 1000), controllers: [ra, rb].map(one => ({ ...one, seenAt: at(57) })) })).toEqual([['a', 'off', 50], ['b', 'off', 10]])
    expect(polls({ services: gone })).toEqual([['a', 'dead', 50], ['b', 'dead', 50]])
    expect(whole({ services: gone }).services[0]?.reason).toBe('no region leads since 2030-01-01T00:00:50Z, so it runs nowhere; see the service core/elector-region of each region, and whether the database accepts writes')
  })
  test('that has nothing to do on the leader is off, not missed', () => {
    expect(polls({ services: [single('a', 'off', 20), single('b', 'off', 10), row('a', 'housekeeping', 'running', { leader: true })] })).toEqual([['a', 'off', 20], ['b', 'off', 10]])
  })
  test('of a leader that is not heard of does not count as led', () => {
    expect(polls({ controllers: [known('a', ['region'], at(10)), rb], services: [single('a', 'running', 5), single('b', 'off', 10)] })).toEqual([['a', 'unknown', 10], ['b', 'dead', 10]])
  })
  test('that is dead on the leader is that, and no more', () => {
    expect(polls({ services: [single('a', 'dead', 50), single('b', 'off', 10)] })).toEqual([['a', 'dead', 50], ['b', 'off', 10]])
  })
  test('of a controller that is no more is left out', () => { expect(whole({ services: [row('gone', 'x')] }).services).toEqual([]) })
})

const report = (service: string, state: StateName = 'running', more: Partial<ServiceReport> = {}): ServiceReport => ({ plugin: 'p', service, state, since: at(1).toISOString(), restarts: 0, ...(state === 'running' ? {} : { reason: 'so' }), ...more })

describe('a report', () => {
  const before = [rowOf('r1', report('one')), rowOf('r1', report('two', 'degraded', { reason: '12 facts wait (3 MiB)' }))]
  test('that says the same is no news', () => { expect(news(before, 'r1', [report('one'), report('two', 'degraded', { reason: '12 facts wait (3 MiB)' })])).toEqual([]) })
  test('of another state is, and of a new life', () => {
    expect(news(before, 'r1', [report('one', 'dead')])).toMatchObject([{ service: 'one', state: 'dead', reason: 'so', history: true }])
    expect(news(before, 'r1', [report('one', 'running', { since: at(2).toISOString() })])).toMatchObject([{ history: true, since: at(2) }])
    expect(news([], 'r1', [report('one')])).toMatchObject([{ controller: 'r1', role: '', history: true }])
  })
  test('of another number in the reason is stored, but not history; of other words it is', () => {
    expect(news(before, 'r1', [report('two', 'degraded', { reason: '90 facts wait (4 MiB)' })])).toMatchObject([{ reason: '90 facts wait (4 MiB)', history: false }])
    expect(news(before, 'r1', [report('two', 'degraded', { reason: 'misses rack-1' })])).toMatchObject([{ history: true }])
    expect(essence('misses rack-1')).not.toBe(essence('misses rack-2'))
  })
  test('of several changes tells each', () => {
    expect(news(before, 'r1', [report('one', 'dead'), report('one', 'running', { since: at(3).toISOString() })]).map(({ state }) => state)).toEqual(['dead', 'running'])
  })
  test('of half a list marks what is missing, once', () => {
    const { expected, gone } = lacking(before, true, [report('one')], at(9))
    expect(gone).toEqual([])
    expect(expected).toMatchObject([{ service: 'two', state: 'dead', since: at(9), history: true, reason: 'expected but not reported: it was degraded before; restart the controller (systemctl restart bedplate) and read its log' }])
    expect(lacking([before[0]!, ...expected], true, [report('one')], at(10))).toEqual({ expected: [], gone: [] })
  })
  test('of another version, or without a plugin, expects nothing of before', () => {
    expect(lacking(before, false, [report('one')], at(9))).toEqual({ expected: [], gone: [before[1]] })
    expect(lacking(before, true, [report('x', 'running', { plugin: 'q' })], at(9))).toEqual({ expected: [], gone: before })
  })
})

describe('a rack\'s links', () => {
  const state = (controller: string, url: string, up: boolean, reason?: string) => ({ controller, url, up, since: at(1).toISOString(), ...(reason === undefined ? {} : { reason }) })
  test('a second way to a linked region is not missed', () => {
    expect(linkReports([state('b', 'wss://b:1', false, 'no route'), state('a', 'wss://2', false, 'a is linked already'), state('a', 'wss://1', true, 'it is slow')])).toEqual([{ controller: 'a', url: 'wss://1', up: true }, { controller: 'b', url: 'wss://b:1', up: false, reason: 'no route' }])
  })
  test('are told at once when one goes, and after a while when only a reason differs', () => {
    const [down, other, up] = [linkReports([state('a', '1', false, 'x')]), linkReports([state('a', '1', false, 'y')]), linkReports([state('a', '1', true)])]
    expect([worthTelling(undefined, down, 0, 60), worthTelling(down, up, 0, 60), worthTelling(down, other, 59, 60), worthTelling(down, other, 60, 60), worthTelling(down, down, 999, 60)]).toEqual([true, true, false, true, false])
  })
})

describe('for any controllers', () => {
  const ids = ['a', 'b', 'c', 'd']
  const controllers = fc.uniqueArray(fc.record({ id: fc.constantFrom(...ids), roles: fc.constantFrom<Known['roles']>(['region'], ['rack'], ['region', 'rack']), version: fc.constantFrom('', '1.0.0'), seenAt: fc.integer({ min: 0, max: 100 }).map(at) }).map(one => ({ ...one, hostname: one.id })), { selector: ({ id }) => id })
  const row = fc.record({ controller: fc.constantFrom(...ids, 'gone'), role: fc.constantFrom('', 'region'), plugin: fc.constantFrom('core', 'p'), service: fc.constantFrom('s', 't'), leader: fc.boolean(), state: fc.constantFrom(...stateNames), reason: fc.option(fc.string()), since: fc.integer({ min: 0, max: 100 }).map(at), restarts: fc.nat() })
  const given = fc.record({
    controllers, services: fc.uniqueArray(row, { selector: one => `${one.controller} ${keyOf(one)}` }),
    links: fc.array(fc.record({ region: fc.constantFrom(...ids), rack: fc.constantFrom(...ids), since: fc.integer({ min: 0, max: 100 }).map(at) })),
    missed: fc.array(fc.record({ rack: fc.constantFrom(...ids), region: fc.constantFrom('', ...ids), url: fc.string(), reason: fc.option(fc.string()), since: fc.integer({ min: 0, max: 100 }).map(at) })),
    now: fc.constant(at(100)), quiet: fc.constant(15_000)
  })

  test('silence is unknown and nothing else is; what does not run has a reason; who runs misses nobody', () => {
    fc.assert(fc.property(given, input => {
      const { controllers, services } = derive(input)
      expect(controllers.map(({ id }) => id)).toEqual(input.controllers.map(({ id }) => id))
      for (const one of controllers) {
        const of = input.controllers.find(({ id }) => id === one.id)!
        const heard = input.now.getTime() - of.seenAt.getTime() <= input.quiet
        const own = services.filter(({ controller }) => controller === one.id)
        expect(one.reason === null).toBe(one.state === 'running')
        expect(one.state).not.toBe('off')
        if (!heard) { expect(one.state).toBe('unknown'); for (const service of own) expect(service.state).toBe('unknown') }
        if (one.state === 'running') {
          expect([...one.regions, ...one.racks].filter(({ up }) => !up)).toEqual([])
          for (const { state } of own) expect(['running', 'off']).toContain(state)
        }
        for (const { up, reason } of [...one.regions, ...one.racks]) expect(reason === null).toBe(up)
      }
      expect(services.length).toBe(input.services.filter(({ controller }) => input.controllers.some(({ id }) => id === controller)).length)
    }), { numRuns: 500, seed: 3 })
  })

  test('the two ends of a link agree, and the order of what is given does not matter', () => {
    fc.assert(fc.property(given, input => {
      const heard = (id: string): boolean => input.now.getTime() - input.controllers.find(one => one.id === id)!.seenAt.getTime() <= input.quiet
      const { controllers } = derive(input)
      for (const region of controllers) {
        for (const end of region.racks) {
          const other = controllers.find(({ id }) => id === end.id)!.regions.find(({ id }) => id === region.id)
          if (other !== undefined && heard(region.id) && heard(end.id)) expect(other.up).toBe(end.up)
        }
      }
      const turned = derive({ ...input, services: input.services.toReversed() })
      expect(new Set(turned.controllers.map(({ id, state }) => `${id} ${state}`))).toEqual(new Set(controllers.map(({ id, state }) => `${id} ${state}`)))
    }), { numRuns: 300, seed: 4 })
  })

  test('what is said and said again is news once', () => {
    const reports = fc.array(fc.record({ plugin: fc.constantFrom('p', 'q'), service: fc.constantFrom('s', 't'), state: fc.constantFrom(...stateNames), since: fc.integer({ min: 0, max: 5 }).map(second => at(second).toISOString()), restarts: fc.nat({ max: 3 }), reason: fc.string() }))
    fc.assert(fc.property(reports, given => {
      const changes = news([], 'r1', given)
      const after = [...new Map(changes.map(change => [keyOf(change), change])).values()]
      const last = [...new Map(given.map(one => [`${one.plugin}/${one.service}`, one])).values()]
      expect(news(after, 'r1', last)).toEqual([])
    }), { numRuns: 300, seed: 5 })
  })
})
