/** Which datagrams of a batch leave as one train, cut up by the kernel (UDP_SEGMENT, generic segmentation offload), and what a refused train says about others. Pure. */

export interface Target { readonly port: number, readonly address: string, readonly length: number }

/** UDP_MAX_SEGMENTS: 64 until Linux 6.9, 128 since. */
export const mostSegments = 64
/** Bytes of data in one train: what one IPv4 packet holds (65,535) without its header and UDP's. The kernel makes the whole train as one packet before it cuts it up. */
export const mostBytes = 65_507

/**
 * Whether datagrams to this target may share a train. Not: an empty one (segments of 0 bytes mean no segments, and many would leave as one); one to port 0, which the kernel refuses in
 * any shape; and a broadcast. Clients without an address read whole frames from their device, and over a virtual one (veth, virtio) a train arrives uncut: they would see its first
 * datagram with the others as its tail. What goes to a host's UDP socket is cut up there at the latest.
 */
const mayShare = ({ port, address, length }: Target, longest: number): boolean => length > 0 && length <= longest && port !== 0 && address !== '255.255.255.255'

/**
 * Lengths, in datagrams, of the trains that `targets[from]` up to `targets[count - 1]` make: those after each other that go to one place in one length. Those before `single` go alone,
 * and so do those longer than `longest` bytes (0: all).
 */
export function coupled (targets: readonly Target[], from: number, count: number, single: number, longest: number): number[] {
  const trains: number[] = []
  let first: Target | undefined
  let room = 0 // datagrams for which the train that is being made has room
  for (let index = from; index < count; index++) {
    const target = targets[index] as Target
    if (room > 0 && first?.port === target.port && first.address === target.address && first.length === target.length) {
      trains[trains.length - 1] = (trains.at(-1) as number) + 1
      room--
      continue
    }
    trains.push(1)
    first = target
    room = index >= single && mayShare(target, longest) ? Math.min(mostSegments, Math.floor(mostBytes / target.length)) - 1 : 0
  }
  return trains
}

const [EIO, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP] = [5, 22, 90, 92, 95]

/**
 * The longest datagram that may travel in a train, after one of `length` bytes was refused by `errno` and its first datagram alone was not: then it was not its target.
 * EIO, EOPNOTSUPP, ENOPROTOOPT: the device cannot make the checksums (until Linux 6.12), the way there is IPsec's, or the kernel has no such thing. None of it passes: no trains any more.
 * EMSGSIZE, EINVAL (older kernels): a segment is longer than the way's MTU, and the kernel fragments datagrams but no segments. Shorter ones may still travel so.
 * Any other (EPERM of a firewall, ENETUNREACH, ENOMEM, …) has passed in between, and says nothing about trains.
 */
export function longestAfter (longest: number, errno: number, length: number): number {
  if (errno === EIO || errno === EOPNOTSUPP || errno === ENOPROTOOPT) return 0
  if (errno === EMSGSIZE || errno === EINVAL) return Math.min(longest, length - 1)
  return longest
}
