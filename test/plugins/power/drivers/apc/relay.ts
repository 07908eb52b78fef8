/** Stands between a client and an agent, and does to datagrams what networks do. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface Relay {
  readonly port: number
  drop: number // so many datagrams to the agent get lost
  delay: number // ms
  deaf: (() => boolean) | undefined // as soon as it is true, no answer reaches the client that is asking any more; others are answered
  readonly passed: Buffer[] // to the agent
  close(): Promise<void>
}

/** On a free port of 127.0.0.1. */
export async function startRelay (agentPort: number): Promise<Relay> {
  const front = createSocket('udp4').bind(0, '127.0.0.1')
  await once(front, 'listening')
  const backs = new Map<number, Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const later = (work: () => void): void => {
    if (relay.delay === 0) { work(); return }
    const timer = setTimeout(() => { timers.delete(timer); work() }, relay.delay)
    timers.add(timer)
  }
  const backFor = (client: number): Socket => {
    const known = backs.get(client)
    if (known !== undefined) return known
    const back = createSocket('udp4')
    let lost = false
    back.on('message', data => {
      if (relay.deaf?.() === true) { lost = true; relay.deaf = undefined }
      if (!lost) front.send(data, client, '127.0.0.1')
    })
    back.on('error', () => {})
    backs.set(client, back)
    return back
  }
  front.on('message', (data, { port }) => {
    if (relay.drop > 0) { relay.drop--; return }
    relay.passed.push(data)
    later(() => { backFor(port).send(data, agentPort, '127.0.0.1') })
  })
  const relay: Relay = {
    port: front.address().port, drop: 0, delay: 0, deaf: undefined, passed: [],
    async close () {
      for (const timer of timers) clearTimeout(timer)
      for (const socket of [front, ...backs.values()]) socket.close()
    }
  }
  return relay
}
