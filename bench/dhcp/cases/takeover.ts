/** The answering rack is killed under load: for how long does nobody get an address? */
import type { Case, Prepared } from '../../area.ts'
import type { Run } from '../../figures.ts'
import { startDaemon } from '../bedplate.ts'
import type { Daemon } from '../bedplate.ts'
import { startKeaPair } from '../kea.ts'
import type { Place } from '../place.ts'
import { startClients } from '../clients.ts'
import { cores } from '../segment.ts'
import { pairOf } from './pair.ts'

const [before, after] = [1500, 6000] // ms of load
/** Clients ask all servers; `kill` ends the one that answers. */
async function silence (place: Place, servers: readonly string[], kill: () => Promise<void>): Promise<Run> {
  const clients = startClients(place.segment.clients, { t: 'arrive', servers, perSecond: 100, first: place.clients(4000), relay: '10.64.0.3' })
  try {
    await clients.wait(before)
    const at = clients.now()
    await kill()
    await clients.wait(after)
    const { acks, waits, unanswered } = await clients.report()
    const last = acks.filter(time => time <= at).at(-1)
    if (last === undefined) return { value: Number.NaN, fault: 'nobody was answered before the kill' }
    const following = acks.filter(time => time > last)
    const gaps = following.map((time, index) => time - (following[index - 1] ?? last))
    const details = { 'answered before': acks.length - following.length, 'answered after': following.length, 'the longest wait of one client ms': Math.max(...waits), 'still waiting at the end': unanswered }
    if (following.length === 0) return { value: after, details, fault: 'nobody was answered after the kill' }
    return { value: Math.max(...gaps), details }
  } finally { await clients.stop() }
}

export const takeover: Case<Place> = {
  name: 'takeover', required: 2, peerName: 'Kea, hot standby', unit: 'ms', better: 'lower',
  conditions: 'SIGKILL of the server that answers, while 100 clients a second arrive; each asks again after a second without an answer, and a relay sends what it says to both servers. The longest time in which nobody got an ACK. Kea tuned: heartbeat 1 s, max-response-delay 3 s, max-unacked-clients 0.',
  async prepare (place): Promise<Prepared> {
    const ours = await pairOf(place)
    const [first, second] = ours.racks
    if (first === undefined || second === undefined) throw new TypeError('a pair has two racks')
    let alive: Daemon | undefined = first
    return {
      async ours () {
        alive ??= await startDaemon(place, { name: first.host.name, address: first.address, cpus: cores.all, settings: undefined })
        await clientsAnswered(place, alive.address)
        const killed = alive
        alive = undefined
        return await silence(place, [first.address, second.address], () => killed.kill())
      },
      async peer (round) {
        const kea = await place.server('Kea for takeover', () => startKeaPair(place, `to${round}`, [`10.64.1.${2 * round + 1}`, `10.64.1.${2 * round + 2}`]))
        try { return await silence(place, [kea.address, kea.standby], () => kea.kill()) } finally { await place.end('Kea for takeover') }
      },
      end: async () => { await alive?.stop(); await place.end('the pair') }
    }
  }
}

/** Resolves when it answers. */
async function clientsAnswered (place: Place, server: string): Promise<void> {
  const clients = startClients(place.segment.clients, { t: 'arrive', servers: [server], perSecond: 20, first: place.clients(1000), relay: '10.64.0.3' })
  try {
    for (let tries = 0; tries < 100; tries++) {
      await clients.wait(200)
      if ((await clients.report()).acks.length > 0) return
    }
  } finally { await clients.stop() }
}
