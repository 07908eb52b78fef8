/** TFTP packets: golden bytes, round trips, hostile input, and what options are granted. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { decode, defaultLimits, encode, encodeData, negotiate, toNetascii } from '../../../plugins/boot/tftp/packet.ts'
import type { Packet } from '../../../plugins/boot/tftp/packet.ts'

const options = (pairs: Record<string, string> = {}) => new Map(Object.entries(pairs))
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')
const refused = (bytes: Uint8Array): string => {
  try { decode(bytes) } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect((error as BedplateError).code).toBe('PACKET_INVALID')
    return (error as BedplateError).message
  }
  return expect.fail('it was decoded')
}

describe('golden packets', () => {
  test.each<[string, string, Packet]>([
    ['a plain read', '0001 666f6f00 6f6374657400', { op: 'read', name: 'foo', mode: 'octet', options: options() }],
    ['a write', '0002 666f6f00 6e6574617363696900', { op: 'write', name: 'foo', mode: 'netascii', options: options() }],
    // As iPXE's and UEFI's clients send it
    ['a read with options', `0001 ${Buffer.from('undionly.kpxe\0octet\0blksize\x001432\0tsize\x000\0windowsize\x004\0').toString('hex')}`, { op: 'read', name: 'undionly.kpxe', mode: 'octet', options: options({ blksize: '1432', tsize: '0', windowsize: '4' }) }],
    ['data', '0003 0102 aabb', { op: 'data', block: 258, data: hex('aabb') }],
    ['the empty last block', '0003 ffff', { op: 'data', block: 65535, data: hex('') }],
    ['an acknowledgement', '0004 0007', { op: 'ack', block: 7 }],
    ['an error', '0005 0001 6e6f00', { op: 'error', code: 1, message: 'no' }],
    ['an option acknowledgement', `0006 ${Buffer.from('blksize\x001432\0').toString('hex')}`, { op: 'oack', options: options({ blksize: '1432' }) }]
  ])('%s', (_name, bytes, packet) => {
    expect(encode(packet).toString('hex')).toBe(hex(bytes).toString('hex'))
    const read = decode(hex(bytes))
    expect(read.op === 'data' ? { ...read, data: Buffer.from(read.data) } : read).toEqual(packet)
  })

  test('option names and modes are taken in any case', () =>
    expect(decode(Buffer.from('\0\x01a\0OCTET\0BlkSize\x00512\0'))).toEqual({ op: 'read', name: 'a', mode: 'octet', options: options({ blksize: '512' }) }))
  test('file names keep their case', () => expect(decode(Buffer.from('\0\x01Boot/A.efi\0octet\0'))).toMatchObject({ name: 'Boot/A.efi' }))
  test('padding with zero bytes, as some boot ROMs send it, is let pass', () =>
    expect(decode(Buffer.concat([Buffer.from('\0\x01a\0octet\0tsize\x000\0'), Buffer.alloc(400)]))).toMatchObject({ options: options({ tsize: '0' }) }))
  test('an empty value at the end is a value', () => expect(decode(Buffer.from('\0\x01a\0octet\0multicast\0\0'))).toMatchObject({ options: options({ multicast: '' }) }))
  test('the first of an option given twice counts', () => expect(decode(Buffer.from('\0\x01a\0octet\0tsize\x000\0tsize\x009\0'))).toMatchObject({ options: options({ tsize: '0' }) }))
  test('an error without its last zero byte is still an error', () => expect(decode(hex('0005 0008 61'))).toEqual({ op: 'error', code: 8, message: 'a' }))
  test('data shares the memory it came in, also in the middle of a larger buffer', () => {
    const whole = Buffer.from([9, 9, 0, 3, 0, 1, 7, 8])
    expect([...(decode(whole.subarray(2)) as { data: Uint8Array }).data]).toEqual([7, 8])
  })
  test('block numbers roll over to 0', () => expect(encodeData(65536, hex('aa')).toString('hex')).toBe('00030000aa'))
})

describe('malformed packets', () => {
  test.each([
    ['nothing', ''], ['one byte', '00'], ['too little', '0004 00'], ['an unknown opcode', '0007 0000'], ['opcode 0', '0000 0000'], ['a name without end', '0001 666f6f'], ['no mode', '0001 666f6f00'],
    ['no name', '0001 00 6f6374657400'], ['an option without value', `0001 ${Buffer.from('a\0octet\0tsize\0').toString('hex')}`], ['a value without end', `0001 ${Buffer.from('a\0octet\0tsize\x000').toString('hex')}`]
  ])('%s is refused', (_name, bytes) => expect(refused(hex(bytes))).toContain('Malformed TFTP packet'))
  test('hundreds of options are refused', () => expect(refused(Buffer.from(`\0\x01a\0octet\0${'o\x001\0'.repeat(100)}`))).toContain('too many'))
  test('an endless name is refused', () => expect(refused(Buffer.from(`\0\x01${'a'.repeat(60_000)}\0octet\0`))).toContain('too long'))
  test('tens of thousands of empty texts are refused', () => expect(refused(Buffer.concat([Buffer.from('\0\x01a\0octet\0'), Buffer.alloc(60_000), Buffer.from('x\0')]))).toContain('too many'))
  test('no bytes whatever make it throw anything but PACKET_INVALID', () => fc.assert(fc.property(
    fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.tuple(fc.integer({ min: 0, max: 7 }), fc.uint8Array({ maxLength: 100 })).map(([op, rest]) => Uint8Array.from([0, op, ...rest]))), bytes => {
      try { decode(bytes) } catch (error) { expect(error).toMatchObject({ code: 'PACKET_INVALID' }) }
    }), { numRuns: 2_000 }))
})

describe('round trip', () => {
  const word = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code)), minLength: 1, maxLength: 40 })
  const lower = word.map(text => text.toLowerCase()).filter(text => text.length > 0 && [...text].every(letter => letter.charCodeAt(0) < 256))
  const some = fc.dictionary(lower, word, { maxKeys: 8 }).map(options)
  const block = fc.integer({ min: 0, max: 65535 })
  const packet: fc.Arbitrary<Packet> = fc.oneof(
    fc.record({ op: fc.constantFrom('read' as const, 'write' as const), name: word, mode: lower, options: some }),
    fc.record({ op: fc.constant('data' as const), block, data: fc.uint8Array({ maxLength: 1500 }).map(bytes => Buffer.from(bytes)) }),
    fc.record({ op: fc.constant('ack' as const), block }),
    fc.record({ op: fc.constant('error' as const), code: block, message: word }),
    fc.record({ op: fc.constant('oack' as const), options: some })
  )
  test('every packet comes back as it was', () => fc.assert(fc.property(packet, one => {
    const back = decode(encode(one))
    expect(back.op === 'data' ? { ...back, data: Buffer.from(back.data) } : back).toEqual(one)
  }), { numRuns: 1_000 }))
})

describe('options granted', () => {
  const granted = (asked: Record<string, string>, size: number | undefined = 1000) => Object.fromEntries(negotiate(options(asked), size).accepted)
  test('nothing asked: 512 bytes, one at a time, no OACK', () => expect(negotiate(options(), 1000)).toEqual({ accepted: options(), blockSize: 512, windowSize: 1, timeout: undefined }))
  test.each([
    [{ blksize: '1468' }, { blksize: '1468' }], [{ blksize: '8' }, { blksize: '8' }], [{ blksize: '65464' }, { blksize: '65464' }],
    [{ blksize: '7' }, {}], [{ blksize: '65465' }, {}], [{ blksize: '-1' }, {}], [{ blksize: '1e3' }, {}], [{ blksize: '' }, {}], [{ blksize: '0x200' }, {}],
    [{ timeout: '1' }, { timeout: '1' }], [{ timeout: '255' }, { timeout: '255' }], [{ timeout: '0' }, {}], [{ timeout: '256' }, {}],
    [{ tsize: '0' }, { tsize: '1000' }], [{ tsize: 'x' }, {}], [{ windowsize: '16' }, { windowsize: '16' }], [{ windowsize: '0' }, {}], [{ windowsize: '65535' }, { windowsize: '64' }], [{ windowsize: '65536' }, {}],
    [{ multicast: '', rollover: '1' }, {}], [{ blksize: '65464', windowsize: '64' }, { blksize: '65464', windowsize: '16' }]
  ])('%j gives %j', (asked, answer) => expect(granted(asked)).toEqual(answer))
  test('a size that cannot be told is left out', () => expect(negotiate(options({ tsize: '0' }), undefined).accepted.size).toBe(0))
  test('a smaller block may be granted than was asked for', () => expect(negotiate(options({ blksize: '9000' }), 1, { ...defaultLimits, blockSize: 1468 })).toMatchObject({ blockSize: 1468, accepted: options({ blksize: '1468' }) }))
  test('whatever is asked, a block and a window of lawful size come out', () => fc.assert(fc.property(fc.dictionary(fc.constantFrom('blksize', 'windowsize', 'timeout', 'tsize'), fc.oneof(fc.string(), fc.integer().map(String))), asked => {
    const { blockSize, windowSize } = negotiate(options(asked), 5)
    expect(blockSize >= 8 && blockSize <= 65464 && windowSize >= 1 && windowSize <= 64 && blockSize * windowSize <= 1 << 20).toBe(true)
  }), { numRuns: 500 }))
})

describe('netascii', () => {
  test('line ends become CR LF and bare returns CR NUL', () => expect(toNetascii(Buffer.from('a\nb\rc\r\n')).toString('latin1')).toBe('a\r\nb\r\0c\r\0\r\n'))
  test('every content can be turned back', () => fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
    const back = toNetascii(bytes).toString('latin1').replace(/\r\n|\r\0/g, pair => pair === '\r\n' ? '\n' : '\r')
    expect(Buffer.from(back, 'latin1').equals(Buffer.from(bytes))).toBe(true)
  }), { numRuns: 300 }))
})
