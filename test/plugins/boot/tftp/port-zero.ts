/** Sends datagrams whose sender's port is 0 to port 69 of an address: a write, and a read of what is not there. Root. */
import koffi from 'koffi'

const library = koffi.load(null)
const socket = library.func('int socket(int, int, int)')
const sendto = library.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint)')
const [AF_INET, SOCK_RAW, IPPROTO_UDP] = [2, 3, 17]

const to = Buffer.alloc(16)
to.writeUInt16LE(AF_INET, 0)
to.set((process.argv[2] ?? '').split('.').map(Number), 4)
const fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP) as number
for (const request of ['\0\x02nothing\0octet\0', '\0\x01nothing\0octet\0', '\0\x09']) {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(69, 2)
  header.writeUInt16BE(8 + request.length, 4) // no checksum: there need be none
  const bytes = Buffer.concat([header, Buffer.from(request, 'latin1')])
  if (Number(sendto(fd, bytes, bytes.length, 0, to, to.length)) !== bytes.length) throw new Error(`errno ${koffi.errno()}`)
}
process.exit(0)
