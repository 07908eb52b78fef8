/** RFC 8415 section 18.3 as tables: what is done about each message, by which rack, with which address. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holderOf } from '../../../../plugins/dhcp/v6/address6.ts'
import { decide6, second6 } from '../../../../plugins/dhcp/v6/decision6.ts'
import type { Decision6, Plan6 } from '../../../../plugins/dhcp/v6/decision6.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { datagram, duidLl, me, memoryOf, now, opaque, other, relayed, segment6Entry, theirs, viewOf } from './build6.ts'
import type { Known6, Wire6 } from './build6.ts'
import type { Relay6 } from '../../../../plugins/dhcp/v6/relay6.ts'

const holder = holderOf(duidLl(me).toString('hex'), 1)
const theirHolder = holderOf(duidLl(other).toString('hex'), 1)
const decide = (known: Known6, wire: Wire6, relays: Relay6[] = [], source = opaque): Decision6 => decide6(viewOf(known), datagram(wire, ...relays), source, now)
const shown = (plan: Plan6) => ({ address: plan.give && ip6Text(plan.give.address), client: plan.give?.client, ...plan.give === undefined && plan.status !== undefined ? { status: plan.status } : {}, ...plan.gone.length === 0 ? {} : { gone: plan.gone.map(ip6Text) } })
const plans = (decision: Decision6) => decision.kind === 'lease' ? decision.plans.map(shown) : decision
const only = (decision: Decision6) => { const all = plans(decision); return Array.isArray(all) ? all[0] : all }
const dropped = (reason: string) => ({ kind: 'drop', reason })
const hashed = '2001:db8:1::1:95' // what `holder` gets in an empty range; the same on every rack and after every restart
const range = /^2001:db8:1::1:[0-9a-f]{1,2}$/

describe('which messages are valid (section 16)', () => {
  it.each<[string, Wire6, object]>([
    ['a SOLICIT without a client id', { type: 'SOLICIT', client: null, ias: [[1]] }, dropped('no-client')],
    ['a SOLICIT with a server id', { type: 'SOLICIT', server: Buffer.from(theirs), ias: [[1]] }, dropped('other-server')],
    ['a REQUEST to another server', { type: 'REQUEST', server: theirs, ias: [[1]] }, dropped('other-server')],
    ['a REQUEST to no server', { type: 'REQUEST', server: null, ias: [[1]] }, dropped('server-id')],
    ['a RENEW to no server', { type: 'RENEW', server: null, ias: [[1]] }, dropped('server-id')],
    ['a RELEASE to no server', { type: 'RELEASE', server: null, ias: [[1]] }, dropped('server-id')],
    ['a DECLINE to another server', { type: 'DECLINE', server: theirs, ias: [[1]] }, dropped('other-server')],
    ['an ADVERTISE', { type: 'ADVERTISE' }, dropped('not-a-request')],
    ['a REPLY', { type: 'REPLY' }, dropped('not-a-request')],
    ['a RECONFIGURE', { type: 'RECONFIGURE' }, dropped('not-a-request')],
    ['an INFORMATION-REQUEST that speaks of addresses', { type: 'INFORMATION-REQUEST', ias: [[1]] }, dropped('incomplete')],
    ['an INFORMATION-REQUEST to another server', { type: 'INFORMATION-REQUEST', server: theirs }, dropped('other-server')],
    ['a CONFIRM without an address', { type: 'CONFIRM', ias: [[1]] }, dropped('incomplete')]
  ])('%s is dropped', (_, wire, expected) => { expect(decide({}, wire)).toEqual(expected) })
  it('a CONFIRM, REBIND or SOLICIT that names this server is dropped as well', () => {
    for (const type of ['SOLICIT', 'CONFIRM', 'REBIND'] as const) expect(decide({}, { type, server: Buffer.from('00046f0f5a521b7e4d0e9d510a1b2c3d4e5f', 'hex'), ias: [[1, hashed]] })).toEqual(dropped('server-id'))
  })
})

describe('which address', () => {
  it.each<[string, Known6, Wire6, object]>([
    ['nothing known: by the hash', {}, { type: 'SOLICIT', ias: [[1]] }, { address: hashed, client: holder }],
    ['the same in a REQUEST, from whatever rack', { rank: 1, asked: ['', ''] }, { type: 'REQUEST', elapsed: 200, ias: [[1, hashed]] }, { address: hashed, client: holder }],
    ['the one it asks for, when it is free', {}, { type: 'SOLICIT', ias: [[1, '2001:db8:1::1:7']] }, { address: '2001:db8:1::1:7', client: holder }],
    ['not the one it asks for, when somebody has it', { bindings: [[theirHolder, '2001:db8:1::1:7', 60]] }, { type: 'SOLICIT', ias: [[1, '2001:db8:1::1:7']] }, { address: hashed, client: holder }],
    ['not the one it asks for, when somebody had it and others are free', { bindings: [[theirHolder, '2001:db8:1::1:7', -7200]] }, { type: 'SOLICIT', ias: [[1, '2001:db8:1::1:7']] }, { address: hashed, client: holder }],
    ['not one outside the range', {}, { type: 'SOLICIT', ias: [[1, '2001:db8:1::5']] }, { address: hashed, client: holder }],
    ['not one that is a rack\'s own', { taken: ['2001:db8:1::1:7'] }, { type: 'SOLICIT', ias: [[1, '2001:db8:1::1:7']] }, { address: hashed, client: holder }],
    ['the one it has', { bindings: [[holder, '2001:db8:1::1:3', 60]] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::1:3', client: holder }],
    ['the one it had', { bindings: [[holder, '2001:db8:1::1:3', -60]] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::1:3', client: holder }],
    ['not one it had outside the range', { bindings: [[holder, '2001:db8:1::3', -60]] }, { type: 'SOLICIT', ias: [[1]] }, { address: hashed, client: holder }],
    ['the one set aside for its MAC, under the MAC', { hosts: [[me, '2001:db8:1::20']], bindings: [[holder, '2001:db8:1::1:3', 60]] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::20', client: me }],
    ['the one set aside for its DUID', { hosts: [[`id:${duidLl(me).toString('hex')}`, '2001:db8:1::21'], [me, '2001:db8:1::20']] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::21', client: `id:${duidLl(me).toString('hex')}` }],
    ['not one set aside for another', { hosts: [[other, hashed]] }, { type: 'SOLICIT', ias: [[1, hashed]] }, { address: expect.stringMatching(range), client: holder }],
    ['the one set aside, though the firmware of the machine holds it', { hosts: [[me, '2001:db8:1::20']], bindings: [[me, '2001:db8:1::20', 60, '000400112233/00000001']] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::20', client: me }],
    ['not the one set aside, while another interface of the same system holds it', { hosts: [[me, '2001:db8:1::20']], bindings: [[me, '2001:db8:1::20', 60, holderOf(duidLl(me).toString('hex'), 2)]] }, { type: 'SOLICIT', ias: [[1]] }, { address: hashed, client: holder }],
    ['none of a range that is full', { ranges: [['2001:db8:1::1:0', '2001:db8:1::1:1']], bindings: [['x', '2001:db8:1::1:0', 60], ['y', '2001:db8:1::1:1', 60]] }, { type: 'SOLICIT', ias: [[1]] }, { status: 'NoAddrsAvail' }],
    ['one that lapsed, when nothing else is left', { ranges: [['2001:db8:1::1:0', '2001:db8:1::1:1']], bindings: [['x', '2001:db8:1::1:0', 60], ['y', '2001:db8:1::1:1', -61]] }, { type: 'SOLICIT', ias: [[1]] }, { address: '2001:db8:1::1:1', client: holder }],
    ['none without a range', { ranges: [] }, { type: 'SOLICIT', ias: [[1]] }, { status: 'NoAddrsAvail' }],
    ['none where addresses are not given', { mode: 'stateless' }, { type: 'SOLICIT', ias: [[1]] }, { status: 'NoAddrsAvail' }],
    ['NotOnLink for a REQUEST of another link\'s', {}, { type: 'REQUEST', ias: [[1, '2001:db8:9::1']] }, { status: 'NotOnLink' }]
  ])('%s', (_, known, wire, expected) => {
    const plan = only(decide(known, wire)) as Record<string, unknown>
    expect({ ...plan, ...(plan.address === undefined ? { address: undefined, client: undefined } : {}) }).toEqual({ address: undefined, client: undefined, ...expected })
  })

  it('each association gets its own, and none twice', () => {
    const all = plans(decide({ hosts: [[me, '2001:db8:1::20']] }, { type: 'REQUEST', ias: [[1], [2], [3, '2001:db8:1::1:7'], [4, '2001:db8:1::1:7']] })) as { address: string }[]
    expect(all[0]?.address).toBe('2001:db8:1::20')
    expect(all[2]?.address).toBe('2001:db8:1::1:7')
    expect(new Set(all.map(({ address }) => address)).size).toBe(4)
  })

  it('a range of 256 is given out to the last one, and every client has the same place on every rack', () => {
    const bindings: [string, string, number][] = []
    for (let number = 0; number < 256; number++) {
      const client = Buffer.from(`0002000000090${number.toString(16).padStart(3, '0')}`, 'hex')
      const [first, second] = [0, 3].map(rank => only(decide({ bindings, rank }, { type: 'SOLICIT', client, elapsed: 999, ias: [[1]] })) as { address: string })
      expect(first?.address).toMatch(range)
      expect(second).toEqual(first)
      bindings.push([holderOf(client.toString('hex'), 1), first?.address ?? '', 60])
    }
    expect(new Set(bindings.map(([, address]) => address)).size).toBe(256)
    expect(only(decide({ bindings }, { type: 'SOLICIT', ias: [[1]] }))).toMatchObject({ status: 'NoAddrsAvail' })
  })

  it('a range of 2^64 addresses, one of one, and several ranges: always inside', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 40 }), fc.constantFrom<(readonly [string, string])[]>([['2001:db8:1::', '2001:db8:1:0:ffff:ffff:ffff:ffff']], [['2001:db8:1::9', '2001:db8:1::9']], [['2001:db8:1::9', '2001:db8:1::a'], ['2001:db8:1::100', '2001:db8:1::fff']]), (client, ranges) => {
      const { address } = only(decide({ ranges }, { type: 'SOLICIT', client: Buffer.from(client), ias: [[1]] })) as { address: string }
      expect(ranges.some(([low, high]) => parseIp6(address) >= parseIp6(low) && parseIp6(address) <= parseIp6(high))).toBe(true)
    }), { numRuns: 300, seed: 1 })
  })
})

describe('which machine it is', () => {
  const hosts: Known6['hosts'] = [[me, '2001:db8:1::20']]
  const uuid = Buffer.from('000400112233445566778899aabbccddeeff', 'hex')
  const address = (wire: Partial<Wire6>, relays: Relay6[] = [], source = opaque) => (only(decide({ hosts }, { type: 'SOLICIT', ias: [[1]], ...wire }, relays, source)) as { address: string }).address
  it('by its DUID of the kind LL', () => { expect(address({})).toBe('2001:db8:1::20') })
  it('by its DUID of the kind LLT', () => { expect(address({ client: Buffer.from(`0001000129f5c0de${me.replaceAll(':', '')}`, 'hex') })).toBe('2001:db8:1::20') })
  it('by the link-local address it sends from', () => { expect(address({ client: uuid }, [], parseIp6('fe80::5054:ff:fe00:1'))).toBe('2001:db8:1::20') })
  it('by what the nearest relay saw (RFC 6939), whatever the others say', () => {
    const seen = (mac: string) => ({ code: 79, value: Buffer.from(`0001${mac.replaceAll(':', '')}`, 'hex') })
    expect(address({ client: uuid }, [relayed({ link: '2001:db8:1::1', options: [seen(me)] })])).toBe('2001:db8:1::20')
    expect(address({ client: uuid }, [relayed({ options: [seen(other)] }), relayed({ link: '2001:db8:1::1', options: [seen(me)] })])).toBe('2001:db8:1::20')
    expect(address({}, [relayed({ link: '2001:db8:1::1', options: [seen(other)] })])).not.toBe('2001:db8:1::20')
  })
  it('by the link-local address the relay had it from', () => { expect(address({ client: uuid }, [relayed({ link: '2001:db8:1::1', peer: 'fe80::5054:ff:fe00:1' })], parseIp6('2001:db8:1::1'))).toBe('2001:db8:1::20') })
  it('the interface\'s MAC goes before the one in the DUID, which may be another interface\'s', () => { expect(address({}, [], parseIp6('fe80::5054:ff:fe00:2'))).not.toBe('2001:db8:1::20') })
  it('not at all by a UUID alone', () => { expect(address({ client: uuid })).toMatch(range) })
})

describe('which rack answers', () => {
  const asks: Wire6 = { type: 'SOLICIT', ias: [[1]] }
  const duid = duidLl(me).toString('hex')
  it.each<[string, Known6, Wire6, string]>([
    ['the first at once', { rank: 0 }, asks, 'lease'],
    ['the second not at once', { rank: 1 }, asks, 'drop'],
    ['the second after a second by the client\'s account', { rank: 1 }, { ...asks, elapsed: 100 }, 'lease'],
    ['the third not yet', { rank: 2 }, { ...asks, elapsed: 100 }, 'drop'],
    ['the third after two', { rank: 2 }, { ...asks, elapsed: 200 }, 'lease'],
    ['the second when a client that counts no time asks again', { rank: 1, asked: [duid, duid] }, asks, 'lease'],
    ['nobody else\'s asking counts', { rank: 1, asked: ['00', '00'] }, asks, 'drop'],
    ['a REQUEST goes by the same turn', { rank: 1 }, { type: 'REQUEST', ias: [[1]] }, 'drop'],
    ['a CONFIRM too', { rank: 1 }, { type: 'CONFIRM', ias: [[1, hashed]] }, 'drop'],
    ['an INFORMATION-REQUEST too', { rank: 1 }, { type: 'INFORMATION-REQUEST' }, 'drop'],
    ['a RENEW is answered by every rack', { rank: 3 }, { type: 'RENEW', ias: [[1, hashed]] }, 'lease'],
    ['a REBIND as well', { rank: 3 }, { type: 'REBIND', ias: [[1, hashed]] }, 'lease'],
    ['and a RELEASE', { rank: 3 }, { type: 'RELEASE', ias: [[1, hashed]] }, 'end']
  ])('%s', (_, known, wire, kind) => { expect(decide(known, wire).kind).toBe(kind) })
})

describe('rapid commit', () => {
  const rapid = [{ code: 14, value: Buffer.alloc(0) }]
  it('a SOLICIT with it is a REPLY at once', () => { expect(decide({}, { type: 'SOLICIT', ias: [[1]], options: rapid })).toMatchObject({ kind: 'lease', type: 'REPLY', rapid: true }) })
  it('where nothing can be given there is an ADVERTISE that says so', () => { expect(decide({ ranges: [] }, { type: 'SOLICIT', ias: [[1]], options: rapid })).toMatchObject({ kind: 'lease', type: 'ADVERTISE', rapid: false }) })
  it('in other messages it means nothing', () => { expect(decide({}, { type: 'REQUEST', ias: [[1]], options: rapid })).toMatchObject({ type: 'REPLY', rapid: false }) })
})

describe('RENEW and REBIND', () => {
  it.each(['RENEW', 'REBIND'] as const)('%s', type => {
    const extend = (known: Known6, ...addresses: string[]) => only(decide(known, { type, ias: [[1, ...addresses]] }))
    expect(extend({ bindings: [[holder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:3'), 'its own').toEqual({ address: '2001:db8:1::1:3', client: holder })
    expect(extend({}, '2001:db8:1::1:3'), 'one this rack knows nothing of: the region tells').toEqual({ address: '2001:db8:1::1:3', client: holder })
    expect(extend({ bindings: [[theirHolder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:3'), 'somebody else\'s: gone, and another').toEqual({ address: hashed, client: holder, gone: ['2001:db8:1::1:3'] })
    expect(extend({}, '2001:db8:9::1'), 'one of another link: gone, and another').toEqual({ address: hashed, client: holder, gone: ['2001:db8:9::1'] })
    expect(extend({ ranges: [] }, '2001:db8:9::1'), 'nothing else to give').toEqual({ address: undefined, client: undefined, gone: ['2001:db8:9::1'] })
    expect(extend({ bindings: [[holder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:4', '2001:db8:1::1:3'), 'one association, one address').toEqual({ address: '2001:db8:1::1:3', client: holder, gone: ['2001:db8:1::1:4'] })
    expect(extend({}), 'an association without an address gets one').toEqual({ address: hashed, client: holder })
    expect(extend({ hosts: [[me, '2001:db8:1::20']], bindings: [[me, '2001:db8:1::20', 60, holder]] }, '2001:db8:1::20'), 'one set aside').toEqual({ address: '2001:db8:1::20', client: me })
    expect(extend({ hosts: [[other, '2001:db8:1::1:3']], bindings: [[holder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:3'), 'one that was set aside for another since').toEqual({ address: hashed, client: holder, gone: ['2001:db8:1::1:3'] })
    expect(extend({ hosts: [[me, '2001:db8:1::20']], bindings: [[holder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:3'), 'the old one, until it next asks anew').toEqual({ address: '2001:db8:1::1:3', client: holder })
    expect(extend({ ranges: [], bindings: [[holder, '2001:db8:1::1:3', 60]] }, '2001:db8:1::1:3'), 'a range that was removed').toEqual({ address: '2001:db8:1::1:3', client: holder })
    expect(extend({ mode: 'stateless' }, '2001:db8:1::1:3'), 'no addresses any more').toEqual({ address: undefined, client: undefined, status: 'NoBinding' })
  })
})

describe('CONFIRM, RELEASE, DECLINE, INFORMATION-REQUEST', () => {
  it('CONFIRM: whether every address is of this link', () => {
    expect(decide({}, { type: 'CONFIRM', ias: [[1, '2001:db8:1::77', '2001:db8:2::1']] })).toMatchObject({ kind: 'confirm', onLink: true })
    expect(decide({}, { type: 'CONFIRM', ias: [[1, '2001:db8:1::77'], [2, '2001:db8:9::1']] })).toMatchObject({ kind: 'confirm', onLink: false })
  })
  it.each([['RELEASE', 'released'], ['DECLINE', 'declined']] as const)('%s counts only for what the client holds', (type, ended) => {
    const decision = decide({ bindings: [[holder, '2001:db8:1::1:3', 60], [theirHolder, '2001:db8:1::1:4', 60]] }, { type, ias: [[1, '2001:db8:1::1:3', '2001:db8:1::1:4'], [2, '2001:db8:1::1:4']] })
    expect(decision).toMatchObject({ kind: 'end', ended, unbound: [2] })
    expect(decision.kind === 'end' && decision.bindings.map(({ address, client }) => [ip6Text(address), client])).toEqual([['2001:db8:1::1:3', holder]])
  })
  it('INFORMATION-REQUEST: from anybody', () => { expect(decide({ mode: 'stateless' }, { type: 'INFORMATION-REQUEST', client: null })).toMatchObject({ kind: 'inform' }) })
})

describe('relays', () => {
  it('the link nearest to the client says which subnet', () => {
    const ranges = [['2001:db8:1::1:0', '2001:db8:1::1:ff']] as const
    const choice = (relays: Relay6[]) => decide({ ranges }, { type: 'SOLICIT', ias: [[1]] }, relays)
    expect(choice([relayed({ link: '2001:db8:2::1' })])).toMatchObject({ subnets: [{ id: 's2' }, { id: 's1' }] })
    expect(choice([relayed({ link: '2001:db8:2::1' }), relayed({ link: '2001:db8:1::1' })])).toMatchObject({ subnets: [{ id: 's1' }, { id: 's2' }] })
    expect(choice([relayed({ link: '2001:db8:2::1' }), relayed()])).toMatchObject({ subnets: [{ id: 's2' }, { id: 's1' }] })
    expect(choice([relayed({ link: '2001:db8:9::1' })])).toEqual(dropped('foreign-relay'))
    expect(choice([relayed({ link: 'fe80::1' })])).toMatchObject({ kind: 'lease' })
  })
})

describe('a VLAN behind relays', () => {
  const known = memoryOf()
  const far = segment6Entry({ ranges: [['2001:db8:1::1:0', '2001:db8:1::1:ff']] })
  known.apply([{ kind: 'segment6', id: '5', value: { ...far, subnets: [...far.subnets, { ...far.subnets[0]!, id: 's9', cidr: '2001:db8:9::/64', link: '9', dynamic: [{ start: '2001:db8:9::1:0', end: '2001:db8:9::1:ff' }] }] } }], [], true, now)
  const [segment] = known.segments.values()
  const subnets = (...relays: Relay6[]) => { const decision = decide6(known.view(segment!, now), datagram({ type: 'SOLICIT', ias: [[1]] }, ...relays), opaque, now); return decision.kind === 'lease' ? decision.subnets.map(({ id }) => id) : decision }
  it('has clients of its own: nobody gets an address of another link', () => {
    expect(subnets()).toEqual(['s1', 's2'])
    expect(subnets(relayed({ link: 'fe80::1' }))).toEqual(['s1', 's2'])
    expect(subnets(relayed({ link: '2001:db8:2::1' }))).toEqual(['s2', 's1'])
    expect(subnets(relayed({ link: '2001:db8:9::1' }))).toEqual(['s9'])
    expect(subnets(relayed({ link: '2001:db8:8::1' }))).toEqual(dropped('foreign-relay'))
  })
})

describe('a choice the region refuses', () => {
  it('is followed by another; what the client believed to have is gone', () => {
    const known: Known6 = { bindings: [['x', hashed, 60]] }
    const view = viewOf(known)
    const decision = decide({}, { type: 'RENEW', ias: [[1, hashed]] })
    if (decision.kind !== 'lease') throw new Error('a lease')
    const next = second6(view, decision.subnets, decision.plans[0]!, now, new Set())
    expect(shown(next)).toEqual({ address: expect.stringMatching(range), client: holder, gone: [hashed] })
    expect(shown(next).address).not.toBe(hashed)
    expect(shown(second6(viewOf({ ...known, ranges: [] }), decision.subnets.map(subnet => ({ ...subnet, size: 0n, dynamic: [] })), decision.plans[0]!, now, new Set()))).toEqual({ address: undefined, client: undefined, gone: [hashed] })
  })
})
