/** CRC-32C (Castagnoli), the digest of iSCSI headers and data: RFC 7143 section 13.1, reflected polynomial 0x82F63B78. Eight bytes a step ("slicing by 8"): Node's zlib has only the other CRC-32. */

const slices: readonly Uint32Array[] = (() => {
  const first = new Uint32Array(256)
  for (let index = 0; index < 256; index++) {
    let value = index
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? value >>> 1 ^ 0x82f63b78 : value >>> 1
    first[index] = value
  }
  const all = [first]
  for (let slice = 1; slice < 8; slice++) {
    const before = all[slice - 1] ?? first
    all.push(before.map(value => first[value & 255]! ^ value >>> 8))
  }
  return all
})()
const [s0, s1, s2, s3, s4, s5, s6, s7] = slices as [Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array]

/** Of `bytes` from `start` to before `end`, following what `before` is the CRC of. Unsigned. */
export function crc32c (bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  let crc = ~before
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24)
    crc = s7[low & 255]! ^ s6[low >>> 8 & 255]! ^ s5[low >>> 16 & 255]! ^ s4[low >>> 24]! ^ s3[bytes[at + 4]!]! ^ s2[bytes[at + 5]!]! ^ s1[bytes[at + 6]!]! ^ s0[bytes[at + 7]!]!
  }
  for (; at < end; at++) crc = s0[(crc ^ bytes[at]!) & 255]! ^ crc >>> 8
  return ~crc >>> 0
}
