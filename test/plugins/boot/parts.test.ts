/** boot's small pure parts: MAC forms, ranges, the neighbour table, intents, the rack's picture of what is wanted. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filesOf, intent, sentence } from '../../../plugins/boot/region/intent.ts'
import { parseMac } from '../../../plugins/boot/rack/mac.ts'
import { macIn, macOf } from '../../../plugins/boot/rack/neighbour.ts'
import { parseRange } from '../../../plugins/boot/http/range.ts'
import type { BootFiles, MachineEntry } from '../../../plugins/boot/script/ipxe.ts'
import { createWanted } from '../../../plugins/boot/rack/wanted.ts'
import { fakeImage, fakeMachine } from './fakes.ts'

describe('MAC addresses', () => {
  test.each(['52:54:00:ab:cd:ef', '52-54-00-AB-CD-EF', '525400abcdef', '5254.00ab.cdef', '01-52-54-00-ab-cd-ef', ' 52:54:00:AB:CD:EF '])('%j is one', text => expect(parseMac(text)).toBe('52:54:00:ab:cd:ef'))
  test.each(['', '52:54:00:ab:cd', '52:54:00:ab:cd:ef:01', '52:54-00:ab:cd:ef', 'gg:54:00:ab:cd:ef', '5254:00ab:cdef', '02-52-54-00-ab-cd-ef', '../../etc', '52:54:00:ab:cd:ef\n52'])('%j is none', text => expect(parseMac(text)).toBeUndefined())
  test('whatever the text, what comes out is a MAC or nothing', () => fc.assert(fc.property(fc.string(), text => { expect(parseMac(text) ?? '00:00:00:00:00:00').toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) }), { numRuns: 500 }))
})

describe('byte ranges', () => {
  test.each<[string | undefined, ReturnType<typeof parseRange>]>([
    [undefined, 'whole'], ['bytes=0-0', { from: 0, to: 0 }], ['bytes=0-99', { from: 0, to: 99 }], ['bytes=0-100000', { from: 0, to: 99 }], ['bytes=50-', { from: 50, to: 99 }], ['Bytes=99-', { from: 99, to: 99 }],
    ['bytes=-1', { from: 99, to: 99 }], ['bytes=-1000', { from: 0, to: 99 }], ['bytes=100-', 'unsatisfiable'], ['bytes=100-200', 'unsatisfiable'], ['bytes=-0', 'unsatisfiable'],
    ['bytes=-', 'whole'], ['bytes=5-4', 'whole'], ['bytes=0-1,3-4', 'whole'], ['lines=0-1', 'whole'], ['bytes=a-b', 'whole'], ['bytes=99999999999999999999-', 'unsatisfiable'], ['bytes=0-99999999999999999999', { from: 0, to: 99 }], ['bytes= 1-2 ', { from: 1, to: 2 }]
  ])('%j of 100 bytes is %j', (header, part) => expect(parseRange(header, 100)).toEqual(part))
  test('of nothing, nothing can be had; its last bytes are all of it', () => expect([parseRange('bytes=0-', 0), parseRange('bytes=-0', 0), parseRange('bytes=-5', 0)]).toEqual(['unsatisfiable', 'unsatisfiable', 'whole']))
  test('whatever the header, a part lies within the content', () => fc.assert(fc.property(fc.oneof(fc.string(), fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`)), fc.nat(1000), (header, size) => {
    const part = parseRange(header, size)
    if (typeof part === 'object') expect(part.from >= 0 && part.from <= part.to && part.to < size).toBe(true)
  }), { numRuns: 500 }))
})

describe('the neighbour table', () => {
  const table = 'IP address       HW type     Flags       HW address            Mask     Device\n10.77.0.50       0x1         0x2         52:54:00:00:00:07     *        btap\n10.77.0.51       0x1         0x0         00:00:00:00:00:00     *        btap\n'
  test('gives the hardware address of a neighbour', () => expect(macIn(table, '10.77.0.50')).toBe('52:54:00:00:00:07'))
  test.each(['10.77.0.51', '10.77.0.5', '', 'IP'])('%j has none', address => expect(macIn(table, address)).toBeNull())
  test('oneself is no neighbour', async () => expect(await macOf('127.0.0.1')).toBeNull())
})

describe('intents', () => {
  const image = fakeImage()
  test('a machine that runs our system gets the files and its token', () => expect(intent(fakeMachine(), 'commission', image, 't')).toEqual({ machine: '1', hostname: 'otter', purpose: 'commission', token: 't', files: filesOf(image), reason: null }))
  test('templates of the image go with its files; where there are none, nothing is said of them', () => {
    const templates = { ipxe: '#!ipxe\n' }
    expect(intent(fakeMachine(), 'deploy', fakeImage({ templates }), 't')).toMatchObject({ files: { templates } })
    expect(filesOf(fakeImage({ templates }))).toEqual({ ...filesOf(image), templates })
    expect(filesOf(image)).not.toHaveProperty('templates')
  })
  test('without an image the reason says which', () => {
    expect(intent(fakeMachine(), 'commission', undefined, 't')).toMatchObject({ files: null, reason: 'There is no image for amd64.' })
    expect(intent(fakeMachine({ deployment: { imageId: '9', sshKeys: [], userData: null, disk: null } }), 'deploy', undefined, 't')).toMatchObject({ files: null, reason: 'Image 9 is gone.' })
  })
  test('a machine that boots from its disk is told nothing secret', () => expect(intent(fakeMachine(), 'local', image, 't')).toMatchObject({ token: null, files: null }))
  test('a machine to be switched off is told why', () => {
    expect(intent(fakeMachine({ status: 'Ready' }), 'poweroff', undefined, null)).toMatchObject({ reason: 'it is Ready' })
    expect(intent(fakeMachine({ status: 'Broken', reason: 'smoke' }), 'poweroff', undefined, null)).toMatchObject({ reason: 'smoke' })
  })
  test('a request becomes a sentence', () => {
    const request = { machine: '1', mac: null, address: '10.0.0.9', by: 'http' as const, what: '/files/x/vmlinuz', bytes: 1000, milliseconds: 1500, failure: null }
    expect(sentence(request)).toBe('/files/x/vmlinuz was fetched over HTTP by 10.0.0.9: 1000 bytes in 1.5 s')
    expect(sentence({ ...request, by: 'tftp', failure: 'the client fell silent' })).toContain('over TFTP by 10.0.0.9 but not sent whole (1000 bytes): the client fell silent')
    expect(sentence({ ...request, what: `/files/${'a'.repeat(64)}/vmlinuz` })).toMatch(/^vmlinuz was fetched/)
    expect(sentence({ ...request, by: 'tftp', what: 'undionly.kpxe', retries: 3 })).toBe('undionly.kpxe was fetched over TFTP by 10.0.0.9: 1000 bytes in 1.5 s, 3 packets sent again')
    const what = `iqn.2026-11.io.bedplate:root.${'a'.repeat(64)}`
    expect(sentence({ ...request, by: 'iscsi', what: `${what} (login)`, retries: 0 })).toBe('root is read over iSCSI by 10.0.0.9')
    expect(sentence({ ...request, by: 'iscsi', what: `${what} (login)`, retries: 1 })).toBe('root is read over iSCSI by 10.0.0.9, login 2')
    expect(sentence({ ...request, by: 'iscsi', what, retries: 1, failure: 'it fell silent' })).toBe('root was read over iSCSI by 10.0.0.9, login 2: 1000 bytes in 1.5 s, until it fell silent')
  })
})

describe('what is wanted', () => {
  const files = (digit: string): BootFiles => ({ kernel: { sha256: digit.repeat(64), size: 1 }, initrd: { sha256: 'a'.repeat(64), size: 1 }, root: { sha256: 'b'.repeat(64), size: 1 }, options: '' })
  const entry = (digit: string): MachineEntry => ({ machine: digit, hostname: 'h', purpose: 'deploy', token: 't', files: files(digit), reason: null })
  test('entries are put, replaced and removed, and so is what files they name', () => {
    const wanted = createWanted()
    wanted.apply({ put: [{ kind: 'machine', id: 'm1', value: entry('1') }, { kind: 'machine', id: 'm2', value: entry('2') }, { kind: 'unknown', id: 'amd64', value: files('3') }], remove: [] }, true)
    expect([wanted.machine('m1')?.machine, wanted.unknown('amd64')?.kernel.size, wanted.knows('1'.repeat(64)), wanted.knows('3'.repeat(64))]).toEqual(['1', 1, true, true])
    wanted.apply({ put: [{ kind: 'machine', id: 'm1', value: entry('2') }], remove: [{ kind: 'unknown', id: 'amd64' }] }, false)
    expect([wanted.machine('m1')?.machine, wanted.unknown('amd64'), wanted.knows('1'.repeat(64)), wanted.knows('2'.repeat(64)), wanted.knows('3'.repeat(64))]).toEqual(['2', undefined, false, true, false])
    wanted.apply({ put: [], remove: [{ kind: 'machine', id: 'm1' }, { kind: 'machine', id: 'nobody' }] }, false)
    expect([wanted.knows('2'.repeat(64)), wanted.knows('a'.repeat(64))]).toEqual([true, true])
    wanted.apply({ put: [], remove: [] }, true)
    expect([wanted.machine('m2'), wanted.knows('a'.repeat(64))]).toEqual([undefined, false])
  })
})
