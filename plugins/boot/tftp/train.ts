/** How blocks become messages: as many as may share one, cut up by the kernel (generic segmentation offload). Pure. */

/** UDP_MAX_SEGMENTS: 64 until Linux 6.9, 128 since. */
export const mostSegments = 64
/** Bytes of one IPv4 packet without its header and UDP's: the kernel makes a train as one packet before it cuts it up. */
export const mostBytes = 65_507

/** Blocks of `blockSize` bytes that share one message; the last of them may be shorter. */
export const carriages = (blockSize: number): number => Math.max(1, Math.min(mostSegments, Math.floor(mostBytes / (blockSize + 4))))

export type Refusal = 'gone' | 'full' | 'trains' | 'lost'
const [EIO, EAGAIN, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP, ENOBUFS, ECONNREFUSED] = [5, 11, 22, 90, 92, 95, 105, 111]
/**
 * What an errno says of a message of `count` blocks. gone: the client's port is closed. full: the kernel has no room now. trains: this way takes none (a segment is longer than the
 * path's MTU, and the kernel fragments datagrams but no segments; or the device makes no checksums, until Linux 6.12; or it is IPsec's), and the blocks have to go one by one.
 * lost: as on the wire, by a firewall or a route that is gone; what is lost is sent again.
 */
export function refusalOf (errno: number, count: number): Refusal {
  if (errno === ECONNREFUSED) return 'gone'
  if (errno === EAGAIN || errno === ENOBUFS) return 'full'
  return count > 1 && [EIO, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP].includes(errno) ? 'trains' : 'lost'
}
