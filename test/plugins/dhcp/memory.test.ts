/** What a rack keeps in memory: indexes of the wanted state, offers that end, blocks that shrink. */
import { beforeEach, describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { WantedEntry, WantedKey } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { me, now, other, packetOf, segmentWith } from './build.ts'

const segment = segmentWith()
const block = (...addresses: string[]): WantedEntry => ({ kind: 'block', id: 's1', value: { addresses } })
const host = (address: string, mac = me): WantedEntry => ({ kind: 'host', id: address, value: { subnet: 's1', client: mac, hostname: null } })
const binding = (address: string, mac = me, seconds = 60): WantedEntry => ({ kind: 'binding', id: address, value: { subnet: 's1', client: mac, clientId: null, expires: new Date(now + seconds * 1000).toISOString(), number: '1' } })
let memory: Memory
beforeEach(() => { memory = new Memory() })
const put = (...entries: WantedEntry[]) => { memory.apply(entries, [], false, now) }
const remove = (...keys: WantedKey[]) => { memory.apply([], keys, false, now) }
const free = (at = now) => memory.view(segment, at).free('s1').map(ipText)
const [a, b, c] = ['10.0.0.100', '10.0.0.101', '10.0.0.102'] as const

describe('wanted state', () => {
  it('comes, changes hands and goes', () => {
    put(host('10.0.0.20'), binding(a))
    const view = () => memory.view(segment, now)
    expect(view().hosts(me).map(({ address }) => ipText(address))).toEqual(['10.0.0.20'])
    expect(view().bindings(me)).toHaveLength(1)
    put(host('10.0.0.20', other), binding(a, other))
    expect([view().hosts(me), view().bindings(me)]).toEqual([[], []])
    expect([view().hosts(other).length, view().bindings(other).length]).toEqual([1, 1])
    remove({ kind: 'host', id: '10.0.0.20' }, { kind: 'binding', id: a })
    expect([view().hostAt(parseIp('10.0.0.20')), view().bindingAt(parseIp(a)), view().hosts(other), view().bindings(other)]).toEqual([undefined, undefined, [], []])
  })
  it('given whole replaces everything, but not the offers in the air', () => {
    put(host('10.0.0.20'), binding(c), block(a, b))
    memory.offer(parseIp(a), 's1', me, now)
    memory.apply([block(a, b)], [], true, now)
    const view = memory.view(segment, now)
    expect([view.hosts(me), view.bindings(me)]).toEqual([[], []])
    expect(view.offeredTo(parseIp(a))).toBe(me)
    expect(free()).toEqual([b])
  })
  it('that cannot be read changes nothing', () => {
    put(block(a))
    expect(() => { memory.apply([host('10.0.0.20'), block('nonsense')], [], true, now) }).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
    expect(free()).toEqual([a])
    expect(memory.view(segment, now).hosts(me)).toEqual([])
  })
  it('segments come and go', () => {
    put({ kind: 'segment', id: '5', value: { interface: 'eth0', address: '10.0.0.2', rank: 0, mtu: 1500, subnets: [] } })
    expect([...memory.segments.keys()]).toEqual(['5'])
    remove({ kind: 'segment', id: '5' })
    expect(memory.segments.size).toBe(0)
  })
  it('a block does not hold what is bound, and one taken away is not offered from', () => {
    put(binding(a, other), block(a, b))
    expect(free()).toEqual([b])
    remove({ kind: 'block', id: 's1' })
    expect(free()).toEqual([])
  })
})

describe('offers', () => {
  beforeEach(() => { put(block(a, b)) })
  it('take an address out of what is free, for a minute', () => {
    memory.offer(parseIp(a), 's1', me, now)
    expect(free()).toEqual([b])
    expect(free(now + 59_999)).toEqual([b])
    expect(free(now + 60_000)).toEqual([b, a])
    expect(memory.view(segment, now + 60_000).offeredTo(parseIp(a))).toBeUndefined()
  })
  it('made again last longer; another one to the same client ends the first', () => {
    memory.offer(parseIp(a), 's1', me, now)
    memory.offer(parseIp(a), 's1', me, now + 30_000)
    expect(free(now + 70_000)).toEqual([b])
    memory.offer(parseIp(b), 's1', me, now + 70_000)
    expect(free(now + 70_000)).toEqual([a])
  })
  it('are void when the client takes another server\'s', () => {
    memory.offer(parseIp(a), 's1', me, now)
    memory.tookAnother(me)
    expect(free()).toEqual([b, a])
    memory.tookAnother(other)
  })
  it('of addresses outside the block do not end up in it', () => {
    memory.offer(parseIp('10.0.0.20'), 's1', me, now)
    expect(free(now + 60_000)).toEqual([a, b])
  })
  it('survive a block that is sent again meanwhile', () => {
    memory.offer(parseIp(a), 's1', me, now)
    put(block(a, b, c))
    expect(free()).toEqual([b, c])
    expect(free(now + 60_000)).toEqual([b, c, a])
  })
})

describe('the life of an address', () => {
  beforeEach(() => { put(block(a, b)) })
  const bound = (address: string, mac = me, seconds = 60) => { memory.bound({ subnet: 's1', client: mac, clientId: null, address: parseIp(address), expires: now + seconds * 1000, number: '1' }) }
  it('bound, it leaves the block for good', () => {
    memory.offer(parseIp(a), 's1', me, now)
    bound(a)
    expect(free()).toEqual([b])
    expect(free(now + 3_600_000)).toEqual([b])
    expect(memory.view(segment, now).bindings(me)).toHaveLength(1)
  })
  it('refused by the region, it leaves the block and the offers', () => {
    memory.offer(parseIp(a), 's1', me, now)
    memory.refused(parseIp(a), 's1', me, now)
    expect(free(now + 60_000)).toEqual([b])
    expect(memory.view(segment, now).offerTo(me)).toBeUndefined()
  })
  it('refused to one client, it is not tried for that one again for a minute; a stale binding of it is forgotten', () => {
    bound(a)
    memory.refused(parseIp(a), 's1', me, now)
    const view = (at: number) => memory.view(segment, at)
    expect(view(now).bindings(me)).toEqual([])
    expect([view(now).refused(parseIp(a), me), view(now).refused(parseIp(a), other), view(now).refused(parseIp(b), me), view(now + 60_000).refused(parseIp(a), me)]).toEqual([true, false, false, false])
    bound(a, other)
    memory.refused(parseIp(a), 's1', me, now + 1)
    expect(view(now).bindings(other)).toHaveLength(1)
  })
  it('is ended by its client only where it was acknowledged last: a word about it elsewhere is one about an older binding', () => {
    const numbered = (number: string): WantedEntry => ({ kind: 'binding', id: a, value: { subnet: 's1', client: me, clientId: null, expires: new Date(now + 60_000).toISOString(), number } })
    put(numbered('7'))
    expect(memory.gave(parseIp(a))).toBe(false)
    memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(a), expires: now + 60_000, number: '8' })
    put(numbered('7')) // told late
    put(numbered('8')) // its own, come back
    expect(memory.gave(parseIp(a))).toBe(true)
    put(numbered('9')) // by another rack
    expect(memory.gave(parseIp(a))).toBe(false)
  })
  it.each([['by a change', false], ['by the whole without it', true]])('that is gone %s is not its to end', (_how, whole) => {
    memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(a), expires: now + 60_000, number: '8' })
    memory.apply([], whole ? [] : [{ kind: 'binding', id: a }], whole, now)
    expect(memory.gave(parseIp(a))).toBe(false)
  })
  it('is still its client\'s to end where it was acknowledged, when the whole comes again with it', () => {
    memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(a), expires: now + 60_000, number: '8' })
    memory.bound({ subnet: 's1', client: other, clientId: null, address: parseIp(b), expires: now + 60_000, number: null }) // given alone: it has no number yet
    memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(c), expires: now + 60_000, number: '9' })
    const numbered = (id: string, client: string, number: string): WantedEntry => ({ kind: 'binding', id, value: { subnet: 's1', client, clientId: null, expires: new Date(now + 60_000).toISOString(), number } })
    memory.apply([numbered(a, me, '8'), numbered(c, me, '10')], [], true, now)
    expect([a, b, c].map(address => memory.gave(parseIp(address)))).toEqual([true, false, false]) // the same, gone, and acknowledged elsewhere since
    memory.apply([numbered(a, me, '8')], [], true, now) // and once more
    expect(memory.gave(parseIp(a))).toBe(true)
  })
  it('an answer that comes after news of a later extension by another rack changes nothing, nor is the last word this rack\'s', () => {
    const stored = (number: string | null, expires: number) => { memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(a), expires, number }) }
    memory.apply([{ kind: 'binding', id: a, value: { subnet: 's1', client: me, clientId: null, expires: new Date(now + 9_000).toISOString(), number: '11' } }], [], false, now)
    stored('10', now + 5_000)
    expect([memory.numberOf(parseIp(a)), memory.gave(parseIp(a))]).toEqual(['11', false])
    stored('12', now + 5_000)
    expect([memory.numberOf(parseIp(a)), memory.gave(parseIp(a))]).toEqual(['12', true])
    stored(null, now + 6_000) // given alone, by what it knows: the newest there is, though without a number
    expect([memory.numberOf(parseIp(a)), memory.gave(parseIp(a))]).toEqual([null, true])
  })
  it('released, it is still known whose it was', () => {
    bound(a)
    memory.released(parseIp(a), now)
    expect(memory.view(segment, now).bindings(me)).toMatchObject([{ expires: now }])
    memory.released(parseIp(c), now)
  })
  it('declined, it is nobody\'s until its time is up', () => {
    bound(a)
    memory.declined(parseIp(a), now + 600_000, now)
    expect(memory.view(segment, now).bindings(me)).toEqual([])
    expect(memory.view(segment, now).quarantined(parseIp(a), me)).toBe(true)
    expect(memory.view(segment, now + 600_000).quarantined(parseIp(a), me)).toBe(false)
  })
  it('found in use on the wire, it is nobody\'s but whose it may be by right: who answered for it', () => {
    memory.declined(parseIp(a), now + 600_000, now, me)
    expect([me, other].map(client => memory.view(segment, now).quarantined(parseIp(a), client))).toEqual([false, true])
    bound(a) // it was bound before this rack started with an old block
    expect(decide(memory.view(segment, now), packetOf({ type: 'REQUEST', mac: me, ciaddr: a }), now)).toMatchObject({ kind: 'bind', address: parseIp(a) })
    memory.declined(parseIp(a), now + 600_000, now) // and the word of a client counts for everybody
    expect(memory.view(segment, now).quarantined(parseIp(a), me)).toBe(true)
  })
  it('granted, it joins what is free; granted twice, once', () => {
    memory.grant('s1', [parseIp(b), parseIp(c)], now)
    expect(free()).toEqual([a, b, c])
    expect(memory.freeCount('s1')).toBe(3)
    expect(memory.freeCount('unknown')).toBe(0)
  })
})

describe('a block that was read before the last grant', () => {
  const granted = (at: number, ...addresses: string[]) => { memory.grant('s1', addresses.map(parseIp), at) }
  const heard = (at: number, ...addresses: string[]) => { memory.apply([block(...addresses)], [], false, at) }
  beforeEach(() => { put(block(a)); granted(now, b) })
  it('does not take away what that gave', () => {
    heard(now + 1_999, a)
    expect(free()).toEqual([a, b])
    heard(now + 1_999, a, b) // its own news
    expect(free()).toEqual([a, b])
  })
  it('does after two seconds: then it is no older block, but one that was taken back', () => {
    heard(now + 2_000, a)
    expect(free()).toEqual([a])
  })
  it('does at once when it comes with the whole', () => {
    memory.apply([block(a)], [], true, now)
    expect(free()).toEqual([a])
    heard(now, a)
    expect(free()).toEqual([a])
  })
  it('does not bring back what was taken of the grant meanwhile', () => {
    memory.bound({ subnet: 's1', client: me, clientId: null, address: parseIp(b), expires: now + 60_000, number: '1' })
    heard(now, a)
    expect([free(), memory.freeCount('s1')]).toEqual([[a], 1])
    memory.released(parseIp(b), now)
    heard(now, a)
    expect(free()).toEqual([a])
  })
  it('does not take away what either of two grants gave, until two seconds after the second', () => {
    granted(now + 1_500, c)
    heard(now + 3_499, a)
    expect(free()).toEqual([a, b, c])
    heard(now + 3_500, a)
    expect(free()).toEqual([a])
  })
  it('takes away what a grant gave whose two seconds were over at the next one', () => {
    granted(now + 2_000, c)
    heard(now + 2_001, a)
    expect(free()).toEqual([a, c])
  })
  it('keeps nothing of a block that is gone', () => {
    remove({ kind: 'block', id: 's1' })
    heard(now, a)
    expect(free()).toEqual([a])
  })
  it('is one subnet\'s: another\'s is as it is told', () => {
    memory.grant('s2', [parseIp('10.0.1.10')], now)
    memory.apply([{ kind: 'block', id: 's2', value: { addresses: [] } }], [{ kind: 'block', id: 's1' }], false, now)
    expect([memory.free('s1'), memory.free('s2').map(ipText)]).toEqual([[], ['10.0.1.10']])
  })
})

describe('how often a client asked', () => {
  const asked = (mac: string, at = now) => memory.view(segment, at).asked(mac)
  it('counts until it is answered, and starts again after a pause', () => {
    for (let time = 0; time < 3; time++) memory.ask(me, now)
    expect([asked(me), asked(other)]).toEqual([3, 0])
    memory.tookAnother(me)
    memory.ask(me, now)
    expect(asked(me)).toBe(1)
    memory.ask(me, now + 30_000)
    expect(asked(me)).toBe(1)
  })
  it('remembers ten thousand clients, and never more than twice as many', () => {
    for (let client = 0; client < 20_001; client++) memory.ask(`client ${client}`, now)
    expect([asked('client 0'), asked('client 9999'), asked('client 10001'), asked('client 20000')]).toEqual([0, 0, 1, 1])
  })
})
