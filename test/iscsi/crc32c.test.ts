import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../iscsi/crc32c.ts'

/** A bit at a time, as the definition has it. */
const slowly = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('crc32c', () => {
  // RFC 7143 appendix A.4; the digest goes out least significant byte first.
  it.each([
    ['32 zeros', Buffer.alloc(32), 'aa36918a'],
    ['32 ones', Buffer.alloc(32, 0xff), '43aba862'],
    ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, n) => n)), '4e79dd46'],
    ['31 to 0', Buffer.from(Array.from({ length: 32 }, (_, n) => 31 - n)), '5cdb3f11'],
    ['a READ (10)', Buffer.from('01c00000000000000000000000000000140000000000040000000014000000182800000000000000' + '0200000000000000', 'hex'), '563a96d9']
  ])('of %s is the one of the standard', (_, bytes, expected) => {
    const out = Buffer.alloc(4)
    out.writeUInt32LE(crc32c(bytes))
    expect(out.toString('hex')).toBe(expected)
  })
  it('is that of the definition for any bytes, from any offset, in any two parts', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (bytes, one, other) => {
      const [from, middle] = [Math.min(one, bytes.length), Math.min(Math.max(one, other), bytes.length)]
      expect(crc32c(bytes, from)).toBe(slowly(bytes.subarray(from)))
      expect(crc32c(bytes, middle, bytes.length, crc32c(bytes, from, middle))).toBe(crc32c(bytes, from))
    }))
  })
})
