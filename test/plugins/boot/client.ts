/** A TFTP client for tests, written from the RFCs and sharing no line with the server but the constants of the standard. */
import { createSocket } from 'node:dgram'

/** What the server answered instead of a file. */
export class Refused extends Error {
  readonly code: number
  constructor (code: number, message: string) { super(message); this.code = code }
}

/** Downloads a file with the options given; windows are acknowledged as RFC 7440 has it. Rejects with Refused, or when nothing comes for 15 s. */
export function download (port: number, name: string, options: Readonly<Record<string, number>> = {}, address = '127.0.0.1'): Promise<Buffer> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const got: Buffer[] = []
  let blockSize = 512
  let windowSize = 1
  let next = 1
  let inWindow = 0
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => { clearTimeout(timer); socket.close(outcome) }
    const late = (): void => finish(() => reject(new Error(`nothing came for 15 s at block ${next}`)))
    let timer = setTimeout(late, 15_000)
    socket.on('error', error => finish(() => reject(error)))
    socket.on('message', (bytes, from) => {
      clearTimeout(timer)
      timer = setTimeout(late, 15_000)
      const acknowledge = (block: number, sent?: () => void): void => { socket.send(Buffer.from([0, 4, block >> 8 & 255, block & 255]), from.port, from.address, sent); inWindow = 0 }
      const opcode = bytes.readUInt16BE(0)
      if (opcode === 5) return finish(() => reject(new Refused(bytes.readUInt16BE(2), bytes.toString('latin1', 4, bytes.length - 1))))
      if (opcode === 6) {
        const words = bytes.toString('latin1', 2).split('\0')
        for (let index = 0; index + 1 < words.length; index += 2) {
          if (words[index] === 'blksize') blockSize = Number(words[index + 1])
          if (words[index] === 'windowsize') windowSize = Number(words[index + 1])
        }
        return acknowledge(0)
      }
      if (opcode !== 3) return
      if (bytes.readUInt16BE(2) !== (next & 0xffff)) { if (inWindow > 0) acknowledge(next - 1); return }
      const data = Buffer.from(bytes.subarray(4))
      got.push(data)
      inWindow++
      next++
      if (data.length < blockSize) {
        clearTimeout(timer)
        acknowledge(next - 1, () => finish(() => resolve(Buffer.concat(got)))) // closed earlier, the socket would not send it
      } else if (inWindow === windowSize) acknowledge(next - 1)
    })
    socket.send(Buffer.from(`\0\x01${name}\0octet\0${Object.entries(options).map(([option, value]) => `${option}\0${value}\0`).join('')}`, 'latin1'), port, address)
  })
}
