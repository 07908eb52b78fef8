/** A client and a bad network in virtual time around the transfer machine: packets are lost, doubled, late; clients stall; the same seed does the same. */
import { createTransfer } from '../../../../plugins/boot/tftp/transfer.ts'
import type { TransferOptions } from '../../../../plugins/boot/tftp/transfer.ts'
import { createDice } from '../../../sim/dice.ts'

/**
 * What a client says to a block it has. silent: nothing. last: acknowledges its newest block again when that comes again, as most do. each: acknowledges again for every old block.
 * What it says to a block too far on: once: the last good one, until it goes on. always: for each of them.
 */
export interface Habits { readonly old: 'silent' | 'last' | 'each', readonly gap: 'once' | 'always' }
export interface Channel {
  readonly seed: number
  /** Chance of each packet to be lost, and to come twice. */
  readonly loss?: number, readonly twice?: number
  /** ms one way, and at most so much more by chance; with it packets overtake each other. */
  readonly delay?: number, readonly jitter?: number
  /** Chance, at each packet heard, that the client does something else for so many ms. */
  readonly stall?: number, readonly stallFor?: number
  /** ms without a packet until the client says its last ACK again. */
  readonly askAgain?: number
}
export interface Download {
  /** endless: broken off, after everything was sent a hundred times. */
  readonly end: 'done' | 'silent' | 'endless'
  /** Blocks the client has in order. */
  readonly got: number
  readonly last: number
  /** Blocks that were sent, and ACKs. */
  readonly blocks: number, readonly acks: number
  readonly resent: number
  /** Any ACK reached the server. */
  readonly begun: boolean
  /** ms until the client had everything. */
  readonly took: number
}

interface Parcel { readonly at: number, readonly order: number, readonly to: 'client' | 'server', readonly block: number }

export function download (options: TransferOptions, habits: Habits, { seed, loss = 0, twice = 0, delay = 0.1, jitter = 0, stall = 0, stallFor = 100, askAgain = 1_000 }: Channel): Download {
  const dice = createDice(seed)
  const sender = createTransfer(options)
  const last = Math.floor(options.size / options.blockSize) + 1
  const wire: Parcel[] = []
  let [now, order, blocks, acks, took] = [0, 0, 0, 0, 0]
  let got = options.oack ? -1 : 0
  let inWindow = 0
  let gapTold = false
  let busyUntil = 0
  let heard = 0
  const post = (to: 'client' | 'server', block: number): void => {
    if (dice.chance(loss)) return
    for (let copies = dice.chance(twice) ? 2 : 1; copies > 0; copies--) {
      const parcel = { at: now + delay + dice.random() * jitter, order: order++, to, block }
      const place = wire.findLastIndex(other => other.at <= parcel.at)
      wire.splice(place + 1, 0, parcel)
    }
  }
  const acknowledge = (): void => { inWindow = 0; acks++; heard = now; post('server', got & 0xffff) }
  const hear = (block: number): void => {
    if (block === -1) { if (got === -1) got = 0; if (got === 0) acknowledge() } else if (got === -1) return
    else if (block === got + 1) {
      got++
      heard = now
      gapTold = false
      if (got === last) took = now
      if (++inWindow === options.windowSize || got === last) acknowledge()
    } else if (block > got) {
      if (!gapTold || habits.gap === 'always') acknowledge()
      gapTold = true
    } else if (habits.old === 'each' || (habits.old === 'last' && block === got)) acknowledge()
  }
  let begun = false
  let step = sender.start(now)
  for (;;) {
    if (step.send === 'oack') post('client', -1)
    else if (step.send !== undefined) for (let block = step.send.from; block <= step.send.to; block++) { blocks++; post('client', block) }
    if (step.end !== undefined || blocks > 100 * last + 1000) return { end: step.end ?? 'endless', got, last, blocks, acks, resent: sender.resent, begun, took }
    step = {}
    const next = wire.find(({ to }) => to === 'server' || now >= busyUntil) ?? wire[0]
    const due = next === undefined ? Infinity : next.to === 'client' ? Math.max(next.at, busyUntil) : next.at
    const again = Math.max(heard + askAgain, busyUntil)
    const first = Math.min(due, sender.deadline, got === last ? Infinity : again)
    now = Math.max(now, first)
    if (next !== undefined && due <= first) {
      wire.splice(wire.indexOf(next), 1)
      if (next.to === 'server') {
        begun = true
        step = sender.acknowledge(next.block, now)
      }
      else {
        if (dice.chance(stall)) busyUntil = now + stallFor
        hear(next.block)
      }
    } else if (sender.deadline <= first) step = sender.expire(now)
    else { heard = now; if (got >= 0) acknowledge() }
  }
}
