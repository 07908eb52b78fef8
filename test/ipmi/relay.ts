/** A UDP relay in front of a BMC: sees every datagram, and may drop it or answer in the BMC's place. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface Passed { readonly from: 'console' | 'bmc', readonly datagram: Buffer, readonly console: number /* its port */ }
/** What to do with a datagram: let it pass (undefined), drop it, or give the console this instead of passing anything on. */
export type Decide = (passed: Passed) => 'drop' | Buffer | undefined
export interface Relay {
  readonly port: number
  readonly passed: Passed[]
  decide: Decide
  close(): Promise<void>
}

export async function startRelay (target: number): Promise<Relay> {
  const front = createSocket('udp4')
  front.bind(0, '127.0.0.1')
  await once(front, 'listening')
  const behind = new Map<number, Socket>() // by the console's port
  const relay: Relay = {
    port: front.address().port, passed: [], decide: () => undefined,
    async close () { for (const socket of [front, ...behind.values()]) { socket.close(); await once(socket, 'close') } }
  }
  const judge = (passed: Passed): boolean => {
    relay.passed.push(passed)
    const decision = relay.decide(passed)
    if (decision instanceof Buffer) front.send(decision, passed.console, '127.0.0.1')
    return decision === undefined
  }
  front.on('message', (datagram, { port }) => {
    let socket = behind.get(port)
    if (socket === undefined) {
      socket = createSocket('udp4')
      behind.set(port, socket)
      socket.on('message', answer => { if (judge({ from: 'bmc', datagram: answer, console: port })) front.send(answer, port, '127.0.0.1') })
    }
    if (judge({ from: 'console', datagram, console: port })) socket.send(datagram, target, '127.0.0.1')
  })
  return relay
}
