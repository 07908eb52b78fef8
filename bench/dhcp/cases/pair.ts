/** Two racks on the segment with a region and PostgreSQL, beside two Keas in hot standby. */
import type { Case, Prepared } from '../../area.ts'
import { startBedplate } from '../bedplate.ts'
import type { Bedplate } from '../bedplate.ts'
import { startKeaPair } from '../kea.ts'
import type { Place } from '../place.ts'
import { cores } from '../segment.ts'
import { exchanges } from './durable.ts'

export const pairOf = (place: Place): Promise<Bedplate> => place.server('the pair', async () => {
  const bedplate = await startBedplate(place, { name: 'region', region: { address: '10.64.0.21', cpus: cores.all }, racks: [{ name: 'rack-a', address: '10.64.0.22' }, { name: 'rack-b', address: '10.64.0.23' }] })
  await exchanges(place, bedplate, 20_000, { cpus: cores.all })
  return bedplate
})

const [count, few] = [20_000, 5000]
export const pair: Case<Place> = {
  name: 'pair', required: 6, peerName: 'Kea, hot standby', unit: 'exchanges/s', better: 'higher',
  conditions: `Nobody is pinned. Ours: a region, PostgreSQL and two racks, each a process of its own, linked by TLS; every binding committed (fsync) before its ACK, and told to both racks. Kea: two servers, 4 threads, lease files that are not synced; the primary's ACK waits for the standby. dhcpload, 64 at once, ${count} new clients a run of ours, ${few} of Kea's.`,
  async prepare (place): Promise<Prepared> {
    await place.end('bedplate')
    const [ours, kea] = [await pairOf(place), await place.server('Kea, hot standby', () => startKeaPair(place, 'ha', ['10.64.0.41', '10.64.0.42']))]
    await exchanges(place, kea, 2000, { cpus: cores.all })
    return {
      ours: () => exchanges(place, ours, count, { cpus: cores.all }),
      peer: () => exchanges(place, kea, few, { cpus: cores.all }),
      end: () => place.end('Kea, hot standby')
    }
  }
}
