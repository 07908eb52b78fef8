/** The arithmetic of the wire run. */
import { describe, expect, it, test } from 'vitest'
import { encode } from '../../plugins/dhcp/v4/packet.ts'
import { packetOf } from '../plugins/dhcp/build.ts'
import { messageOf, records, type Message } from './capture.ts'
import { longestGap, noticeOf, type Notice } from './interface.ts'
import { leasesOf, markdown, missing, shortcomings, table, type Outcome } from './outcome.ts'
import { written } from './page.ts'

const ack = (at: number, mac: string, address = '10.0.0.5', seconds = 30): Message => ({ at, type: 'ACK', mac, address, server: '10.0.0.2', seconds })

describe('what is read', () => {
  const dhcp = encode(packetOf({ type: 'REQUEST', mac: '02:00:00:00:00:07', requested: '10.0.0.5', server: '10.0.0.2' }))
  const frame = Buffer.concat([Buffer.alloc(42), dhcp])
  frame.writeUInt16BE(0x0800, 12)
  frame[14] = 0x45
  frame[23] = 17
  frame.writeUInt16BE(8 + dhcp.length, 38)

  it('a message in its frame', () => { expect(messageOf(frame, 5)).toEqual({ at: 5, type: 'REQUEST', mac: '02:00:00:00:00:07', address: '10.0.0.5', server: '10.0.0.2', seconds: 0 }) })
  it('nothing else', () => {
    const arp = Buffer.from(frame)
    arp.writeUInt16BE(0x0806, 12)
    expect([messageOf(arp, 0), messageOf(frame.subarray(0, 20), 0)]).toEqual([undefined, undefined])
  })
  it('records as they come in pieces', () => {
    const record = (text: string) => { const head = Buffer.alloc(16); head.writeUInt32LE(2, 0); head.writeUInt32LE(500_000, 4); head.writeUInt32LE(text.length, 8); return Buffer.concat([head, Buffer.from(text)]) }
    const data = Buffer.concat([record('one'), record('second')])
    const { frames, rest } = records(data.subarray(0, data.length - 1))
    expect(frames.map(({ at, frame }) => [at, frame.toString()])).toEqual([[2500, 'one']])
    expect(records(Buffer.concat([rest, data.subarray(data.length - 1)])).frames[0]?.frame.toString()).toBe('second')
  })
  it('notices of the kernel', () => {
    const time = Date.parse('2026-01-02T03:04:05.250Z')
    expect(noticeOf('[2026-01-02T03:04:05.250000] 7: eth0    inet 10.0.0.5/24 scope global dynamic eth0\\       valid_lft 30sec', '10.0.')).toEqual({ at: time, address: '10.0.0.5', gone: false })
    expect(noticeOf('[2026-01-02T03:04:05.250000] Deleted 7: eth0    inet 10.0.0.5/24 scope global eth0', '10.0.')).toEqual({ at: time, address: '10.0.0.5', gone: true })
    expect(noticeOf('[2026-01-02T03:04:05.250000] 7: eth0    inet 169.254.5.1/16 scope link eth0', '10.0.')).toBeUndefined()
    expect(noticeOf('[2026-01-02T03:04:05.250000] 7: eth0    inet6 fe80::1/64 scope link', '')).toBeUndefined()
  })
})

describe('gaps', () => {
  const had: Notice = { at: 0, address: 'a', gone: false }
  const at = (time: number, gone: boolean, address = 'a'): Notice => ({ at: time, address, gone })
  test.each<[string, Notice[], number, string[]]>([
    ['held throughout', [had, at(50, false)], 0, ['a']],
    ['gone for a while, twice', [had, at(20, true), at(30, false), at(60, true), at(85, false)], 25, ['a']],
    ['gone for good', [had, at(40, true)], 60, ['a']],
    ['never there', [], 90, []],
    ['another address comes before the first goes', [had, at(20, false, 'b'), at(21, true)], 0, ['a', 'b']],
    ['what is over before does not count', [had, at(5, true), at(8, false)], 0, ['a']]
  ])('%s', (_name, notices, gap, addresses) => { expect(longestGap(notices, 10, 100)).toEqual({ gap, addresses }) })
})

describe('leases', () => {
  it('one address, two clients at once', () => {
    expect(leasesOf([ack(0, 'x'), ack(10_000, 'y')]).doubled).toEqual(['10.0.0.5 was given to y while x had it for 20.0 s more'])
    expect(leasesOf([ack(0, 'x'), ack(29_000, 'x'), ack(31_000, 'y')]).doubled).toHaveLength(1) // it was extended
  })
  it('one after the other is right, and so is what was given back', () => {
    expect(leasesOf([ack(0, 'x'), ack(30_000, 'y')]).doubled).toEqual([])
    expect(leasesOf([ack(0, 'x'), { ...ack(5000, 'x'), type: 'RELEASE', seconds: 0 }, ack(6000, 'y')]).doubled).toEqual([])
  })
  it('what runs and is not stored is missing', () => {
    const { leases } = leasesOf([ack(0, 'x'), ack(0, 'y', '10.0.0.6'), ack(0, 'z', '10.0.0.7', 2)])
    expect(missing(leases.values(), [{ address: '10.0.0.5', mac: 'x' }, { address: '10.0.0.6', mac: 'w' }], 5000).map(({ mac }) => mac)).toEqual(['y'])
  })
})

describe('what is shown', () => {
  const faults = [{ name: 'killed', title: 'killed' }, { name: 'paused', title: 'paused' }, { name: 'never', title: 'never' }]
  const outcome = (changes: Partial<Outcome>): Outcome => ({ client: 'udhcpc', fault: 'killed', newLeaseSeconds: 3.56, askingSeconds: 3.4, waitedSeconds: 42, ...changes })
  const all = [
    outcome({ continuity: { kept: true, gapSeconds: 0, extensions: 2 } }),
    outcome({ fault: 'paused', continuity: { kept: false, gapSeconds: 7.36, extensions: 2 }, newLeaseSeconds: null, waitedSeconds: 75.04 }),
    outcome({ client: 'UEFI' })
  ]
  it('a table', () => { expect(table(all, faults)).toBe('client  killed         paused\nudhcpc  kept · 3.6 s   lost, 7.4 s · none in 75 s\nUEFI    3.4 s (3.6 s)') })
  it('and in Markdown, in its place', () => {
    const once = written('# Title\n\nText.\n', markdown(all, faults))
    expect(once).toContain('| UEFI | 3.4 s (3.6 s) |  |\n')
    expect(once.startsWith('# Title\n\nText.\n\n<!--')).toBe(true)
    expect(written(`${once}\n## After\n`, markdown(all, faults))).toBe(`${once}\n## After\n`)
  })
  it('and what is not good enough', () => { expect(shortcomings(all)).toEqual(['udhcpc, paused: was without its address for 7.36 s', 'udhcpc, paused: no lease in 75.04 s']) })
})
