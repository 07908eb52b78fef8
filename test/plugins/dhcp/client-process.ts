/** A process that is a client's port 68 on eth0: sends what it is told over IPC, tells what it hears. All in hexadecimal. */
import { openDatagrams } from '../../../core/socket.ts'

const socket = await openDatagrams({ port: 68, device: 'eth0' }, {
  received: data => { process.send?.(data.toString('hex')) },
  failed: error => { throw error },
  lost: error => { throw error }
})
process.on('message', ({ data, address, port }: { data: string, address: string, port: number }) => { socket.send(Buffer.from(data, 'hex'), port, address) })
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
