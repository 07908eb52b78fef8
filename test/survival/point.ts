/** The moments of a deployment at which the rack that serves it is taken away, as they show on the wire. Pure. */
import type { Seen } from './cable.ts'

/** How the ephemeral system gets its root. */
export const roots = ['http', 'iscsi'] as const
export type Root = typeof roots[number]
export interface Point {
  readonly name: string
  /** For the table. */
  readonly title: string
  readonly root: Root
  /** A fresh observer of one deployment; true with the frame that shows that the moment has come. */
  observe(): (seen: Seen) => boolean
}

const mebibyte = 1 << 20
const ports = { http: 5248, iscsi: 3260 }

/** So many bytes came to the machine that `counts` says yes to; counted from the first frame that `begins`. */
const after = (bytes: number, counts: (seen: Seen) => boolean, begins: (seen: Seen) => boolean = () => true) => () => {
  let begun = false
  let got = 0
  return (seen: Seen): boolean => {
    begun ||= begins(seen)
    if (begun && seen.from === 'rack' && counts(seen)) got += seen.bytes
    return got >= bytes
  }
}
/** The machine said this for the so-manieth time. */
const said = (pattern: RegExp, times = 1) => () => {
  let left = times
  return ({ from, text }: Seen): boolean => {
    if (from === 'machine' && pattern.test(text)) left--
    return left <= 0
  }
}
const asks = (file: RegExp) => ({ from, text }: Seen): boolean => from === 'machine' && text.startsWith('GET ') && file.test(text.slice(0, text.indexOf('\r')))
const http = ({ protocol, port }: Seen): boolean => protocol === 'tcp' && port === ports.http

export const points: readonly Point[] = [
  { name: 'tftp', title: 'firmware, TFTP', root: 'iscsi', observe: after(64 << 10, ({ protocol }) => protocol === 'udp') },
  { name: 'kernel', title: 'kernel, HTTP', root: 'iscsi', observe: after(2 * mebibyte, http, asks(/vmlinuz/)) },
  // what is read before the system's first process runs is about 3 MiB
  { name: 'root', title: 'root mounted, iSCSI', root: 'iscsi', observe: after(8 * mebibyte, ({ protocol, port }) => protocol === 'tcp' && port === ports.iscsi) },
  { name: 'download', title: 'root loading, HTTP', root: 'http', observe: after(32 * mebibyte, http, asks(/root\.squashfs/)) },
  // progress is told every two seconds at most: the third time some of the system is on the disk, and most of it is not
  { name: 'install', title: 'installer writing, root over iSCSI', root: 'iscsi', observe: said(/stage=system&status=progress/, 3) },
  { name: 'report', title: 'report "installed"', root: 'iscsi', observe: said(/stage=installed&status=ok/) },
  { name: 'phone', title: 'last report, of the installed system', root: 'iscsi', observe: said(/^POST \S+\/phone-home/) }
]
