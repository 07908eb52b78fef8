/** A boot sector that reads the block behind it, says its text on the serial line, writes it to the block behind that, and says so. */
const origin = 0x7c00
const text = 0x8000 // where the block is read to
const word = (value: number): number[] => [value & 255, value >> 8 & 255]
/** A packet of the extended disk calls: one block. */
const packet = (block: number): number[] => [0x10, 0, 1, 0, ...word(text), 0, 0, block, 0, 0, 0, 0, 0, 0, 0]

const [readAt, writeAt, saidAt] = [0x60, 0x70, 0x80]
const say = (from: number): number[] => [
  0xbe, ...word(from), // mov si, from
  0xba, ...word(0x3f8), // mov dx, 0x3f8: the first serial port
  0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8 // 1: lodsb; test al, al; jz 2; out dx, al; jmp 1; 2:
]
const disk = (call: number, at: number): number[] => [
  0xbe, ...word(origin + at), 0xb8, ...word(call << 8), // mov si, packet; mov ax, call
  0x5a, 0x52, // pop dx; push dx: the drive
  0xcd, 0x13, 0x72, 0xfe // int 0x13; on failure stand still
]
const code = [
  0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, ...word(origin), 0xfb, 0xfc, // cli; segments 0; stack below; sti; cld
  0x52, // push dx: the drive the BIOS has booted
  ...disk(0x42, readAt), ...say(text), ...disk(0x43, writeAt), ...say(origin + saidAt),
  0xf4, 0xeb, 0xfd // hlt, for ever
]

export const bootSector: Buffer = (() => {
  if (code.length > readAt) throw new RangeError('the code is too long')
  const bytes = Buffer.alloc(512)
  Buffer.from(code).copy(bytes)
  Buffer.from(packet(1)).copy(bytes, readAt)
  Buffer.from(packet(2)).copy(bytes, writeAt)
  bytes.write('and written\n\0', saidAt, 'latin1')
  bytes.writeUInt16LE(0xaa55, 510)
  return bytes
})()
