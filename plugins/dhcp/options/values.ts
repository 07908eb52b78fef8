/** The plain kinds of option values. Readers give `undefined` for a value of the wrong length: such an option counts as not sent. What is made here may be given out again: nobody writes into it. */

const most = 1024 // values of a kind that are kept: a server says the same few things to everybody

/** Keeps what `make` made; begins anew when there is too much of it. */
function kept<K> (make: (key: K) => Buffer): (key: K) => Buffer {
  const known = new Map<K, Buffer>()
  return key => {
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= most) known.clear()
    const value = make(key)
    known.set(key, value)
    return value
  }
}

export const ip = (...addresses: readonly number[]): Buffer => {
  if (addresses.length === 1) return u32(addresses[0] as number)
  const value = Buffer.allocUnsafe(addresses.length * 4)
  addresses.forEach((address, index) => value.writeUInt32BE(address, index * 4))
  return value
}
export const u8 = kept((number: number) => Buffer.of(number))
export const u16 = kept((number: number) => Buffer.of(number >>> 8, number & 255))
export const u32 = kept((number: number) => Buffer.of(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255))
export const text = kept((value: string) => Buffer.from(value, 'latin1'))

export const readIp = (value: Buffer | undefined): number | undefined => value?.length === 4 ? value.readUInt32BE(0) : undefined
export const readU8 = (value: Buffer | undefined): number | undefined => value?.length === 1 ? value[0] : undefined
export const readU16 = (value: Buffer | undefined): number | undefined => value !== undefined && value.length >= 2 ? value.readUInt16BE(0) : undefined
/** Text up to the first NUL: some clients send one, some count it in. */
export const readText = (value: Buffer | undefined): string | undefined => {
  if (value === undefined) return undefined
  const end = value.indexOf(0)
  return value.toString('latin1', 0, end === -1 ? value.length : end)
}
