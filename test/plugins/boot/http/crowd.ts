/** A process of clients that hold connections and do not behave: told how many of each kind, it says when all are there, and then holds on until it is killed. */
import { connection, getting } from './rig.ts'

export interface Crowd {
  readonly port: number
  /** Say nothing; stop in the middle of a request; ask for this and read nothing of it. */
  readonly silent: number, readonly halfway: number, readonly stalled: number, readonly path: string
}

process.on('message', ({ port, silent, halfway, stalled, path }: Crowd) => {
  const kinds = [...Array<string>(silent).fill(''), ...Array<string>(halfway).fill('GET /boot/ipxe/52:54:00:00:00:07 HTTP/1.1\r\nHost: x\r\nX-Long: '), ...Array<string>(stalled).fill(getting(path))]
  void (async () => {
    for (let from = 0; from < kinds.length; from += 200) await Promise.all(kinds.slice(from, from + 200).map(text => connection(port, text)))
    process.send?.('all there')
  })()
})
