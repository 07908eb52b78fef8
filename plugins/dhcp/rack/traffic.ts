/** What is counted of the packets and the bindings. */
import type { Metrics } from '../../../core/plugin.ts'

export interface Traffic {
  received(type: string): void
  sent(type: string): void
  dropped(reason: string): void
  bound(count: number, seconds: number): void
}

class Tally {
  private readonly counts = new Map<string, number>()
  add (name: string): void { this.counts.set(name, (this.counts.get(name) ?? 0) + 1) }
  empty (into: (name: string, count: number) => void): void {
    for (const [name, count] of this.counts) into(name, count)
    this.counts.clear()
  }
}

export function createTraffic (metrics: Metrics): Traffic {
  const packets = metrics.counter('dhcp_packets', 'DHCP messages by type and direction.', ['type', 'direction'])
  const dropped = metrics.counter('dhcp_dropped', 'DHCP messages that were not answered, by reason.', ['reason'])
  const batches = metrics.histogram('dhcp_bind_batch', 'Bindings stored with one call to the region.', [], [1, 2, 5, 10, 20, 50, 100, 200, 500])
  const latency = metrics.histogram('dhcp_bind_seconds', 'Time the region took to store a batch of bindings, in seconds.', [], [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 3])
  const [received, sent, lost] = [new Tally(), new Tally(), new Tally()]
  // The library looks its labels up with every count: here that is done when the counters are read.
  Object.assign(packets, {
    collect () {
      received.empty((type, count) => { packets.inc({ type, direction: 'in' }, count) })
      sent.empty((type, count) => { packets.inc({ type, direction: 'out' }, count) })
    }
  })
  Object.assign(dropped, { collect () { lost.empty((reason, count) => { dropped.inc({ reason }, count) }) } })
  return {
    received: type => { received.add(type) },
    sent: type => { sent.add(type) },
    dropped: reason => { lost.add(reason) },
    bound: (count, seconds) => { batches.observe(count); latency.observe(seconds) }
  }
}
