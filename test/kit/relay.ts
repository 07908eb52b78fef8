/** A relay between a client and a real server, with the faults of a network: held back, cut, or an answer that gets lost. */
import { connect, createServer, type AddressInfo, type NetConnectOpts, type Socket } from 'node:net'

export interface Relay {
  readonly port: number // on 127.0.0.1; 0 when it listens on a path
  /** ms each piece is held back, both ways. */
  delay: number
  /** So many connections are cut as they are made. */
  refuse: number
  /** Answers a piece the client sent in the server's place, which never hears of it. */
  answer: (piece: string) => string | undefined
  /** Given all a client has said so far: whether what comes back now is thrown away, with the connection. */
  lose: (said: string) => boolean
  close(): Promise<void>
}

/** Listens on a free port of 127.0.0.1, or on `at`, a path, for connections to `to`. */
export async function startRelay (to: NetConnectOpts, at?: string): Promise<Relay> {
  const open = new Set<Socket>()
  const server = createServer(near => {
    near.on('error', () => {})
    if (relay.refuse > 0) { relay.refuse--; near.destroy(); return }
    const far = connect(to)
    for (const socket of [near, far]) socket.setNoDelay() // it adds no wait of its own
    let said = ''
    const pass = (from: Socket, into: Socket, last: () => void) => {
      open.add(from)
      from.on('error', () => { into.destroy() })
      from.on('close', () => { open.delete(from); later(last) })
    }
    const later = (work: () => void): void => { if (relay.delay > 0) setTimeout(work, relay.delay).unref(); else work() }
    pass(near, far, () => { far.destroy() })
    pass(far, near, () => { near.end() })
    near.on('data', part => {
      said += part.toString('latin1')
      const answer = relay.answer(part.toString())
      later(() => { if (answer === undefined) far.write(part); else near.write(answer) })
    })
    far.on('data', part => {
      if (relay.lose(said)) { near.destroy(); far.destroy(); return }
      later(() => { near.write(part) })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (at === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(at, resolve)
  })
  const relay: Relay = {
    port: at === undefined ? (server.address() as AddressInfo).port : 0,
    delay: 0, refuse: 0, answer: () => undefined, lose: () => false,
    close: () => new Promise(resolve => { server.close(() => { resolve() }); for (const socket of open) socket.destroy() })
  }
  return relay
}
