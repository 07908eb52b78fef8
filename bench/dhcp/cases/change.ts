/** From the API's answer to the first ACK that says what was changed, with 10,000 bindings in place. */
import type { Case, Prepared } from '../../area.ts'
import { median } from '../../figures.ts'
import { startBedplate } from '../bedplate.ts'
import { startClients } from '../clients.ts'
import type { Place } from '../place.ts'
import { exchanges } from './durable.ts'

const [bindings, changes, limit] = [10_000, 20, 250]
export const change: Case<Place> = {
  name: 'change', required: 1, peerName: `the limit, ${limit} ms`, unit: 'ms, median', better: 'lower',
  conditions: `Ours as in durable-1core, ${bindings} bindings in place. The subnet's gateway is changed over the API ${changes} times a round; one client extends its lease every 2 ms. From the API's answer to the first ACK with the new gateway; 0 when that ACK came first.`,
  async prepare (place): Promise<Prepared> {
    await place.end('bedplate')
    const ours = await place.server('bedplate for change', () => startBedplate(place, { name: 'change', region: { address: '10.64.0.61' } }))
    await exchanges(place, ours, bindings)
    const clients = startClients(place.segment.clients, { t: 'extend', servers: [ours.address], every: 2, first: place.clients(1), relay: '10.64.0.3' })
    let gateway = 0
    return {
      async ours () {
        const times: number[] = []
        for (let turn = 0; turn < changes; turn++) {
          const wanted = `10.64.2.${gateway = gateway % 250 + 1}`
          await ours.ask('PATCH', `/api/v1/network/subnets/${ours.subnet}`, { gateway: wanted })
          const answered = clients.now()
          times.push(Math.max(0, await clients.seen(wanted, 10_000) - answered))
        }
        const sorted = times.toSorted((a, b) => a - b)
        return { value: median(times), details: { 'slowest ms': sorted.at(-1) ?? 0, changes } }
      },
      peer: limit,
      async end () { await clients.stop(); await place.end('bedplate for change') }
    }
  }
}
