/** What single looks say of reachability, and when that is news; how long a BMC that does not answer well is left alone. */
import { expect, test } from 'vitest'
import { after, news, unknown, type Reach } from '../../../../plugins/power/rack/reaching.ts'
import { decide, fresh, mayAsk, type Patience, type Result } from '../../../../plugins/power/rack/patience.ts'
import { isNear } from '../../../../plugins/power/rack/hello.ts'

/** Looks, `3` ms or `-`, and what is told after each: `+3`, `-`, or nothing. */
function told (looks: string): string {
  let reach: Reach = unknown
  return looks.split(' ').map((look, now) => {
    reach = after(reach, look === '-' ? { reachable: false, rtt: null } : { reachable: true, rtt: Number(look) })
    const tell = news(reach, now)
    if (tell === undefined) return '.'
    reach = { ...reach, told: { ...tell, at: now } }
    return tell.reachable ? `+${tell.rtt}` : '-'
  }).join(' ')
}
test.each([
  ['the first answer is told, the same time again is not', '3 3 4', '+3 . .'],
  ['one lost look is nothing', '3 - 3 - 3', '+3 . . . .'],
  ['two in a row are', '3 - - - 3', '+3 . - . +3'],
  ['one that never answered is told after two', '- - -', '. - .'],
  ['weather is not told: a factor without the ms', '1 4 4 4 4', '+1 . . . .'],
  ['nor ms without the factor', '100 150 150 150', '+100 . . .'],
  ['another way is', '3 40 40 40 40', '+3 +12.25 . . +28.29'],
  ['a time from before it was away does not count', '3 - - 80', '+3 . - +80']
])('%s', (_name, looks, expected) => { expect(told(looks)).toBe(expected) })

test('what was told an hour ago is told again', () => {
  const reach: Reach = { reachable: true, failures: 0, rtt: 3, told: { reachable: true, rtt: 3, at: 0 } }
  expect(news(reach, 3_599_999)).toBeUndefined()
  expect(news(reach, 3_600_000)).toEqual({ reachable: true, rtt: 3 })
})

const with60 = { version: '1', now: 0, interval: 60_000, random: 1 }
test('silence: the second time is told; asked again after an eighth, a quarter, half of the interval, then in its turn', () => {
  let patience: Patience = fresh
  const steps = Array.from({ length: 5 }, () => { const one = decide(patience, 'failed', with60); patience = one.patience; return [one.tell, one.again] })
  expect(steps).toEqual([[false, 7_500], [true, 15_000], [true, 30_000], [true, undefined], [true, undefined]])
  expect(decide(patience, 'answered', with60)).toEqual({ patience: fresh, tell: true })
})

test('a refused password is told at once, and the account is left alone: 1, 2, 4 … 60 minutes; another password is tried at once', () => {
  let patience: Patience = fresh
  let now = 0
  const pauses = Array.from({ length: 8 }, () => {
    const one = decide(patience, 'refused', { ...with60, now })
    patience = one.patience
    expect(one.tell).toBe(true)
    expect(mayAsk(patience, '1', now + 59_999)).toBe(false)
    expect(mayAsk(patience, '2', now)).toBe(true)
    const until = patience.hold?.until ?? 0
    expect(mayAsk(patience, '1', until)).toBe(true)
    const minutes = (until - now) / 60_000
    now = until
    return minutes
  })
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
})

test.each<Result>(['failed', 'fatal'])('a password that was refused, then %s, then refused again is left alone twice as long; one that was right begins anew', between => {
  const refused = decide(fresh, 'refused', with60).patience
  const again = (result: Result) => decide(decide(refused, result, { ...with60, now: 60_000 }).patience, 'refused', { ...with60, now: 120_000 }).patience.hold
  expect([again(between)?.ms, again('answered')?.ms]).toEqual([120_000, 60_000])
  expect(mayAsk(decide(refused, between, { ...with60, now: 60_000 }).patience, '1', 60_000)).toBe(true)
})

test.each<[Result, boolean]>([['answered', true], ['fatal', true], ['refused', true], ['failed', false]])('%s at first is told: %s', (result, tell) => { expect(decide(fresh, result, with60).tell).toBe(tell) })

test('a broadcast is heard in the networks this host is in', () => {
  const interfaces = { eth0: [{ address: '10.1.2.3', netmask: '255.255.255.0', family: 'IPv4' as const, mac: '', internal: false, cidr: '10.1.2.3/24' }], lo: [{ address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4' as const, mac: '', internal: true, cidr: '127.0.0.1/8' }] }
  expect(['10.1.2.255', '10.1.2.9', '255.255.255.255', '10.1.3.255', '127.0.0.1', 'nonsense'].map(address => isNear(address, interfaces))).toEqual([true, true, true, false, false, false])
  expect(isNear('255.255.255.255', { lo: interfaces.lo })).toBe(false)
})
