/** A member between the election, the interface and the segment: what it puts on and takes off, and what it says is wrong. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { FloatingAddress, Link } from '../../../../core/address/address.ts'
import { BedplateError } from '../../../../core/errors.ts'
import { Member } from '../../../../plugins/boot/floating/member.ts'
import { advertisement, readAdvertisement } from '../../../../plugins/boot/floating/packet.ts'
import { quiet } from '../../../kit/parts.ts'

const address: FloatingAddress = { text: '192.0.2.20', family: 4, bytes: Uint8Array.of(192, 0, 2, 20), prefix: 24 }
const link: Link = { index: 2, name: 'eth0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ethernet: true, up: true }
const peer = Uint8Array.of(2, 0, 0, 0, 0, 2)
const stranger = Uint8Array.of(2, 0, 0, 0, 0, 9)

let now: number
let inbox: Uint8Array[]
let trace: string[]
let foreign: string | undefined
let refused: { send?: BedplateError, put?: BedplateError, remove?: BedplateError, ask?: BedplateError }
let slow: number // ms a `put` takes
let stopped: readonly number[] // priorities, while saying which the process is stopped for 150 ms, once each
let member: Member
beforeEach(() => {
  now = 0
  inbox = []
  trace = []
  foreign = undefined
  refused = {}
  slow = 0
  stopped = []
  member = new Member({
    place: { vlan: '1', address, link, vrid: 20, source: Uint8Array.of(192, 0, 2, 2) }, company: { rank: 0, peers: new Map([['02:00:00:00:00:02', 'rack-b']]) },
    clock: { now: () => { throw new TypeError('the time of day does not count') }, monotonic: () => now, sleep: () => { throw new TypeError('nothing here waits') } }, log: quiet,
    channel: {
      send (frame) { if (refused.send) throw refused.send; const heard = readAdvertisement(frame); if (typeof heard === 'string') throw new TypeError(heard); trace.push(`say ${heard.priority}`); if (stopped.includes(heard.priority)) { now += 150; stopped = stopped.filter(one => one !== heard.priority) } },
      receive: () => inbox.shift(), close () { trace.push('close') }
    },
    interfaces: { put (_, index, seconds) { if (refused.put) throw refused.put; now += slow; trace.push(`put on ${index} for ${seconds} s`) }, remove () { trace.push('remove'); if (refused.remove) throw refused.remove } },
    segment: { async whoHas () { trace.push('ask'); if (refused.ask) throw refused.ask; return foreign }, async announce () { trace.push('announce') } }
  })
})
const step = async (ms: number): Promise<string> => {
  now += ms
  trace = []
  member.step()
  for (let turn = 0; turn < 5; turn++) await null
  return trace.join(', ')
}
const from = (mac: Uint8Array, priority: number, about: Partial<{ vrid: number, addresses: Uint8Array[] }> = {}): Uint8Array => advertisement({ vrid: 20, priority, interval: 600, addresses: [address.bytes], ...about }, mac, Uint8Array.of(192, 0, 2, 3))
const take = async (): Promise<void> => { await step(1800); member.step() }

describe('a member', () => {
  test('claims, asks, puts the address on for a second, tells the segment five times, and renews it every 200 ms', async () => {
    expect(await step(1799)).toBe('')
    expect(await step(1)).toBe('say 61, ask, say 125, put on 2 for 1 s')
    expect(member.held).toBe(true)
    expect(await step(10)).toBe('announce')
    expect(await step(190)).toBe('put on 2 for 1 s, announce')
    expect(await step(100)).toBe('announce')
    expect(await step(300)).toBe('say 125, put on 2 for 1 s')
    expect(await step(400)).toBe('put on 2 for 1 s, announce')
    expect(member.problem).toBeUndefined()
  })
  test('tells the segment every five seconds from then on: hosts may have been told of a rack that is gone', async () => {
    await take()
    let told = 0
    for (let at = 0; at < 220; at++) if ((await step(100)).includes('announce')) told++
    expect(told).toBe(4 + 4) // of the first five, one was when it was taken
  })
  test('gives it up to one that has held it for longer, at once', async () => {
    await take()
    inbox.push(from(peer, 189))
    expect(await step(50)).toBe('remove, say 0')
    expect([member.held, member.served]).toEqual([false, true])
    await step(5001)
    expect(member.served).toBe(true) // it claims and holds again
  })
  test('that was stopped takes it off when it goes on, and hears what came meanwhile first', async () => {
    await take()
    inbox.push(from(peer, 120))
    expect(await step(4000)).toBe('remove')
    expect(await step(1799)).toBe('')
  })
  test('stopped between the decision and the interface takes it off again', async () => {
    slow = 3000
    expect(await step(1800)).toContain('put on 2 for 1 s, remove')
    expect(member.held).toBe(false)
  })
  test.each([[61, 'say 61, say 0'], [125, 'say 61, ask, say 125, remove, say 0']])('stopped while it says %s steps back, and has the address later: it never speaks for one it neither asks about nor has', async (priority, said) => {
    stopped = [priority]
    expect(await step(1800)).toBe(said)
    expect(await step(4900)).toBe('')
    expect(await step(100)).toBe('say 61, ask, say 125, put on 2 for 1 s')
    expect(member.held).toBe(true)
  })
  test('that cannot take it off says nothing, so that nobody takes it while it is still here', async () => {
    await take()
    refused.remove = new BedplateError('UNAVAILABLE', { reason: 'the kernel is silent' })
    trace = []
    member.resign()
    expect(trace.join(', ')).toBe('remove, close')
    expect(member.held).toBe(false)
  })
  test('ends in order: off the interface first, then the word, then the socket', async () => {
    await take()
    trace = []
    member.resign()
    expect(trace.join(', ')).toBe('remove, say 0, close')
  })
  test('without a carrier takes it off without a word', async () => {
    await take()
    trace = []
    member.drop()
    expect(trace.join(', ')).toBe('remove, close')
  })
  test('passes over its own frames, those of other routers and families, and what is no advertisement', async () => {
    await take()
    inbox.push(from(link.mac, 255), from(peer, 255, { vrid: 21 }), new Uint8Array(60), advertisement({ vrid: 20, priority: 255, interval: 600, addresses: [new Uint8Array(16)] }, peer, new Uint8Array(16)))
    expect(await step(10)).toBe('')
    expect(member.held).toBe(true)
    expect(member.problem).toBeUndefined()
  })
})

describe('what is wrong is said', () => {
  test('another machine has the address: it is not taken, its MAC is named, and it is tried again', async () => {
    foreign = '02:00:00:00:00:99'
    expect(await step(1800)).toBe('say 61, ask, say 0')
    expect(member.held).toBe(false)
    expect(member.problem).toContain('192.0.2.20 is in use on eth0 by 02:00:00:00:00:99')
    foreign = undefined
    expect(await step(5000)).toBe('say 61, ask, say 125, put on 2 for 1 s')
    expect(member.problem).toBeUndefined()
  })
  test('and while it is held: it is defended', async () => {
    await take()
    await step(10)
    for (let at = 0; at < 40; at++) await step(250)
    foreign = '02:00:00:00:00:99'
    let asked = ''
    for (let at = 0; at < 45; at++) asked += `${await step(250)} `
    expect(asked).toContain('ask')
    expect(asked).toContain('announce')
    expect(member.held).toBe(true)
    expect(member.problem).toContain('in use on eth0')
  })
  test('a rack of the VLAN that is not heard has it: multicast does not get through', async () => {
    foreign = '02:00:00:00:00:02'
    await step(1800)
    expect(member.problem).toContain('on rack rack-b')
    expect(member.problem).toContain('224.0.0.18')
    inbox.push(from(peer, 130))
    await step(10)
    expect(member.problem).toBeUndefined()
  })
  test('another VRRP uses the virtual router for something else: it does not count', async () => {
    inbox.push(from(stranger, 255, { addresses: [Uint8Array.of(192, 0, 2, 1)] }))
    expect(await step(1800)).toContain('put on 2')
    expect(member.problem).toContain('Another VRRP on eth0, of 02:00:00:00:00:09')
    now += 60_001
    expect(member.problem).toBeUndefined()
  })
  test('somebody who is no rack of the VLAN holds the same address: it counts, and is told', async () => {
    inbox.push(from(stranger, 130))
    expect(await step(1800)).toBe('')
    expect(member.problem).toContain('also held by 02:00:00:00:00:09 on eth0, which is no rack of this VLAN')
  })
  test('the interface refuses: the others may, and it is tried again', async () => {
    refused.put = new BedplateError('PRIVILEGE_MISSING', { what: 'it', remedy: 'run as root' })
    expect(await step(1800)).toBe('say 61, ask, say 125, remove, say 0')
    expect(member.held).toBe(false)
    expect(member.problem).toContain('run as root')
    delete refused.put
    await step(5000)
    expect(member.held).toBe(true)
    expect(member.problem).toBeUndefined()
  })
  test('the question cannot be asked: the address is not taken', async () => {
    refused.ask = new BedplateError('UNAVAILABLE', { reason: 'no socket' })
    expect(await step(1800)).toBe('say 61, ask, say 0')
    expect(member.problem).toContain('no socket')
  })
  test('nothing can be sent: the address is given up before another can have it', async () => {
    await take()
    refused.send = new BedplateError('UNAVAILABLE', { reason: 'network is down' })
    let last = ''
    let ms = 0
    for (; member.held && ms < 5000; ms += 100) last = await step(100)
    expect(last).toContain('remove')
    expect(ms).toBeLessThan(1800)
    expect(member.problem).toContain('network is down')
  })
})
