/** A process that floods a segment from eth0 with DISCOVERs of invented MACs: `count` of them, at most so many in a millisecond. Says over IPC how many are out, and goes on until its parent is gone. */
import { randomBytes, randomInt } from 'node:crypto'
import { openDatagrams } from '../../../core/socket.ts'
import { encode } from '../../../plugins/dhcp/v4/packet.ts'
import { packetOf } from './build.ts'

const count = Number(process.argv[2])
const socket = await openDatagrams({ port: 68, device: 'eth0' }, { received: () => {}, failed: error => { throw error }, lost: () => {} })
const packet = encode(packetOf({ type: 'DISCOVER', mac: '02:00:00:00:00:00', secs: 60 }))
process.on('disconnect', () => { process.exit() })
for (let sent = 0; sent < count;) {
  for (let burst = 0; burst < 16 && sent < count; burst++, sent++) {
    const data = Buffer.from(packet)
    data.writeUInt32BE(randomInt(0x100000000), 4)
    randomBytes(5).copy(data, 29)
    socket.send(data, 67, '255.255.255.255')
  }
  process.send?.(sent)
  await new Promise(resolve => { setTimeout(resolve, 1) })
}
process.send?.('done')
