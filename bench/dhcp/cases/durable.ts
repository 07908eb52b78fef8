/** The rate at which clients nobody has seen get an address, each stored in PostgreSQL before its ACK; beside Kea and ISC dhcpd, with what each of them keeps. */
import type { Case, Prepared } from '../../area.ts'
import { startBedplate } from '../bedplate.ts'
import type { Bedplate } from '../bedplate.ts'
import { startIsc } from '../isc.ts'
import { startKeaMemfile, startKeaPostgresql } from '../kea.ts'
import { load, perfdhcp, rateOf } from '../load.ts'
import type { Run } from '../../figures.ts'
import type { Place, Server } from '../place.ts'
import { cores } from '../segment.ts'

export const single = (place: Place): Promise<Bedplate> => place.server('bedplate', async () => {
  const bedplate = await startBedplate(place, { name: 'bedplate', region: { address: '10.64.0.1' } })
  await exchanges(place, bedplate, 20_000) // its code is compiled while it runs
  return bedplate
})

export const exchanges = async (place: Place, server: Server, count: number, more: { readonly rate?: number, readonly window?: number, readonly cpus?: string } = {}) =>
  rateOf(await load({ program: place.program, clients: place.segment.clients, server: server.address, count, offset: place.clients(count), pids: () => server.pids(), ...more }))

interface Options { readonly name: string, readonly required: number | null, readonly peerName: string, readonly kept: string, readonly peer: (place: Place) => Promise<Server>, readonly count: number, readonly few: number, readonly pinned?: boolean, readonly last?: string }

const durable = ({ name, required, peerName, kept, peer, count, few, pinned = false, last }: Options): Case<Place> => ({
  name, required, peerName, unit: 'exchanges/s', better: 'higher',
  conditions: `Ours: region and rack in one process on core 0, every binding committed (fsync) in PostgreSQL before its ACK; PostgreSQL ${pinned ? 'on core 0 too' : 'on either core'}. ${peerName} on core 0: ${kept}. dhcpload on core 1, 64 at once, ${count} new clients a run of ours, ${few} of the peer's.`,
  async prepare (place): Promise<Prepared> {
    const [ours, other] = [await single(place), await place.server(peerName, () => peer(place))]
    await exchanges(place, other, Math.min(few, 3000))
    return {
      async ours () {
        if (pinned) await place.database.pin(cores.server)
        try { return await exchanges(place, ours, count) } finally { if (pinned) await place.database.pin(cores.all) }
      },
      peer: () => exchanges(place, other, few),
      async end () { if (last !== undefined) await place.end(last) }
    }
  }
})

const asked = 8000
/** The same servers asked by another generator, as far as that one can be trusted. */
const crossCheck: Case<Place> = {
  name: 'perfdhcp', required: null, peerName: 'Kea, lease file', unit: 'exchanges/s', better: 'higher',
  conditions: `Ours and Kea as in durable-1core, asked by Kea's perfdhcp on core 1: ${asked} new clients a second for 3 s. Beyond that rate its own receive buffer drops what it is sent.`,
  async prepare (place): Promise<Prepared> {
    const [ours, other] = [await single(place), await place.server('Kea, lease file', () => startKeaMemfile(place))]
    const ask = async (server: Server): Promise<Run> => {
      const told = await perfdhcp(place.segment.clients, server.address, asked, 3)
      return told === undefined ? { value: Number.NaN, fault: 'perfdhcp gave no result' } : { value: told.rate, details: { drops: told.drops } }
    }
    return { ours: () => ask(ours), peer: () => ask(other), end: () => place.end('Kea, lease file') }
  }
}

const keaMemfile = { peerName: 'Kea, lease file', kept: 'its lease file is written, never synced', peer: startKeaMemfile }
export const cases: readonly Case<Place>[] = [
  durable({ name: 'durable-1core', required: 1.5, ...keaMemfile, count: 20_000, few: 20_000 }),
  durable({ name: 'durable-1core-all', required: null, ...keaMemfile, count: 12_000, few: 12_000, pinned: true }),
  crossCheck,
  durable({ name: 'durable-pg', required: 10, peerName: 'Kea, PostgreSQL', kept: '16 threads, each lease committed (fsync) in the same PostgreSQL, on either core', peer: startKeaPostgresql, count: 15_000, few: 3000, last: 'Kea, PostgreSQL' }),
  durable({ name: 'durable-isc', required: 12, peerName: 'ISC dhcpd', kept: 'its lease file is synced before each ACK', peer: startIsc, count: 15_000, few: 3000, last: 'ISC dhcpd' })
]
