/** How long the slowest in a hundred exchanges takes at 5,000 a second. */
import type { Case, Prepared } from '../../area.ts'
import type { Place } from '../place.ts'
import { exchanges, single } from './durable.ts'

const [rate, seconds, limit] = [5000, 3, 4]
export const tail: Case<Place> = {
  name: 'tail', required: 1, peerName: `the limit, ${limit} ms`, unit: 'ms, p99', better: 'lower',
  conditions: `Ours as in durable-1core; dhcpload on core 1 begins ${rate} exchanges a second for ${seconds} s, however fast they are answered. From the DISCOVER to the ACK. (Kea with its lease file, not synced: about 0.5 ms.)`,
  async prepare (place): Promise<Prepared> {
    const ours = await single(place)
    return {
      async ours () {
        const { details = {}, value: _, ...rest } = await exchanges(place, ours, rate * seconds, { rate })
        return { ...rest, value: Number(details['p99 ms']), details }
      },
      peer: limit, end: async () => {}
    }
  }
}
