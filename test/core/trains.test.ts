/** Which datagrams share a train, and what a refused one says about others. */
import { describe, expect, it } from 'vitest'
import { coupled, longestAfter, mostBytes, mostSegments } from '../../core/trains.ts'
import type { Target } from '../../core/trains.ts'

const relay = (length: number, address = '192.0.2.1', port = 67): Target => ({ port, address, length })
const many = (count: number, target: Target): Target[] => Array.from({ length: count }, () => target)

describe('coupled', () => {
  it.each<[string, Target[], number[]]>([
    ['nothing', [], []],
    ['one alone', [relay(300)], [1]],
    ['equal ones', many(3, relay(300)), [3]],
    ['another length begins another', [relay(300), relay(300), relay(301), relay(300)], [2, 1, 1]],
    ['another address', [relay(300), relay(300, '192.0.2.2'), relay(300, '192.0.2.2')], [1, 2]],
    ['another port', [relay(300), relay(300, '192.0.2.1', 68)], [1, 1]],
    ['the same target again, not at once', [relay(300), relay(1), relay(300)], [1, 1, 1]],
    ['empty ones, which would leave as one', many(3, relay(0)), [1, 1, 1]],
    ['broadcasts, which clients read off the wire', many(3, relay(300, '255.255.255.255', 68)), [1, 1, 1]],
    ['port 0, which is refused anyway', many(2, relay(300, '192.0.2.1', 0)), [1, 1]],
    ['as many as one may have', many(64, relay(300)), [64]],
    ['no more than one packet holds', many(64, relay(1536)), [42, 22]],
    ['longer ones than may travel so', [...many(2, relay(1536)), ...many(2, relay(1537))], [2, 1, 1]]
  ])('%s', (_, targets, trains) => { expect(coupled(targets, 0, targets.length, 0, 1536)).toEqual(trains) })

  it('begins where it is told to, leaves single those that are to be, and looks at no slot that is not filled', () => {
    const targets = many(10, relay(300))
    expect(coupled(targets, 2, 8, 0, 1536)).toEqual([6])
    expect(coupled(targets, 2, 8, 5, 1536)).toEqual([1, 1, 1, 3])
    expect(coupled(targets, 0, 3, 0, 0)).toEqual([1, 1, 1])
  })
  it('has no train the kernel would refuse, whatever the length', () => {
    for (let length = 1; length <= 1536; length++) {
      const trains = coupled(many(64, relay(length)), 0, 64, 0, 1536)
      expect(trains.reduce((sum, train) => sum + train, 0)).toBe(64)
      for (const train of trains) expect(train <= mostSegments && train * length <= mostBytes).toBe(true)
    }
  })
})

it.each<[string, number, number]>([
  ['EIO: no checksums, or IPsec', 5, 0], ['EOPNOTSUPP', 95, 0], ['ENOPROTOOPT', 92, 0],
  ['EMSGSIZE: longer than the MTU', 90, 1399], ['EINVAL: the same on older kernels', 22, 1399],
  ['EPERM of a firewall', 1, 1536], ['ENETUNREACH', 101, 1536], ['EHOSTUNREACH', 113, 1536], ['ENETDOWN', 100, 1536], ['ENOMEM', 12, 1536]
])('the longest that may travel in a train after %s', (_, errno, left) => {
  expect(longestAfter(1536, errno, 1400)).toBe(left)
  expect(longestAfter(500, errno, 1400)).toBe(Math.min(500, left))
})
