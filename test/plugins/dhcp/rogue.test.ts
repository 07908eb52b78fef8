/** Foreign servers: the probe, what a frame says, and who was heard. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { clientIdOf } from '../../../plugins/dhcp/options/client.ts'
import { messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, u8 } from '../../../plugins/dhcp/options/values.ts'
import { broadcastFlag, decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import { isOurProbe, probeFrame, proberOf, readWord, Rogues, rogueSentence } from '../../../plugins/dhcp/watch/rogue.ts'
import type { Segment } from '../../../plugins/dhcp/v4/segment.ts'
import { createWatch } from '../../../plugins/dhcp/watch/watch.ts'
import { systemClock } from '../../../core/clock.ts'
import { manualClock } from '../../kit/clock.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { quiet } from '../../kit/parts.ts'
import { until } from '../../kit/wait.ts'
import { packetOf, segmentWith } from './build.ts'
import { openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

const segment: Segment = { ...segmentWith(), peers: [parseIp('10.0.0.3')] }
const mac = '52:54:00:00:00:99'

/** What a server's OFFER looks like on the wire. */
function frameOf ({ type = 'OFFER' as keyof typeof messageType, server = '10.0.0.66', op = 2, port = 68, from = '10.0.0.66' } = {}): Buffer {
  const data = encode({ ...packetOf({ mac: '52:54:00:00:00:01' }), op, yiaddr: parseIp('10.0.0.150'), options: new Map([[option.messageType, u8(messageType[type])], ...server === '' ? [] : [[option.serverId, ip(parseIp(server))] as const]]) })
  const frame = probeFrame(mac, 0, 1).subarray(0, 42)
  const whole = Buffer.concat([frame, data])
  whole.writeUInt32BE(parseIp(from), 26)
  whole.writeUInt16BE(port, 36)
  whole.writeUInt16BE(8 + data.length, 38)
  return whole
}

describe('the probe', () => {
  const frame = probeFrame(mac, parseIp('10.0.0.2'), 0xabcd)
  const packet = decode(frame.subarray(42))
  it('is a broadcast DISCOVER of a client with the interface\'s own MAC, whose answer everybody hears', () => {
    expect(frame.toString('hex', 0, 14)).toBe(`ffffffffffff${mac.replaceAll(':', '')}0800`)
    expect(packet).toMatchObject({ op: 1, xid: 0xabcd, mac, flags: broadcastFlag, ciaddr: 0, giaddr: 0 })
    expect(packet.options.get(option.messageType)).toEqual(u8(messageType.DISCOVER))
  })
  it('has lengths and a checksum that are right', () => {
    expect(frame.readUInt16BE(16)).toBe(frame.length - 14)
    expect(frame.readUInt16BE(38)).toBe(frame.length - 34)
    let sum = 0
    for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    expect(sum).toBe(0xffff)
  })
  it('is known by this rack and its peers, and by nobody else', () => {
    expect(proberOf(packet)).toBe(parseIp('10.0.0.2'))
    expect(isOurProbe(segment, packet)).toBe(true)
    expect(isOurProbe(segment, decode(probeFrame(mac, parseIp('10.0.0.3'), 1).subarray(42)))).toBe(true)
    expect(isOurProbe(segment, decode(probeFrame(mac, parseIp('10.0.0.4'), 1).subarray(42)))).toBe(false)
    expect(isOurProbe(segment, packetOf({ type: 'DISCOVER' }))).toBe(false)
    expect(clientIdOf(packet.options)).not.toBeNull()
  })
})

describe('a frame', () => {
  it.each(['OFFER', 'ACK', 'NAK'] as const)('with an %s says who sent it', type => {
    expect(readWord(frameOf({ type }))).toEqual({ server: parseIp('10.0.0.66'), mac, type, offered: parseIp('10.0.0.150') })
  })
  it('without a server identifier speaks for its sender', () => { expect(readWord(frameOf({ server: '', from: '192.168.1.1' }))?.server).toBe(parseIp('192.168.1.1')) })
  it('of a client, to another port or of another kind says nothing', () => {
    expect(readWord(frameOf({ op: 1 }))).toBeUndefined()
    expect(readWord(frameOf({ port: 67 }))).toBeUndefined()
    expect(readWord(frameOf({ type: 'DISCOVER' }))).toBeUndefined()
    expect(readWord(probeFrame(mac, 1, 1))).toBeUndefined()
  })
  it('cut short, broken or made up does no harm', () => {
    const good = frameOf()
    for (let length = 0; length < good.length; length++) readWord(good.subarray(0, length))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), bytes => { readWord(Buffer.from(bytes)) }), { numRuns: 2000 })
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: good.length - 1 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }), changes => {
      const broken = Buffer.from(good)
      for (const [at, value] of changes) broken[at] = value
      readWord(broken)
    }), { numRuns: 5000 })
  })
})

describe('who is foreign', () => {
  const word = (server: string, from = mac) => ({ server: parseIp(server), mac: from, type: 'OFFER' as const, offered: 0 })
  it('neither this rack nor a peer', () => {
    const rogues = new Rogues(1000)
    expect(rogues.heard(segment, word('10.0.0.2'), 0)).toBeUndefined()
    expect(rogues.heard(segment, word('10.0.0.3'), 0)).toBeUndefined()
    expect(rogues.heard(segment, word('10.0.0.66'), 0)).toEqual({ vlan: '5', interface: 'eth0', address: '10.0.0.66', mac })
  })
  it('is reported once a minute while it speaks, and forgotten when it does not', () => {
    const rogues = new Rogues(150_000)
    const times = [0, 100, 59_999, 60_000, 60_001, 130_000].filter(now => rogues.heard(segment, word('10.0.0.66'), now) !== undefined)
    expect(times).toEqual([0, 60_000, 130_000])
    expect(rogues.list(279_999).map(rogueSentence)).toEqual([expect.stringContaining(`10.0.0.66 (MAC ${mac}) answers on VLAN 5, heard on eth0`)])
    expect(rogues.list(280_000)).toEqual([])
  })
  it('is two when two MACs use one address; of a thousand invented ones 64 are kept', () => {
    const rogues = new Rogues(1000)
    expect(rogues.heard(segment, word('10.0.0.66', '52:54:00:00:00:98'), 0)).toBeDefined()
    for (let number = 0; number < 1000; number++) rogues.heard(segment, word(ipText(0x0a010000 + number)), 0)
    expect(rogues.list(0).length).toBe(64)
  })
  it('no more, once it is known to be ours or nobody gives addresses there', () => {
    const rogues = new Rogues(1000)
    rogues.heard(segment, word('10.0.0.66'), 0)
    rogues.only(new Map([['5', { ...segment, peers: [parseIp('10.0.0.66')] }]]))
    expect(rogues.list(0)).toEqual([])
    rogues.heard(segment, word('10.0.0.66'), 0)
    rogues.only(new Map())
    expect(rogues.list(0)).toEqual([])
  })
})

describe('the watch', () => {
  const rig = (mode: Segment['mode'] = 'server') => {
    const clock = manualClock()
    const segments = new Map<string, Segment>([['5', { ...segment, mode }]])
    const said: Buffer[] = []
    const waiting: Buffer[] = []
    const reports: string[] = []
    const state = { opened: 0, closed: 0, broken: false }
    const watch = createWatch({
      segments: () => segments, every: 100, clock, log: quiet, report: ({ address }) => { reports.push(address) },
      async open () {
        state.opened++
        return { mac, take: () => waiting.splice(0), say: frame => { if (state.broken) throw new Error('ENXIO'); said.push(frame) }, close: () => { state.closed++ } }
      }
    })
    return { clock, segments, said, waiting, reports, state, watch }
  }
  it('asks every so often, tells of who answers, is healthy again when nobody does any more, and leaves nothing open', async () => {
    const { clock, said, waiting, reports, state, watch } = rig()
    await watch.start(new AbortController().signal)
    await until(() => said.length === 1)
    expect(watch.health()).toEqual({ state: 'running' })
    waiting.push(frameOf())
    await clock.advance(1000)
    expect(watch.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('10.0.0.66') })
    expect(reports).toEqual(['10.0.0.66'])
    await clock.advance(249_000)
    expect(said.length).toBe(3)
    await clock.advance(2000)
    expect(watch.health()).toEqual({ state: 'running' })
    await watch.stop()
    expect(state).toMatchObject({ opened: 1, closed: 1 })
    expect(watch.health().state).toBe('off')
  })
  it('tries an interface again that broke', async () => {
    const { clock, said, state, watch } = rig()
    state.broken = true
    await watch.start(new AbortController().signal)
    await until(() => state.closed === 1)
    expect(watch.health()).toMatchObject({ state: 'degraded', reason: 'ENXIO' })
    state.broken = false
    await clock.advance(11_000)
    expect(said.length).toBe(1)
    expect(watch.health()).toEqual({ state: 'running' })
    await watch.stop()
  })
  it('looks nowhere where others are meant to give the addresses', async () => {
    const { clock, state, watch } = rig('proxy')
    await watch.start(new AbortController().signal)
    await clock.advance(1000)
    expect(state.opened).toBe(0)
    expect(watch.health().state).toBe('off')
    await watch.stop()
  })
})

serviceConformance('the watch', { make: () => ({ service: createWatch({ segments: () => new Map([['5', segment]]), every: 1, clock: systemClock, log: quiet, report: () => {}, open: async () => ({ mac, take: () => [], say: () => {}, close: () => {} }) }) }) })
serviceConformance('the watch of an interface that is not there', { make: () => ({ service: createWatch({ segments: () => new Map([['5', { ...segment, interface: 'none0' }]]), every: 1, clock: systemClock, log: quiet, report: () => {} }) }) })

describe('the region', () => {
  let region: Region
  beforeEach(async () => { region = await openRegion() })
  afterEach(async () => { await region.close() })
  const tell = (rack: string, at: string, body = { vlan: '1', address: '192.0.2.66', mac }) => region.db.tx(tx => region.running.facts?.(tx, rack, [{ kind: 'rogue', at, body }]) ?? Promise.resolve())
  const listed = async (query = '') => (await region.call('GET', `/dhcp/rogues${query}`)).body.items as { rack: string, firstSeen: string, lastSeen: string, active: boolean }[]
  it('keeps who was heard first and last, by rack, and says whether that is now', async () => {
    const [old, now] = [new Date(Date.now() - 3_600_000).toISOString(), new Date().toISOString()]
    await tell('rack-a', old)
    expect(await listed()).toEqual([{ vlan: '1', address: '192.0.2.66', mac, rack: 'rack-a', firstSeen: old, lastSeen: old, active: false }])
    await tell('rack-b', now)
    await tell('rack-a', now)
    await tell('rack-a', old) // told late
    expect((await listed()).map(({ rack, firstSeen, active }) => [rack, firstSeen, active]).sort()).toEqual([['rack-a', old, true], ['rack-b', now, true]])
    expect(await listed('?vlan=2')).toEqual([])
    expect((await listed('?active=false')).length).toBe(0)
  })
  it('does not believe a clock that is ahead', async () => {
    await tell('rack-a', new Date(Date.now() + 3_600_000).toISOString())
    expect(Date.parse((await listed())[0]!.lastSeen)).toBeLessThanOrEqual(Date.now() + 1000)
  })
  it('tells each rack the addresses of the others', async () => {
    await region.subnet('192.0.2.0/24', ['192.0.2.100', '192.0.2.139'])
    await region.attach('rack-a', { eth0: ['192.0.2.2/24'] })
    await region.attach('rack-b', { eth0: ['192.0.2.3/24'] })
    await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
    const peers = async (rack: string) => (await region.wanted(rack)).flatMap(entry => entry.kind === 'segment' ? entry.value.peers ?? [] : [])
    expect([await peers('rack-a'), await peers('rack-b')]).toEqual([['192.0.2.3'], ['192.0.2.2']])
  })
})
