/** What the survival run makes of what it sees and finds. */
import { describe, expect, it, test } from 'vitest'
import { seenIn, type Seen } from './cable.ts'
import { cell, markdown, newest, table, type Outcome } from './outcome.ts'
import { written } from './page.ts'
import { points } from './point.ts'

const mac = '52:54:00:be:d0:01'

/** An Ethernet frame with IPv4. */
function frame (o: { readonly from: 'rack' | 'machine', readonly protocol: 'tcp' | 'udp', readonly ports: readonly [number, number], readonly text: string, readonly length?: number }): Buffer {
  const head = o.protocol === 'tcp' ? 32 : 8
  const data = Buffer.alloc(14 + 20 + head)
  const [own, other] = [Buffer.from(mac.replaceAll(':', ''), 'hex'), Buffer.from('020000000001', 'hex')]
  ;(o.from === 'machine' ? other : own).copy(data, 0)
  ;(o.from === 'machine' ? own : other).copy(data, 6)
  data.writeUInt16BE(0x0800, 12)
  data[14] = 0x45
  data.writeUInt16BE(o.length ?? 20 + head + o.text.length, 16)
  data[23] = o.protocol === 'tcp' ? 6 : 17
  data.writeUInt16BE(o.ports[0], 34)
  data.writeUInt16BE(o.ports[1], 36)
  if (o.protocol === 'tcp') data[46] = 0x80
  return Buffer.concat([data, Buffer.from(o.text)])
}

describe('what is seen on a cable', () => {
  const ask = { from: 'machine', protocol: 'tcp', ports: [40000, 5248], text: 'GET / HTTP/1.1' } as const
  it('what the machine says', () => { expect(seenIn(frame(ask), 5, 'rack-a', mac)).toEqual({ at: 5, rack: 'rack-a', from: 'machine', protocol: 'tcp', port: 5248, bytes: 14, text: 'GET / HTTP/1.1' }) })
  it('what the rack sends, by its own port', () => { expect(seenIn(frame({ from: 'rack', protocol: 'udp', ports: [50000, 1234], text: 'block' }), 5, 'rack-b', mac)).toMatchObject({ from: 'rack', protocol: 'udp', port: 50000, bytes: 5 }) })
  it('a frame longer than its length field can say', () => { expect(seenIn(frame({ ...ask, length: 0 }), 0, '', mac)?.bytes).toBe(65536 - 20 - 32) })
  test.each<[string, Buffer]>([
    ['an acknowledgement without content', frame({ ...ask, text: '' })],
    ['other machines', Buffer.concat([Buffer.alloc(12, 2), frame(ask).subarray(12)])],
    ['ARP', (() => { const arp = frame(ask); arp.writeUInt16BE(0x0806, 12); return arp })()],
    ['a frame cut short', frame(ask).subarray(0, 43)]
  ])('but not %s', (_name, data) => { expect(seenIn(data, 0, '', mac)).toBeUndefined() })
})

describe('a moment', () => {
  const seen = (changes: Partial<Seen>): Seen => ({ at: 0, rack: 'rack-a', from: 'rack', protocol: 'tcp', port: 5248, bytes: 1 << 20, text: '', ...changes })
  const get = (path: string) => seen({ from: 'machine', bytes: 200, text: `GET ${path} HTTP/1.1\r\nhost: x\r\n` })
  const post = (path: string, form: string) => seen({ from: 'machine', bytes: 400, text: `POST ${path} HTTP/1.1\r\ncontent-length: 9\r\n\r\n${form}` })
  const system = post('/provision/x/report', 'stage=system&status=progress&message=writing')
  test.each<[string, Seen[], number]>([
    ['tftp', [seen({ protocol: 'udp', port: 50000, bytes: 40_000 }), seen({ protocol: 'udp', port: 50000, bytes: 40_000 })], 1],
    ['kernel', [get('/boot/ipxe/x'), seen({}), seen({}), get('/boot/files/f/vmlinuz'), seen({}), seen({ from: 'machine' }), seen({})], 6],
    ['root', [seen({ port: 3260, bytes: 5 << 20 }), seen({ bytes: 9 << 20 }), seen({ port: 3260, bytes: 4 << 20 })], 2],
    ['download', [seen({ bytes: 40 << 20 }), get('/boot/files/f/root.squashfs'), seen({ bytes: 31 << 20 }), seen({ bytes: 1 << 20 })], 3],
    ['install', [post('/provision/x/report', 'stage=system&status=started'), system, system, system], 3],
    ['report', [post('/provision/x/report', 'stage=bootloader&status=started'), post('/provision/x/report', 'stage=installed&status=ok')], 1],
    ['phone', [get('/provision/x/phone-home'), post('/provision/x/phone-home', '')], 1]
  ])('%s', (name, story, at) => {
    const isNow = points.find(point => point.name === name)?.observe()
    expect(story.findIndex(one => isNow?.(one))).toBe(at)
  })
  it('every one of them is tried', () => { expect(points.map(({ name }) => name)).toEqual(['tftp', 'kernel', 'root', 'download', 'install', 'report', 'phone']) })
})

describe('what is shown', () => {
  const rows = [{ name: 'tftp', title: 'TFTP' }, { name: 'root', title: 'root' }]
  const faults = [{ name: 'kill', title: 'kill -9' }, { name: 'pause', title: 'paused' }]
  const outcome = (changes: Partial<Outcome>): Outcome => ({ point: 'tftp', fault: 'kill', root: 'iscsi', firmware: 'uefi', kept: true, progress: 4.26, whole: 190.4, restarts: 0, at: '', ...changes })
  const all = [
    outcome({ kept: false, why: 'an older one' }), outcome({}), outcome({ point: 'none', fault: 'none', whole: 200 }),
    outcome({ point: 'root', fault: 'pause', kept: false, why: 'it went off', progress: null, restarts: 1 })
  ]
  it('the newest outcome of each cell', () => { expect(newest(all)).toHaveLength(3) })
  it('a table', () => { expect(table(all, rows, faults)).toBe('      kill -9               paused\nTFTP  kept · 4.3 s · 190 s\nroot                        **stranded** · started over once: it went off') })
  it('how often the machine started over', () => { expect(cell(outcome({ restarts: 2 }))).toBe('kept · 4.3 s · 190 s · started over 2 times') })
  it('and in Markdown, in its place', () => {
    const once = written('# Title\n\nText.\n', markdown(all, rows, faults), 'Base.')
    expect(once).toContain('| TFTP | kept · 4.3 s · 190 s |  |\n')
    expect(once.startsWith('# Title\n\nText.\n\n<!--')).toBe(true)
    expect(written(`${once}\n## After\n`, markdown(all, rows, faults), 'Base.')).toBe(`${once}\n## After\n`)
    expect(written('', '', '')).toMatch(/^# Boot/)
  })
})
