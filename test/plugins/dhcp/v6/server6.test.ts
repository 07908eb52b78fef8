/** What the server does with decisions: nothing is promised before it is stored, a refusal is followed by another address, and replies go where they belong. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../../core/log.ts'
import { Limits } from '../../../../plugins/dhcp/rack/limits.ts'
import type { Answer, Wish } from '../../../../plugins/dhcp/manifest.ts'
import type { Traffic } from '../../../../plugins/dhcp/rack/traffic.ts'
import { message6, option6 } from '../../../../plugins/dhcp/v6/codes6.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { Lulls } from '../../../../plugins/dhcp/v6/lulls.ts'
import { first6, has6 } from '../../../../plugins/dhcp/v6/options6.ts'
import { encode6, iasOf, statusOf } from '../../../../plugins/dhcp/v6/packet6.ts'
import { forwarded, unwrapReply } from '../../../../plugins/dhcp/v6/relay6.ts'
import type { Datagram6 } from '../../../../plugins/dhcp/v6/relay6.ts'
import { Server6 } from '../../../../plugins/dhcp/v6/server6.ts'
import { manualClock } from '../../../kit/clock.ts'
import { datagram, duidLl, me, memoryOf, message, now, relayed } from './build6.ts'
import type { Known6, Wire6 } from './build6.ts'

const holder = `${duidLl(me).toString('hex')}/00000001`
const yes: Answer = { stored: true, expires: null, number: '42', reason: null, quiet: false }
const no: Answer = { stored: false, expires: null, number: null, reason: 'taken', quiet: false }

let asked: { wish: Wish, settle: (answer: Answer | undefined) => void }[]
let sent: { reply: Datagram6, port: number, address: string }[]
let dropped: string[]
let reports: object[]
let server: Server6
let memory: ReturnType<typeof memoryOf>
let lulls: Pick<Lulls, 'count' | 'heard' | 'watch'>
function build (known: Known6 = {}, own: typeof lulls = { count: 0, heard: () => {}, watch: () => {} }): void {
  [asked, sent, dropped, reports] = [[], [], [], []]
  const traffic: Traffic = { received: () => {}, sent: () => {}, dropped: reason => { dropped.push(reason) }, bound: () => {} }
  memory = memoryOf(known)
  lulls = own
  server = new Server6({
    memory, limits: new Limits(), lulls, traffic, clock: manualClock(), log: createLogger('silent'), httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120,
    wishes: { ask: (wish, settle) => { asked.push({ wish, settle }) } }, report: (kind, body) => { reports.push({ kind, ...body }) }
  })
}
beforeEach(() => { build() })
const deliver = (data: Buffer, address = 'fe80::1234:5678:9abc:def0%eth0', port = 546) => { server.receive('eth0', data, (data, port, address) => { sent.push({ reply: unwrapReply(Buffer.from(data)), port, address }) }, address, port) }
const take = (wire: Wire6, ...relays: Parameters<typeof datagram>[1][]) => { deliver(forwarded(datagram(wire, ...relays))) }
const given = (index = 0) => iasOf(sent[index]?.reply.message.options ?? []).map(({ iaid, addresses, status }) => ({ iaid, addresses: addresses.map(({ address, valid }) => [ip6Text(address), valid]), ...status === undefined ? {} : { status: status.code } }))

describe('nothing is promised before it is stored', () => {
  it('an ADVERTISE asks nobody', () => {
    take({ type: 'SOLICIT', ias: [[1]] })
    expect(asked).toEqual([])
    expect(sent[0]?.reply.message.type).toBe(message6.ADVERTISE)
    expect([...first6(sent[0]?.reply.message.options ?? [], option6.preference) ?? []]).toEqual([255])
  })
  it('a REQUEST is answered when its binding is', () => {
    take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7']] })
    expect(sent).toEqual([])
    expect(asked[0]?.wish).toEqual({ address: '2001:db8:1::1:7', subnet: 's1', client: holder, clientId: holder, hostname: null, seconds: 600 })
    asked[0]?.settle(yes)
    expect(given()).toEqual([{ iaid: 1, addresses: [['2001:db8:1::1:7', 600]] }])
    expect(memory.bindingAt(parseIp6('2001:db8:1::1:7'))).toMatchObject({ client: holder, number: '42' })
  })
  it('and not at all when nobody knows, or another rack may have given it alone', () => {
    for (const answer of [undefined, { ...no, quiet: true }]) {
      take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7']] })
      asked.pop()?.settle(answer)
    }
    expect(sent).toEqual([])
    expect(dropped).toEqual(['unanswered', 'unanswered'])
  })
  it('two associations are answered when both are', () => {
    take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7'], [2, '2001:db8:1::1:8']] })
    asked[1]?.settle(yes)
    expect(sent).toEqual([])
    asked[0]?.settle(yes)
    expect(given()).toEqual([{ iaid: 1, addresses: [['2001:db8:1::1:7', 600]] }, { iaid: 2, addresses: [['2001:db8:1::1:8', 600]] }])
  })
  it('one that nobody answers for keeps the other from being promised', () => {
    take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7'], [2, '2001:db8:1::1:8']] })
    asked[0]?.settle(yes)
    asked[1]?.settle(undefined)
    expect(sent).toEqual([])
  })
  it('a REQUEST with nothing to store is answered at once', () => {
    take({ type: 'REQUEST', ias: [[1, '2001:db8:9::1']] })
    expect(given()).toEqual([{ iaid: 1, addresses: [], status: 4 }])
  })
})

describe('a refusal', () => {
  it('is followed by another address', () => {
    take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7']] })
    asked[0]?.settle(no)
    expect(sent).toEqual([])
    expect(asked[1]?.wish.address).not.toBe('2001:db8:1::1:7')
    asked[1]?.settle(yes)
    expect(given()).toEqual([{ iaid: 1, addresses: [[asked[1]?.wish.address, 600]] }])
  })
  it('of what the client holds takes it away in the same answer', () => {
    build({ bindings: [[holder, '2001:db8:1::1:7', 60]] })
    take({ type: 'REBIND', ias: [[1, '2001:db8:1::1:7']] })
    asked[0]?.settle(no)
    expect(memory.bindingAt(parseIp6('2001:db8:1::1:7'))).toBeUndefined()
    asked[1]?.settle(yes)
    expect(given()).toEqual([{ iaid: 1, addresses: [[asked[1]?.wish.address, 600], ['2001:db8:1::1:7', 0]] }])
  })
  it('four times over means that nothing can be given', () => {
    take({ type: 'REQUEST', ias: [[1]] })
    for (let time = 0; time < 4; time++) asked[time]?.settle(no)
    expect(asked).toHaveLength(4)
    expect(new Set(asked.map(({ wish }) => wish.address)).size).toBe(4)
    expect(given()).toEqual([{ iaid: 1, addresses: [], status: 2 }])
  })
})

describe('a flood of clients that nobody knows', () => {
  const ask = (number: number, ...relays: Parameters<typeof datagram>[1][]) => { take({ type: 'REQUEST', client: Buffer.from(`00020000000900${number.toString(16).padStart(6, '0')}`, 'hex'), ias: [[1]] }, ...relays) }
  it('is held to what the range allows; who is known is served', () => {
    build({ bindings: [[holder, '2001:db8:1::1:7', 60]] })
    for (let number = 0; number < 200; number++) ask(number)
    expect(asked).toHaveLength(128) // half of 256 at once
    expect(dropped.filter(reason => reason === 'starved')).toHaveLength(72)
    take({ type: 'REQUEST', ias: [[1]] })
    take({ type: 'RENEW', ias: [[1, '2001:db8:1::1:7']] })
    expect(asked.slice(128).map(({ wish }) => wish.client)).toEqual([holder, holder])
  })
  it('behind one port of a relay starves that port first', () => {
    build({ ranges: [['2001:db8:1::1:0', '2001:db8:1::1:ffff']] })
    const port = (name: string) => relayed({ link: '2001:db8:1::1', options: [{ code: option6.interfaceId, value: Buffer.from(name) }] })
    for (let number = 0; number < 150; number++) ask(number, port('7'))
    const held = asked.length
    expect(held).toBeLessThan(150)
    ask(1000, port('8'))
    expect(asked).toHaveLength(held + 1)
  })
  it('offers cost nothing, so they are not counted', () => {
    for (let number = 0; number < 200; number++) take({ type: 'SOLICIT', client: Buffer.from(`00020000000900${number.toString(16).padStart(6, '0')}`, 'hex'), ias: [[1]] })
    expect(sent).toHaveLength(200)
  })
})

describe('the last word of a client', () => {
  beforeEach(() => {
    build({ bindings: [[holder, '2001:db8:1::1:7', 60]] })
    take({ type: 'RENEW', ias: [[1, '2001:db8:1::1:7']] })
    asked.pop()?.settle(yes)
    sent.pop()
    lulls.count++
  })
  it('RELEASE is reported with the number of the binding, and acknowledged', () => {
    take({ type: 'RELEASE', ias: [[1, '2001:db8:1::1:7'], [2]] })
    expect(reports).toEqual([{ kind: 'released', address: '2001:db8:1::1:7', subnet: 's1', client: holder, number: '42' }])
    expect(statusOf(sent[0]?.reply.message.options ?? [])?.code).toBe(0)
    expect(given()).toEqual([{ iaid: 2, addresses: [], status: 3 }])
  })
  it('DECLINE sets the address aside: it is not given again', () => {
    take({ type: 'DECLINE', ias: [[1, '2001:db8:1::1:7']] })
    expect(reports).toMatchObject([{ kind: 'declined', number: '42' }])
    take({ type: 'REQUEST', ias: [[1, '2001:db8:1::1:7']] })
    expect(asked[0]?.wish.address).not.toBe('2001:db8:1::1:7')
  })
  it('of another client changes nothing', () => {
    take({ type: 'RELEASE', client: Buffer.from('0002000000090102', 'hex'), ias: [[1, '2001:db8:1::1:7']] })
    expect(reports).toEqual([])
    expect(given()).toEqual([{ iaid: 1, addresses: [], status: 3 }])
  })
})

describe.each([['RELEASE', 'released'], ['DECLINE', 'declined']] as const)('%s of a binding that this rack', (type, kind) => {
  const address = '2001:db8:1::1:7'
  const told = (number: string) => { memory.apply([{ kind: 'binding', id: address, value: { subnet: 's1', client: holder, clientId: holder, expires: new Date(now + 60_000).toISOString(), number } }], [], false, now) }
  const renewed = () => { take({ type: 'RENEW', ias: [[1, address]] }); asked.pop()?.settle(yes) } // as 42
  const lull = () => { lulls.count++ }
  it.each<[string, (() => void)[], string | undefined]>([
    ['was only told of: it may be about one before it', [lull], undefined],
    ['acknowledged, and read its sockets empty', [renewed, lull], '42'],
    ['acknowledged, when that came back to it', [renewed, lull, () => { told('42') }], '42'],
    ['acknowledged this very moment: it lay in the socket behind what was acknowledged', [lull, renewed], undefined],
    ['acknowledged before another rack did, and was told', [renewed, lull, () => { told('43') }], undefined],
    ['acknowledged, and cannot have been told yet that another rack did: it names its own, and the region knows better', [() => { told('41') }, renewed, lull], '42']
  ])('%s', (_what, steps, number) => {
    build({ bindings: [[holder, address, 60]] })
    for (const step of steps) step()
    sent.length = 0
    take({ type, ias: [[1, address]] })
    expect(reports).toEqual(number === undefined ? [] : [{ kind, address, subnet: 's1', client: holder, number }])
    expect(statusOf(sent[0]?.reply.message.options ?? [])?.code).toBe(0) // to the client all racks are one server
    if (number !== undefined) return
    take({ type: 'RENEW', ias: [[1, address]] })
    expect(asked.pop()?.wish.address).toBe(address) // the binding stands
  })
})

it('a word that comes when all has been quiet since the REPLY counts; one read in the same turn does not', async () => {
  const address = '2001:db8:1::1:7'
  build({}, new Lulls())
  take({ type: 'REQUEST', ias: [[1, address]] })
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => { setImmediate(resolve) }) // the region takes its time
  asked.pop()?.settle(yes)
  take({ type: 'RELEASE', ias: [[1, address]] })
  expect(reports).toEqual([])
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => { setImmediate(resolve) })
  take({ type: 'RELEASE', ias: [[1, address]] })
  expect(reports).toMatchObject([{ kind: 'released', number: '42' }])
})

describe('where replies go', () => {
  it('to the client\'s port and its link-local address, with the interface', () => {
    take({ type: 'INFORMATION-REQUEST' })
    expect(sent[0]).toMatchObject({ port: 546, address: 'fe80::1234:5678:9abc:def0%eth0' })
  })
  it('to a relay\'s port 547; to its own, where it says so (RFC 8357)', () => {
    take({ type: 'INFORMATION-REQUEST' }, relayed({ link: '2001:db8:1::1' }))
    deliver(forwarded(datagram({ type: 'INFORMATION-REQUEST' }, relayed({ link: '2001:db8:1::1', options: [{ code: option6.relayPort, value: Buffer.of(0, 0) }] }))), '2001:db8:1::1', 4711)
    expect(sent.map(({ port }) => port)).toEqual([547, 4711])
    expect(has6(sent[1]?.reply.relays[0]?.options ?? [], option6.relayPort)).toBe(true)
  })
  it('nowhere for a link that is not served', () => {
    take({ type: 'SOLICIT', ias: [[1]] }, relayed({ link: '2001:db8:9::1' }))
    server.receive('eth9', encode6(message({ type: 'SOLICIT', ias: [[1]] })), () => { throw new Error('nobody is answered') }, 'fe80::1%eth9', 546)
    expect(dropped).toEqual(['foreign-relay', 'no-segment'])
    expect(sent).toEqual([])
  })
})

describe('what is in a reply', () => {
  const asks = [option6.dnsServers, option6.domainSearch, option6.ntpServer, option6.sntpServers]
  it('what the client asks for, and no more', () => {
    take({ type: 'SOLICIT', ias: [[1]], asks })
    take({ type: 'SOLICIT', ias: [[1]] })
    const [all, none] = sent.map(({ reply }) => reply.message.options)
    expect(asks.map(code => first6(all ?? [], code)?.toString('hex'))).toEqual([
      parseIp6('2001:db8:1::53') + parseIp6('2001:db8:1::54'), `${'07'}${Buffer.from('example').toString('hex')}03${Buffer.from('org').toString('hex')}0003${Buffer.from('lab').toString('hex')}07${Buffer.from('example').toString('hex')}03${Buffer.from('org').toString('hex')}00`,
      `00010010${parseIp6('2001:db8:1::123')}`, parseIp6('2001:db8:1::123')
    ])
    expect(asks.some(code => has6(none ?? [], code))).toBe(false)
  })
  it('prefixes and temporary addresses are refused by name', () => {
    take({ type: 'SOLICIT', ias: [[1]], options: [{ code: option6.iaPd, value: Buffer.alloc(12, 1) }, { code: option6.iaTa, value: Buffer.alloc(4, 2) }] })
    const options = sent[0]?.reply.message.options ?? []
    expect(first6(options, option6.iaPd)?.toString('hex', 0, 18)).toBe(`01010101${'00'.repeat(8)}000d${'00'}${first6(options, option6.iaPd)?.toString('hex', 15, 16)}0006`)
    expect(first6(options, option6.iaTa)?.toString('hex', 0, 10)).toMatch(/^02020202000d00..0002$/)
  })
  it('T1 and T2 are half and four fifths of the lease', () => {
    take({ type: 'SOLICIT', ias: [[1]] })
    expect(iasOf(sent[0]?.reply.message.options ?? [])[0]).toMatchObject({ t1: 300, t2: 480 })
  })
  it('an INFORMATION-REQUEST is told when to ask again, ten minutes at least', () => {
    build({ leaseSeconds: 60 })
    take({ type: 'INFORMATION-REQUEST', client: null })
    expect(first6(sent[0]?.reply.message.options ?? [], option6.refreshTime)?.readUInt32BE(0)).toBe(600)
    expect(has6(sent[0]?.reply.message.options ?? [], option6.clientId)).toBe(false)
  })
  it('the name a client asks for is kept with its binding', () => {
    take({ type: 'REQUEST', ias: [[1]], options: [{ code: option6.clientName, value: Buffer.concat([Buffer.of(0, 5), Buffer.from('Node1'), Buffer.of(0)]) }] })
    expect(asked[0]?.wish.hostname).toBe('node1')
  })
})
