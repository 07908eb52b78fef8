/** The service: members for what is wanted and possible, and a sentence for what is not. Interfaces, the segment and the wire are made here. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf } from '../../../../core/address/address.ts'
import type { Assigned, Link } from '../../../../core/address/address.ts'
import { systemClock } from '../../../../core/clock.ts'
import { BedplateError } from '../../../../core/errors.ts'
import { createMetrics } from '../../../../core/metrics.ts'
import type { Clock } from '../../../../core/plugin.ts'
import { readAdvertisement } from '../../../../plugins/boot/floating/packet.ts'
import { createFloating } from '../../../../plugins/boot/floating/service.ts'
import type { Floating } from '../../../../plugins/boot/floating/service.ts'
import type { FloatingEntry } from '../../../../plugins/boot/manifest.ts'
import { serviceConformance } from '../../../kit/conformance/service.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'

const eth0: Link = { index: 2, name: 'eth0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ethernet: true, up: true }
const assigned = (text: string, prefix: number, lasting = true, link = 2): Assigned => { const bytes = bytesOf(text) ?? new Uint8Array(); return { link, family: bytes.length === 4 ? 4 : 6, bytes, prefix, lasting } }
const own = [assigned('192.0.2.2', 24), assigned('fe80::1', 64), assigned('2001:db8::2', 64)]
const entry: FloatingEntry = { interface: 'eth0', rank: 0, peers: [], addresses: [{ address: '192.0.2.20', prefix: 24, vrid: 20 }] }
const never = new AbortController().signal

function stage () {
  let offset = 0
  const clock: Clock = { now: systemClock.now, monotonic: () => systemClock.monotonic() + offset, sleep: systemClock.sleep }
  const state = { links: [eth0], assigned: own, broken: undefined as BedplateError | undefined, deaf: undefined as BedplateError | undefined, open: 0, moved: 0 }
  const trace: string[] = []
  const floating: Floating = createFloating({
    clock, log: quiet, metrics: createMetrics(), moved: () => { state.moved++ },
    interfaces: async () => {
      if (state.broken) throw state.broken
      state.open++
      let closed = false
      return {
        links: () => { if (state.broken) throw state.broken; return state.links }, addresses: () => state.assigned,
        put: ({ text }, link, seconds) => { trace.push(`put ${text} on ${link} for ${seconds} s`) }, remove: ({ text }, link) => { if (closed) throw new TypeError('its socket is closed'); trace.push(`remove ${text} from ${link}`) }, close () { state.open--; closed = true }
      }
    },
    segment: { check: async () => {}, whoHas: async () => undefined, announce: async () => {} },
    channel: async ({ name }, family) => {
      if (state.deaf) throw state.deaf
      state.open++
      let closed = false
      return { send (frame) { const heard = readAdvertisement(frame); trace.push(typeof heard === 'string' ? heard : `say ${heard.priority} on ${name} from ${heard.source.join('.')}, IPv${family}`) }, receive: () => undefined, close () { if (!closed) state.open--; closed = true } }
    }
  })
  return { floating, state, trace, skip: (ms: number) => { offset += ms } }
}

let room: ReturnType<typeof stage>
beforeEach(() => { room = stage() })
afterEach(async () => {
  await room.floating.service.stop()
  expect(room.state.open).toBe(0)
})
/** It holds all that is wanted: three intervals pass at once. */
async function holding (entries: Readonly<Record<string, FloatingEntry>> = { 1: entry }): Promise<void> {
  room.floating.want(new Map(Object.entries(entries)))
  await room.floating.service.start(never)
  await until(() => room.state.open > 1)
  room.skip(1900)
  await until(() => room.floating.held().length === Object.values(entries).flatMap(({ addresses }) => addresses).length)
}
const reason = (): string => { const health = room.floating.service.health(); return health.state === 'degraded' ? health.reason : '' }

describe('what is wanted', () => {
  test('is held, and told; it is off where nothing is', async () => {
    await room.floating.service.start(never)
    expect(room.floating.service.health()).toMatchObject({ state: 'off', reason: 'No VLAN of this rack has a boot address.' })
    await holding()
    expect(room.floating.held()).toEqual(['192.0.2.20'])
    expect([room.floating.served('192.0.2.20'), room.floating.served('192.0.2.21')]).toEqual([true, false])
    expect(room.floating.service.health()).toEqual({ state: 'running' })
    expect(room.state.moved).toBe(1)
    expect(room.trace[0]).toBe('say 61 on eth0 from 192.0.2.2, IPv4')
  })
  test('of several VLANs and both families is held side by side; IPv6 speaks from the link-local address', async () => {
    room.state.links = [eth0, { ...eth0, index: 3, name: 'eth1' }]
    room.state.assigned = [...own, assigned('198.51.100.2', 24, true, 3)]
    await holding({ 1: { ...entry, addresses: [...entry.addresses, { address: '2001:db8::14', prefix: 64, vrid: 20 }] }, 2: { ...entry, interface: 'eth1', addresses: [{ address: '198.51.100.20', prefix: 24, vrid: 20 }] } })
    expect([...room.floating.held()].sort()).toEqual(['192.0.2.20', '198.51.100.20', '2001:db8::14'])
    expect(room.trace).toContain('say 61 on eth0 from 254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1, IPv6')
    expect(room.trace).toContain('say 61 on eth1 from 198.51.100.2, IPv4')
  })
  test('and changes moves at once: the old address is given up with a word; a new rank or other peers change nothing on the wire', async () => {
    await holding()
    room.trace.length = 0
    room.floating.want(new Map([['1', { ...entry, rank: 2, peers: [{ rack: 'b', mac: '02:00:00:00:00:02' }] }]]))
    room.skip(600)
    await until(() => room.trace.some(line => line.startsWith('say')))
    expect(room.trace.find(line => line.startsWith('say'))).toBe('say 117 on eth0 from 192.0.2.2, IPv4')
    room.floating.want(new Map([['1', { ...entry, addresses: [{ address: '192.0.2.30', prefix: 24, vrid: 30 }] }]]))
    await until(() => room.trace.includes('say 0 on eth0 from 192.0.2.2, IPv4'))
    expect(room.trace).toContain('remove 192.0.2.20 from 2')
    room.floating.want(new Map())
    await until(() => room.floating.service.health().state === 'off')
    expect(room.floating.held()).toEqual([])
  })
  test('is given up when the service ends: off the interface, then the word', async () => {
    await holding()
    room.trace.length = 0
    await room.floating.service.stop()
    expect(room.trace.slice(-2)).toEqual(['remove 192.0.2.20 from 2', 'say 0 on eth0 from 192.0.2.2, IPv4'])
    expect(room.state.moved).toBe(2)
  })
  test('stays on while it is held, however often the interfaces are looked at', async () => {
    await holding()
    room.state.assigned = [...own, assigned('192.0.2.20', 32, false)]
    room.trace.length = 0
    for (let look = 0; look < 3; look++) {
      room.skip(510)
      await until(() => room.trace.filter(line => line.startsWith('say')).length > look)
    }
    expect(room.trace.filter(line => line.startsWith('remove'))).toEqual([])
  })
  test('was left on by an earlier process: it is taken off first', async () => {
    room.state.assigned = [...own, assigned('192.0.2.20', 32, false)]
    room.floating.want(new Map([['1', entry]]))
    await room.floating.service.start(never)
    await until(() => room.trace.includes('remove 192.0.2.20 from 2'))
  })
})

describe('what is not possible is said, and tried again', () => {
  const cases: readonly (readonly [string, (room: ReturnType<typeof stage>) => void, string])[] = [
    ['no such interface', ({ state }) => { state.links = [] }, 'no interface eth0'],
    ['no carrier', ({ state }) => { state.links = [{ ...eth0, up: false }] }, 'no carrier'],
    ['no Ethernet', ({ state }) => { state.links = [{ ...eth0, ethernet: false }] }, 'no Ethernet'],
    ['no address to speak from', ({ state }) => { state.assigned = [assigned('192.0.2.30', 32)] }, 'no address in the network of 192.0.2.20/24'],
    ['the address is there for good', ({ state }) => { state.assigned = [...own, assigned('192.0.2.20', 24)] }, 'for good'],
    ['no privilege', ({ state }) => { state.deaf = new BedplateError('PRIVILEGE_MISSING', { what: 'it', remedy: 'run as root' }) }, 'run as root'],
    ['no answer of the kernel', ({ state }) => { state.broken = new BedplateError('UNAVAILABLE', { reason: 'the kernel is silent' }) }, 'the kernel is silent']
  ]
  test.each(cases)('%s', async (_, breaks, words) => {
    breaks(room)
    room.floating.want(new Map([['1', entry]]))
    await room.floating.service.start(never)
    await until(() => reason().includes(words))
    expect(room.floating.served('192.0.2.20')).toBe(false)
    Object.assign(room.state, { links: [eth0], assigned: own, broken: undefined, deaf: undefined })
    room.skip(600)
    await until(() => room.floating.service.health().state === 'running')
  })
  test('a cable that is pulled takes the address away, and it is told', async () => {
    await holding()
    room.state.links = [{ ...eth0, up: false }]
    await until(() => room.floating.held().length === 0)
    expect(reason()).toContain('no carrier')
    expect(room.trace.at(-1)).toBe('remove 192.0.2.20 from 2')
    await until(() => room.state.moved === 2)
  })
  test('the interfaces cannot be read any more: the address is taken off before that is said', async () => {
    await holding()
    room.trace.length = 0
    room.state.broken = new BedplateError('UNAVAILABLE', { reason: 'the kernel is silent' })
    room.skip(510)
    await until(() => reason().includes('the kernel is silent'))
    expect(room.trace.slice(-2)).toEqual(['remove 192.0.2.20 from 2', 'say 0 on eth0 from 192.0.2.2, IPv4'])
    expect(room.floating.held()).toEqual([])
  })
  test('an interface that is made anew gets a new socket', async () => {
    await holding()
    room.state.links = [{ ...eth0, index: 9 }]
    room.state.assigned = own.map(one => ({ ...one, link: 9 }))
    await until(() => room.floating.held().length === 0)
    room.skip(1900)
    await until(() => room.trace.includes('put 192.0.2.20 on 9 for 1 s'))
  })
})

serviceConformance('boot addresses', {
  make () {
    const { floating } = stage()
    floating.want(new Map([['1', entry]]))
    return { service: floating.service }
  }
})
