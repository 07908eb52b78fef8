/** A process that is a UDP port of IPv6 on eth0 (arguments: the port, then groups to join): sends what it is told over IPC, tells what it hears. All in hexadecimal. */
import { openDatagrams } from '../../../../core/socket.ts'

const [port, ...groups] = process.argv.slice(2)
const socket = await openDatagrams({ port: Number(port), device: 'eth0', family: 6, groups }, {
  received: (data, from) => { process.send?.({ data: data.toString('hex'), address: from.address, port: from.port }) },
  failed: error => { throw error },
  lost: error => { throw error }
})
process.on('message', ({ data, address }: { data: string, address: string }) => { socket.send(Buffer.from(data, 'hex'), 547, address) })
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
