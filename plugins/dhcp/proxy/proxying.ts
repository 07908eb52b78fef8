/** The service of ProxyDHCP on a rack: its port 4011, and its answers there and on port 67. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import type { Logger, Service } from '../../../core/plugin.ts'
import { ipText } from '../v4/ipv4.ts'
import { maxSizeOf } from '../options/client.ts'
import { messageName, option } from '../options/codes.ts'
import { readU8 } from '../options/values.ts'
import { decode, encode } from '../v4/packet.ts'
import { bootPort, proxyAnswer } from './proxy.ts'
import type { Arrival, Booting } from './proxy.ts'
import type { Segment } from '../v4/segment.ts'
import type { Send } from '../v4/server.ts'
import { Sockets } from '../rack/socket.ts'
import type { Traffic } from '../rack/traffic.ts'

export interface ProxyOptions { readonly segments: () => ReadonlyMap<string, Segment>, readonly bootOf: Booting, readonly traffic: Traffic, readonly log: Logger }
export interface Proxy {
  readonly service: Service
  /** Takes one datagram of port 67 in. Never throws. */
  receive(segment: Segment, data: Buffer, send: Send, from: string, fromPort: number): void
  /** Makes the open sockets those of the VLANs in this mode. */
  sync(): Promise<void>
}

const udpHeaders = 28

export function createProxy ({ segments, bootOf, traffic, log }: ProxyOptions): Proxy {
  let serving = false
  const own = (): Segment[] => [...segments().values()].filter(({ mode }) => mode === 'proxy')

  function receive (segment: Segment, data: Buffer, send: Send, arrival: Arrival): void {
    try {
      const packet = decode(data)
      traffic.received(messageName(readU8(packet.options.get(option.messageType))) ?? 'none')
      const answer = proxyAnswer(segment, packet, bootOf, arrival)
      if (typeof answer === 'string') { traffic.dropped(answer); return }
      const relay = answer.reply.options.get(option.relay)
      send(encode(answer.reply, maxSizeOf(packet.options) - udpHeaders + (relay === undefined ? 0 : relay.length + 2)), answer.to.port, ipText(answer.to.address))
      traffic.sent(answer.type)
    } catch (error) {
      const malformed = error instanceof BedplateError && error.code === 'PACKET_INVALID'
      traffic.dropped(malformed ? String(error.details.kind) : 'internal')
      if (!malformed) log.error({ reason: reasonOf(error), interface: segment.interface }, 'a packet could not be handled')
    }
  }

  const sockets = new Sockets({
    log,
    port: bootPort,
    received (device, data, send, from, fromPort) {
      const segment = own().find(segment => segment.interface === device)
      if (segment === undefined) traffic.dropped('no-segment')
      else receive(segment, data, send, { port: bootPort, from, fromPort })
    }
  })
  const sync = () => sockets.serve(new Set(serving ? own().map(segment => segment.interface) : []))

  return {
    receive: (segment, data, send, from, fromPort) => { receive(segment, data, send, { port: 67, from, fromPort }) },
    sync,
    service: {
      name: 'proxy',
      async start (signal) {
        if (signal.aborted) return
        serving = true
        await sync()
      },
      async stop () {
        serving = false
        await sync()
      },
      health (): Health {
        if (!serving) return off('not started')
        if (own().length === 0) return off('No VLAN of this rack is in the mode proxy.')
        return sockets.problems.size === 0 ? running : degraded([...sockets.problems.values()].join('; '))
      }
    }
  }
}
