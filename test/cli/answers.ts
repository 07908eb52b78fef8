/** A process that answers every DNS question on port 53 of loopback, with "no such name": enough for a check that somebody answers. */
import { createSocket } from 'node:dgram'

const socket = createSocket('udp4')
socket.on('message', (question, { port, address }) => {
  const answer = Buffer.from(question)
  answer.writeUInt16BE(0x8183, 2) // response, recursion, NXDOMAIN (RFC 1035, section 4.1.1)
  socket.send(answer, port, address)
})
socket.bind(53, '127.0.0.1')
process.once('disconnect', () => { process.exit(0) })
