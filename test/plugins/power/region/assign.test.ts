/** Who asks a BMC, in which order racks are handed an action, and which racks run on a machine. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assigned, order, racksOn } from '../../../../plugins/power/region/assign.ts'
import type { Route } from '../../../../plugins/power/store/routes.ts'

/** `a 3`: reached in 3 ms; `a -`: not reached. */
const routes = (text: string): Route[] => text === '' ? [] : text.split(', ').map(part => { const [rack = '', rtt = ''] = part.split(' '); return { rack, reachable: rtt !== '-', rtt: rtt === '-' ? null : Number(rtt) } })

test.each<[string, { endpoint?: null, poller: string | null, routes: string, linked: string }, { poller: string | null, unreached: boolean }]>([
  ['the nearest that reaches it', { poller: null, routes: 'a 30, b 2', linked: 'a b' }, { poller: 'b', unreached: false }],
  ['who is a little farther keeps it', { poller: 'a', routes: 'a 9, b 2', linked: 'a b' }, { poller: 'a', unreached: false }],
  ['who is many times farther, but few ms, keeps it', { poller: 'a', routes: 'a 9, b 0.1', linked: 'a b' }, { poller: 'a', unreached: false }],
  ['who is many ms farther, but not twice as far, keeps it', { poller: 'a', routes: 'a 190, b 100', linked: 'a b' }, { poller: 'a', unreached: false }],
  ['who is much farther loses it', { poller: 'a', routes: 'a 30, b 2', linked: 'a b' }, { poller: 'b', unreached: false }],
  ['who reaches it no more loses it', { poller: 'a', routes: 'a -, b 80', linked: 'a b' }, { poller: 'b', unreached: false }],
  ['who is not linked loses it', { poller: 'a', routes: 'a 1, b 80', linked: 'b' }, { poller: 'b', unreached: false }],
  ['none reaches it', { poller: 'a', routes: 'a -, b -', linked: 'a b' }, { poller: null, unreached: true }],
  ['one does not, the other has not looked', { poller: null, routes: 'a -', linked: 'a b' }, { poller: null, unreached: false }],
  ['who asks has not looked since', { poller: 'a', routes: '', linked: 'a b' }, { poller: 'a', unreached: false }],
  ['a rack that is gone reaches it: it counts for nothing', { poller: null, routes: 'c 1, a -', linked: 'a' }, { poller: null, unreached: true }],
  ['nobody is linked', { poller: 'a', routes: 'a 1', linked: '' }, { poller: null, unreached: false }],
  ['any rack will do, and one does', { endpoint: null, poller: 'b', routes: '', linked: 'a b' }, { poller: 'b', unreached: false }],
  ['any rack will do, and there is one', { endpoint: null, poller: null, routes: '', linked: 'a' }, { poller: 'a', unreached: false }]
])('%s', (_name, { endpoint = 'tcp://h:1', poller, routes: told, linked }, expected) => {
  expect(assigned({ machine: 'm', endpoint, poller }, routes(told), linked.split(' ').filter(Boolean))).toEqual(expected)
})

test('racks that are equally near share the machines evenly, and when one goes only its share moves', () => {
  const machines = Array.from({ length: 3000 }, (_, index) => `machine-${index}`)
  const shares = (linked: readonly string[]) => new Map(machines.map(machine => [machine, assigned({ machine, endpoint: 'tcp://h:1', poller: null }, routes('a 1, b 1.2, c 0.9'), linked).poller]))
  const before = shares(['a', 'b', 'c'])
  for (const rack of ['a', 'b', 'c']) expect([...before.values()].filter(one => one === rack).length).toBeGreaterThan(900)
  const after = shares(['a', 'b'])
  for (const machine of machines) if (before.get(machine) !== 'c') expect(after.get(machine)).toBe(before.get(machine))
})

describe('whatever racks told', () => {
  const rack = fc.constantFrom('a', 'b', 'c', 'd')
  const route = fc.record({ rack, reachable: fc.boolean(), rtt: fc.option(fc.double({ min: 0, max: 500, noNaN: true })) })
  const given = fc.record({ routes: fc.uniqueArray(route, { selector: one => one.rack }), linked: fc.uniqueArray(rack), poller: fc.option(rack) })
  test('the poller is linked, reaches it when any does, and is kept when asked again', () => {
    fc.assert(fc.property(given, ({ routes: told, linked, poller }) => {
      const first = assigned({ machine: 'm', endpoint: 'tcp://h:1', poller }, told, linked)
      if (first.poller !== null) expect(linked).toContain(first.poller)
      const reaching = told.filter(one => one.reachable && linked.includes(one.rack)).map(one => one.rack)
      if (reaching.length > 0) expect(reaching).toContain(first.poller)
      if (first.unreached) expect(first.poller).toBeNull()
      expect(assigned({ machine: 'm', endpoint: 'tcp://h:1', poller: first.poller }, told, linked)).toEqual(first)
    }))
  })
  test('an action is offered to every rack once, those that reach the BMC first', () => {
    fc.assert(fc.property(given, ({ routes: told, linked, poller }) => {
      const all = order(linked, told, poller)
      expect([...all].sort()).toEqual([...linked].sort())
      const kinds = all.map(id => { const one = told.find(({ rack: by }) => by === id); return one === undefined ? 1 : one.reachable ? 0 : 2 })
      expect(kinds).toEqual([...kinds].sort())
    }))
  })
})

test('the order: by nearness, then those that do not know, then those that do not reach it', () => {
  expect(order(['far', 'no', 'new', 'near'], routes('far 20, near 2, no -'), null)).toEqual(['near', 'far', 'new', 'no'])
  expect(order(['x', 'y', 'z'], [], 'z')).toEqual(['z', 'x', 'y'])
})

test('a rack runs on the machine whose MAC address an interface of its has, in any spelling', () => {
  const interfaces = [{ rack: 'a', mac: '52:54:00:00:00:01' }, { rack: 'a', mac: '52:54:00:00:00:02' }, { rack: 'b', mac: '52:54:00:00:00:AA' }]
  expect(racksOn(['52:54:00:00:00:02', '52:54:00:00:00:aa'], interfaces)).toEqual(['a', 'b'])
  expect(racksOn(['52:54:00:00:00:03'], interfaces)).toEqual([])
})
