/** The segment an address is on: who has it there, and telling everybody that we do. */
import type { Clock } from '../clock.ts'
import type { Placement } from './address.ts'
import { announcements, claimant, etherTypeOf, icmp6, probe } from './announcement.ts'
import { openFrames } from './socket.ts'

/** A seam, so that a test needs no interfaces. All throw UNAVAILABLE or PRIVILEGE_MISSING. */
export interface Segment {
  /** Throws when we could neither ask nor tell. */
  check(place: Placement): Promise<void>
  /** The MAC of somebody else who has the address; undefined when nobody says so in time. */
  whoHas(place: Placement): Promise<string | undefined>
  /** Tells everybody once. */
  announce(place: Placement): Promise<void>
}

const times = 2 // a probe may be lost
const patience = 30 // ms after each; a host on the same segment answers within one

export const createSegment = (clock: Clock): Segment => ({
  async check ({ link }) { (await openFrames(link.index, 0)).close() },
  async whoHas ({ address, link }) {
    const socket = await openFrames(link.index, etherTypeOf(address), ...address.family === 6 ? [icmp6] as const : []) // of IPv6 only what may be an answer: a busy host hears too much else
    try {
      for (let time = 0; time < times; time++) {
        socket.send(probe(address, link.mac))
        for (const until = clock.monotonic() + patience; clock.monotonic() < until;) {
          await clock.sleep(5)
          for (let frame = socket.receive(); frame !== undefined; frame = socket.receive()) {
            const mac = claimant(frame, address, link.mac)
            if (mac !== undefined) return mac
          }
        }
      }
      return undefined
    } finally { socket.close() }
  },
  async announce ({ address, link }) {
    const socket = await openFrames(link.index, 0) // hears nothing
    try { for (const frame of announcements(address, link.mac)) socket.send(frame) } finally { socket.close() }
  }
})
