/** What a rack knows of IPv6: wanted state in and out, whole or by its changes; what cannot be read changes nothing. */
import { describe, expect, it } from 'vitest'
import type { WantedEntry } from '../../../../plugins/dhcp/manifest.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { isOf6, Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { me, memoryOf, now, other, segment6Entry } from './build6.ts'

const binding = (client: string, id: string): WantedEntry => ({ kind: 'binding', id, value: { subnet: 's1', client, clientId: null, expires: new Date(now + 60_000).toISOString(), number: '7' } })
const host = (client: string, id: string): WantedEntry => ({ kind: 'host', id, value: { subnet: 's1', client, hostname: null } })
const view = (memory: Memory6) => { const segment = memory.segments.get('5'); if (segment === undefined) throw new Error('there is a segment'); return memory.view(segment, now) }

describe('wanted state', () => {
  it('bindings and hosts are found by address and by whose they are, and go again', () => {
    const memory = memoryOf({ hosts: [[me, '2001:db8:1::20']], bindings: [['a', '2001:db8:1::1:1', 60], ['a', '2001:db8:1::1:2', 60]] })
    expect(view(memory).hosts(me).map(({ address }) => ip6Text(address))).toEqual(['2001:db8:1::20'])
    expect(view(memory).bindings('a')).toHaveLength(2)
    memory.apply([binding('b', '2001:db8:1:0::1:1')], [{ kind: 'host', id: '2001:db8:1::20' }], false, now)
    expect(view(memory).bindingAt(parseIp6('2001:db8:1::1:1'))?.client).toBe('b')
    expect(view(memory).bindings('a').map(({ address }) => ip6Text(address))).toEqual(['2001:db8:1::1:2'])
    expect(view(memory).hosts(me)).toEqual([])
    memory.apply([], [{ kind: 'binding', id: '2001:db8:1::1:2' }], false, now)
    expect(view(memory).bindings('a')).toEqual([])
    memory.apply([{ kind: 'segment6', id: '5', value: segment6Entry() }], [], true, now)
    expect(view(memory).bindingAt(parseIp6('2001:db8:1::1:1'))).toBeUndefined()
    memory.apply([], [{ kind: 'segment6', id: '5' }], false, now)
    expect(memory.segments.size).toBe(0)
  })
  it('what is of IPv4 is passed over', () => {
    const memory = new Memory6()
    memory.apply([host(me, '10.0.0.1'), binding(me, '10.0.0.2'), { kind: 'block', id: 's1', value: { addresses: ['10.0.0.3'] } }], [{ kind: 'host', id: '10.0.0.9' }], true, now)
    expect(memory.bindingAt(parseIp6('::'))).toBeUndefined()
    expect([{ kind: 'host' as const, id: '10.0.0.1' }, { kind: 'segment' as const, id: '1' }, { kind: 'options' as const, id: 'mac:02:00:00:00:00:01' }, { kind: 'options' as const, id: 'global' }].some(isOf6)).toBe(false)
    expect([{ kind: 'host' as const, id: '::1' }, { kind: 'binding' as const, id: '2001:db8::1' }, { kind: 'segment6' as const, id: '1' }].every(isOf6)).toBe(true)
  })
  it('an entry that cannot be read throws before anything has changed', () => {
    const memory = memoryOf({ hosts: [[me, '2001:db8:1::20']] })
    expect(() => { memory.apply([host(other, '2001:db8:1::21'), binding(other, 'no:address')], [{ kind: 'host', id: '2001:db8:1::20' }], false, now) }).toThrow('no:address')
    expect(view(memory).hosts(me)).toHaveLength(1)
    expect(view(memory).hosts(other)).toHaveLength(0)
  })
})

describe('a retirement', () => {
  const address = parseIp6('2001:db8:1::1:1')
  const numbered = (client: string, number: string): WantedEntry => ({ kind: 'binding', id: '2001:db8:1::1:1', value: { subnet: 's1', client, clientId: null, expires: new Date(now + 60_000).toISOString(), number } })
  it('ends what was bound before it, also when that comes late; what is bound after it counts', () => {
    const memory = memoryOf()
    memory.apply([numbered('a', '7')], [], false, now)
    expect([memory.holderOf('2001:db8:1:0::1:1'), memory.numberOf('2001:db8:1::1:1')]).toEqual(['a', '7'])
    memory.apply([{ kind: 'retiring', id: '2001:db8:1::1:1', value: { subnet: 's1', round: '9' } }], [], false, now)
    expect(memory.holderOf('2001:db8:1::1:1')).toBeUndefined()
    memory.bound({ subnet: 's1', client: 'a', holder: null, address, expires: now, number: '8' }, 'a', 0)
    memory.bound({ subnet: 's1', client: 'a', holder: null, address, expires: now, number: null }, 'a', 0)
    expect(memory.holderOf('2001:db8:1::1:1')).toBeUndefined()
    memory.apply([numbered('b', '10')], [{ kind: 'retiring', id: '2001:db8:1::1:1' }], false, now)
    expect(memory.holderOf('2001:db8:1::1:1')).toBe('b')
  })
})

describe('the act of binding a word can be about', () => {
  const address = parseIp6('2001:db8:1::1:1')
  const id = '2001:db8:1::1:1'
  const numbered = (number: string, client = 'a'): WantedEntry => ({ kind: 'binding', id, value: { subnet: 's1', client, clientId: null, expires: new Date(now + 60_000).toISOString(), number } })
  const given = (number: string | null, lulls: number) => (memory: Memory6) => { memory.bound({ subnet: 's1', client: 'a', holder: null, address, expires: now + 60_000, number }, 'a', lulls) }
  const told = (entry: WantedEntry, whole = false) => (memory: Memory6) => { memory.apply([entry], [], whole, now) }
  it.each<[string, ((memory: Memory6) => void)[], string | undefined]>([
    ['none where it was only told', [told(numbered('7'))], undefined],
    ['its own', [told(numbered('7')), given('8', 0)], '8'],
    ['none while its sockets may still hold what came before', [given('8', 1)], undefined],
    ['its own, come back', [given('8', 0), told(numbered('8'))], '8'],
    ['its own, come back with the whole', [given('8', 0), told(numbered('8'), true)], '8'],
    ['its own, when an older one is told late', [given('8', 0), told(numbered('7'))], '8'],
    ['its last', [given('8', 0), given('9', 0)], '9'],
    ['its last, and that not yet', [given('8', 0), given('9', 1)], undefined],
    ['none when another rack bound it since', [given('8', 0), told(numbered('9'))], undefined],
    ['none when another rack bound it since, and the news of that came first', [told(numbered('9')), given('8', 0)], undefined],
    ['none when it is somebody else\'s since', [given('8', 0), told(numbered('9', 'b'))], undefined],
    ['none of a lease that has no number', [given(null, 0)], undefined],
    ['none when the binding is gone', [given('8', 0), memory => { memory.apply([], [{ kind: 'binding', id }], false, now) }, told(numbered('8'))], undefined],
    ['none when the whole is without it', [given('8', 0), told(numbered('8', 'b'), true)], undefined],
    ['none when it was retired', [given('8', 0), told({ kind: 'retiring', id, value: { subnet: 's1', round: '9' } })], undefined],
    ['the same for a word that comes twice', [given('8', 0), memory => { memory.released(address, now) }], '8']
  ])('%s', (_what, steps, expected) => {
    const memory = memoryOf()
    for (const step of steps) step(memory)
    expect(memory.given(address, 1)).toBe(expected)
  })
})

describe('what it learns by itself', () => {
  it('a refused address is not tried for that client for a minute', () => {
    const memory = memoryOf({ bindings: [['a', '2001:db8:1::1:1', 60]] })
    const address = parseIp6('2001:db8:1::1:1')
    memory.refused(address, 'a', now)
    const [segment] = memory.segments.values()
    expect(memory.bindingAt(address)).toBeUndefined()
    expect([now, now + 59_999, now + 60_000].map(time => memory.view(segment!, time).refused(address, 'a'))).toEqual([true, true, false])
    expect(memory.view(segment!, now).refused(address, 'b')).toBe(false)
  })
  it('a released address stays its client\'s; a declined one is nobody\'s until its time is over', () => {
    const memory = memoryOf({ bindings: [['a', '2001:db8:1::1:1', 60]] })
    const address = parseIp6('2001:db8:1::1:1')
    memory.released(address, now)
    expect(memory.bindingAt(address)).toMatchObject({ client: 'a', expires: now })
    memory.declined(address, now + 1000, now)
    expect(memory.bindingAt(address)).toBeUndefined()
    const [segment] = memory.segments.values()
    expect([now, now + 1000].map(time => memory.view(segment!, time).quarantined(address))).toEqual([true, false])
  })
  it('questions are counted until half a minute of silence, and for 10,000 clients at most', () => {
    const memory = memoryOf()
    const [segment] = memory.segments.values()
    const count = (duid: string) => memory.view(segment!, now).asked(duid)
    memory.ask('a', now)
    memory.ask('a', now + 29_999)
    expect(count('a')).toBe(2)
    memory.ask('a', now + 59_999)
    expect(count('a')).toBe(1)
    for (let number = 0; number < 10_000; number++) memory.ask(`b${number}`, now)
    expect(count('a')).toBe(0)
    expect(count('b9999')).toBe(1)
  })
  it('the segment of a message is the one that holds the relay\'s link, else that of the interface', () => {
    const memory = memoryOf()
    const far = segment6Entry({ interface: 'eth1' })
    memory.apply([{ kind: 'segment6', id: '6', value: { ...far, subnets: far.subnets.slice(0, 1).map(subnet => ({ ...subnet, cidr: '2001:db8:6::/64', dynamic: [] })) } }], [], false, now)
    expect(memory.segmentFor('eth0', undefined)?.vlan).toBe('5')
    expect(memory.segmentFor('eth1', undefined)?.vlan).toBe('6')
    expect(memory.segmentFor('eth0', parseIp6('2001:db8:6::1'))?.vlan).toBe('6')
    expect(memory.segmentFor('eth2', undefined)).toBeUndefined()
  })
})
