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
    memory.bound({ subnet: 's1', client: 'a', holder: null, address, expires: now, number: '8' }, 'a')
    memory.bound({ subnet: 's1', client: 'a', holder: null, address, expires: now, number: null }, 'a')
    expect(memory.holderOf('2001:db8:1::1:1')).toBeUndefined()
    memory.apply([numbered('b', '10')], [{ kind: 'retiring', id: '2001:db8:1::1:1' }], false, now)
    expect(memory.holderOf('2001:db8:1::1:1')).toBe('b')
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
