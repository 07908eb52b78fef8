/** A rack that no region answers: every lease is in its own journal, synced, before the ACK. */
import type { Case, Prepared } from '../../area.ts'
import { startBedplate } from '../bedplate.ts'
import { startKeaMemfile } from '../kea.ts'
import { load, rateOf } from '../load.ts'
import type { Place, Server } from '../place.ts'
import { cores } from '../segment.ts'

const count = 20_000
export const journal: Case<Place> = {
  name: 'journal', required: 1.2, peerName: 'Kea, lease file', unit: 'exchanges/s', better: 'higher',
  conditions: `Ours: a rack on core 0 whose region and database are gone, its journal synced (SQLite, fsync) before each ACK. Kea on core 0: its lease file is written, never synced. dhcpload on core 1, 64 at once: ${count} clients that both know ask anew.`,
  async prepare (place): Promise<Prepared> {
    await place.end('bedplate')
    const ours = await place.server('a rack alone', () => startBedplate(place, { name: 'region-gone', region: { address: '10.64.0.51', cpus: cores.all }, racks: [{ name: 'rack-alone', address: '10.64.0.52', cpus: cores.server }] }))
    const kea = await place.server('Kea, lease file', () => startKeaMemfile(place))
    const offset = place.clients(count)
    const again = async (server: Server) => rateOf(await load({ program: place.program, clients: place.segment.clients, server: server.address, count, offset, pids: () => server.pids() }))
    await again(kea)
    const { fault } = await again(ours)
    if (fault !== undefined) place.say(`journal: before the region went: ${fault}`)
    await ours.region.kill()
    return { ours: () => again(ours), peer: () => again(kea), end: async () => { await place.end('a rack alone'); await place.end('Kea, lease file') } }
  }
}
