/** The plain kinds of option values. Readers give `undefined` for a value of the wrong length: such an option counts as not sent. */

export const ip = (...addresses: readonly number[]): Buffer => {
  const value = Buffer.allocUnsafe(addresses.length * 4)
  addresses.forEach((address, index) => value.writeUInt32BE(address, index * 4))
  return value
}
export const u8 = (number: number): Buffer => Buffer.of(number)
export const u16 = (number: number): Buffer => Buffer.of(number >>> 8, number & 255)
export const u32 = (number: number): Buffer => Buffer.of(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255)
export const text = (value: string): Buffer => Buffer.from(value, 'latin1')

export const readIp = (value: Buffer | undefined): number | undefined => value?.length === 4 ? value.readUInt32BE(0) : undefined
export const readU8 = (value: Buffer | undefined): number | undefined => value?.length === 1 ? value[0] : undefined
export const readU16 = (value: Buffer | undefined): number | undefined => value !== undefined && value.length >= 2 ? value.readUInt16BE(0) : undefined
/** Text up to the first NUL: some clients send one, some count it in. */
export const readText = (value: Buffer | undefined): string | undefined => {
  if (value === undefined) return undefined
  const end = value.indexOf(0)
  return value.toString('latin1', 0, end === -1 ? value.length : end)
}
