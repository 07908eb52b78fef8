/** The IPMI message as it goes over a LAN: addresses, network function, two checksums, sequence number. IPMI 2.0 section 13.8. Pure. */

export const address = { bmc: 0x20, console: 0x81 } as const
export const netFn = { chassis: 0x00, sensor: 0x04, app: 0x06, storage: 0x0a, transport: 0x0c } as const

/**
 * One message, either way. A request has an even `netFn`, its response the odd one after it and the same `seq` (0 to 63) and `command`;
 * `to` and `from` change places. The first byte of a response's `data` is the completion code.
 */
export interface Message { readonly to: number, readonly toLun: number, readonly netFn: number, readonly from: number, readonly fromLun: number, readonly seq: number, readonly command: number, readonly data: Uint8Array }
export type Decoded = Message & { readonly data: Buffer }

export const messageOverhead = 7

/** Writes the message at `at`, where there is room for `messageOverhead` and the data. Returns where it ends. */
export function writeMessage (packet: Buffer, at: number, message: Message): number {
  const { to, toLun, netFn, from, fromLun, seq, command, data } = message
  const function_ = netFn << 2 | toLun
  packet[at] = to
  packet[at + 1] = function_
  packet[at + 2] = -(to + function_) & 0xff
  packet[at + 3] = from
  packet[at + 4] = seq << 2 | fromLun
  packet[at + 5] = command
  packet.set(data, at + 6)
  const end = at + 6 + data.length
  packet[end] = checksum(packet, at + 3, end)
  return end + 1
}

export function encodeMessage (message: Message): Buffer {
  const bytes = Buffer.allocUnsafe(messageOverhead + message.data.length)
  writeMessage(bytes, 0, message)
  return bytes
}

/** The message in these bytes, its data where they are; undefined where they are none, or a checksum is wrong. */
export function decodeMessage (bytes: Buffer): Decoded | undefined {
  const end = bytes.length - 1
  if (end < 6 || checksum(bytes, 0, 3) !== 0 || checksum(bytes, 3, end + 1) !== 0) return undefined
  const [to = 0, function_ = 0, , from = 0, sequence = 0, command = 0] = bytes
  return { to, toLun: function_ & 0x03, netFn: function_ >> 2, from, fromLun: sequence & 0x03, seq: sequence >> 2, command, data: bytes.subarray(6, end) }
}

/** A request of a console to the BMC itself. */
export const request = (netFn: number, command: number, data: Uint8Array, seq: number, lun = 0): Message => ({ to: address.bmc, toLun: lun, netFn, from: address.console, fromLun: 0, seq, command, data })
/** The response to a request, `data` without the completion code. */
export function response (to: Message, completion: number, data: Uint8Array): Message {
  const whole = Buffer.allocUnsafe(1 + data.length)
  whole[0] = completion
  whole.set(data, 1)
  return { to: to.from, toLun: to.fromLun, netFn: to.netFn | 1, from: to.to, fromLun: to.toLun, seq: to.seq, command: to.command, data: whole }
}
export const isAnswerTo = (asked: Message, answer: Message): boolean => answer.seq === asked.seq && answer.command === asked.command && answer.netFn === (asked.netFn | 1) && answer.data.length > 0

/** Two's complement of the sum, so that the sum over the bytes and their checksum is 0. */
function checksum (bytes: Buffer, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at++) sum += bytes[at] ?? 0
  return -sum & 0xff
}
