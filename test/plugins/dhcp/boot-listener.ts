/** A process that stands where a rack's TFTP and HTTP would, and tells over IPC which files are asked for: `tftp <name>`, `http <path>`. TFTP gives an error, HTTP a script that ends. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'

const udp = createSocket('udp4', (data, from) => {
  const end = data.indexOf(0, 2)
  if (data.readUInt16BE(0) === 1 && end !== -1) process.send?.(`tftp ${data.toString('latin1', 2, end)}`)
  udp.send(Buffer.from('\0\x05\0\x01no\0', 'latin1'), from.port, from.address)
})
const http = createServer((request, response) => {
  process.send?.(`http ${request.url}`)
  response.end('#!ipxe\nsleep 600\n')
})
await new Promise<void>(resolve => { udp.bind(69, resolve) })
await new Promise<void>(resolve => { http.listen(5248, resolve) })
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
