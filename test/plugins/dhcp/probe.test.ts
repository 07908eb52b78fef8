/** Free addresses are looked for on the wire: which, how often, and what an answer leads to; and the bytes of the questions. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arpHolder, arpProbe, checksum, echoHolder, echoRequest, macBytes } from '../../../plugins/dhcp/watch/arp.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { Ask, Question } from '../../../plugins/dhcp/watch/neighbours.ts'
import { occupiedSentence, Probes } from '../../../plugins/dhcp/watch/probe.ts'
import type { Logger } from '../../../core/plugin.ts'
import { segmentWith } from './build.ts'

const segment = segmentWith()
const them = '02:00:00:00:00:99'

function probing (ask: (question: Question) => ReadonlyMap<number, string | null>, options: { free?: string[], far?: string[] } = {}) {
  const free = new Map([['s1', (options.free ?? ['10.0.0.100', '10.0.0.101']).map(parseIp)], ['s2', (options.far ?? []).map(parseIp)]])
  const questions: { near: string[], far: string[] }[] = []
  const found: string[] = []
  const lines: unknown[] = []
  const log: Partial<Logger> = { warn: (line: unknown) => { lines.push(line) } }
  const time = { now: 0 }
  const answer: Ask = question => {
    questions.push({ near: question.addresses.map(ipText), far: question.far.map(ipText) })
    return new Promise(resolve => { resolve(ask(question)) })
  }
  const probes = new Probes({
    ask: answer, segments: () => [segment], free: (_, subnet) => free.get(subnet.id) ?? [], again: 600_000, spoken: 600_000, log: log as Logger,
    clock: { now: () => time.now, monotonic: () => time.now, sleep: () => Promise.resolve() },
    found: (address, subnet, mac) => { found.push(`${ipText(address)} ${subnet.id} ${mac}`); free.set(subnet.id, (free.get(subnet.id) ?? []).filter(one => one !== address)) }
  })
  return { probes, free, questions, found, lines, time }
}
const nobody = () => new Map<number, string | null>()

describe('what is looked for', () => {
  it('each free address once, and again when its time is over', async () => {
    const { probes, questions, time } = probing(nobody)
    await probes.round()
    await probes.round()
    expect(questions).toEqual([{ near: ['10.0.0.100', '10.0.0.101'], far: [] }])
    time.now = 600_000
    await probes.round()
    expect(questions).toHaveLength(2)
  })
  it('what is granted later, at the next look', async () => {
    const { probes, questions, free } = probing(nobody)
    await probes.round()
    free.get('s1')!.push(parseIp('10.0.0.110'))
    await probes.round()
    expect(questions[1]).toEqual({ near: ['10.0.0.110'], far: [] })
  })
  it('not more than 64 at once, the next to be offered first', async () => {
    const { probes, questions } = probing(nobody, { free: Array.from({ length: 100 }, (_, index) => `10.0.0.${100 + index}`) })
    await probes.round()
    await probes.round()
    expect(questions.map(({ near }) => near.length)).toEqual([64, 36])
    expect(questions[0]!.near[0]).toBe('10.0.0.100')
  })
  it('by ICMP as well where the subnet is not the rack\'s own', async () => {
    const { probes, questions } = probing(nobody, { far: ['10.0.1.7'] })
    await probes.round()
    expect(questions[0]).toEqual({ near: ['10.0.0.100', '10.0.0.101', '10.0.1.7'], far: ['10.0.1.7'] })
  })
})

describe('what is found', () => {
  it('an address in use is told with its MAC, and spoken of until it is free again', async () => {
    const { probes, found, time, lines } = probing(() => new Map([[parseIp('10.0.0.101'), them]]))
    await probes.round()
    expect(found).toEqual([`10.0.0.101 s1 ${them}`])
    expect(probes.inUse).toEqual([{ address: parseIp('10.0.0.101'), mac: them }])
    expect(occupiedSentence(probes.inUse[0]!)).toContain(`10.0.0.101 is in use by ${them}`)
    expect(lines).toMatchObject([{ address: '10.0.0.101', mac: them }])
    time.now = 600_000
    await probes.round()
    expect(probes.inUse).toEqual([])
  })
  it('one that was offered while the question was under way is its client\'s', async () => {
    const world = probing(() => { world.free.set('s1', []); return new Map([[parseIp('10.0.0.101'), them]]) })
    await world.probes.round()
    expect(world.found).toEqual([])
  })
  it('a wire that cannot be asked is told once, and stops nothing', async () => {
    const world = probing(() => { throw new Error('no such device') })
    await world.probes.round()
    world.time.now = 600_000
    await world.probes.round()
    expect(world.lines).toMatchObject([{ reason: 'no such device' }])
    expect(world.found).toEqual([])
  })
  it('ends when it is stopped, in the middle of a question too', async () => {
    let answer: (value: ReadonlyMap<number, string | null>) => void = () => {}
    const found: number[] = []
    const probes = new Probes({
      ask: () => new Promise(resolve => { answer = resolve }), segments: () => [segment], free: () => [parseIp('10.0.0.100')], again: 1, spoken: 1, log: {} as Logger,
      clock: { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() }, found: address => { found.push(address) }
    })
    probes.start()
    probes.start()
    const stopped = probes.stop()
    answer(new Map([[parseIp('10.0.0.100'), them]]))
    await stopped
    expect(found).toEqual([])
  })
})

describe('questions and answers as bytes', () => {
  const mac = macBytes('02:00:00:00:00:01')!
  it('an ARP probe asks from nobody (RFC 5227)', () => {
    expect(arpProbe(mac, parseIp('10.0.0.100')).toString('hex')).toBe(`ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 0a000064 ${'00'.repeat(18)}`.replaceAll(' ', ''))
    expect(arpHolder(arpProbe(mac, parseIp('10.0.0.100')))).toBeUndefined()
  })
  it('an answer, and a question of one that has an address, tell who has it', () => {
    const frame = arpProbe(mac, 0)
    frame.writeUInt32BE(parseIp('10.0.0.7'), 28)
    expect(arpHolder(frame)).toEqual({ address: parseIp('10.0.0.7'), mac: '02:00:00:00:00:01' })
    frame[21] = 2
    expect(arpHolder(frame)).toEqual({ address: parseIp('10.0.0.7'), mac: '02:00:00:00:00:01' })
    frame[21] = 3
    expect(arpHolder(frame)).toBeUndefined()
  })
  it('an echo request has a right checksum, and its reply names who sent it', () => {
    const request = echoRequest(0x1234, 5)
    expect(checksum(request)).toBe(0)
    const reply = Buffer.concat([Buffer.from('450000240000400040010000 0a000007 0a000002'.replaceAll(' ', ''), 'hex'), request])
    reply[20] = 0
    expect(echoHolder(reply, 0x1234)).toBe(parseIp('10.0.0.7'))
    expect(echoHolder(reply, 0x1235)).toBeUndefined()
    reply[20] = 8
    expect(echoHolder(reply, 0x1234)).toBeUndefined()
  })
  it('property: any bytes at all are read without a throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(0xffff), (bytes, id) => {
      for (const data of [Buffer.from(bytes), Buffer.concat([Buffer.alloc(12), Buffer.of(8, 6, 0, 1, 8, 0, 6, 4, 0), Buffer.from(bytes)]), Buffer.concat([Buffer.of(0x45 + (id % 11)), Buffer.alloc(8), Buffer.of(1), Buffer.from(bytes)])]) {
        arpHolder(data)
        echoHolder(data, id)
      }
    }), { numRuns: 2000, seed: 31 })
  })
  it('a MAC that is none', () => { for (const bad of ['', '00:00', 'lo', '02:00:00:00:00:01:02']) expect(macBytes(bad)).toBeUndefined() })
})
