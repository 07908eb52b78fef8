/** One TFTP read, as the server sees it: acknowledgements and time in, blocks to send out. Pure: knows numbers of blocks, not their bytes. */

/** Blocks are numbered from 1 without roll-over; the packet carries the number modulo 65536. */
export interface Step {
  readonly send?: 'oack' | { readonly from: number, readonly to: number }
  readonly end?: 'done' | 'silent' // silent: nothing was heard for too long
}
export interface TransferOptions {
  readonly size: number, readonly blockSize: number, readonly windowSize: number
  /** Whether options were accepted: the transfer then begins with an OACK. */
  readonly oack: boolean
  /** Wait before sending again, in ms, while the round trip is unknown, and never more than that for the first time; the client's own wish if it had one. */
  readonly timeout?: number
  /** Nothing new acknowledged for this long, in ms, ends the transfer. */
  readonly patience?: number
}
export interface Transfer {
  start(now: number): Step
  /** An ACK with the block number of the packet, modulo 65536. */
  acknowledge(number: number, now: number): Step
  /** To be called when `deadline` has passed. */
  expire(now: number): Step
  readonly deadline: number
  readonly bytesAcknowledged: number
  /** Packets sent more than once. */
  readonly resent: number
  /** Every block has been sent at least once. */
  readonly allSent: boolean
}

const nothing: Step = {}
/** Shorter waits would only catch the client's scheduler; longer ones are what a lossy network costs. A client that needs longer to answer is measured to. */
const shortestWait = 20
const leastVariance = 10
const longestWait = 5_000
/** Of a client that has never acknowledged anything: its address may be forged, or another server has answered it first. */
const patienceAtFirst = 10_000

/** `now` is monotonic, in ms. */
export function createTransfer ({ size, blockSize, windowSize, oack, timeout = 1_000, patience = 30_000 }: TransferOptions): Transfer {
  const last = Math.floor(size / blockSize) + 1 // the final block is always short, if need be empty
  let acknowledged = oack ? -1 : 0 // -1: the OACK has not been answered yet
  let sent = 0
  let before = 0 // the last block sent when the present window was begun
  let begun = false // something was acknowledged
  let wait = timeout
  let roundTrip: { mean: number, deviation: number } | undefined // of RFC 6298
  let quickest = 0 // ms: the shortest round trip there was; 0: none yet
  let flewAt = 0 // when blocks of the present window were last sent, all of them or what was new
  let deadline = 0
  let heard = 0 // when something new was last acknowledged
  let sentAt: number | undefined // when the newest window went out for the first time; undefined once any of it was repeated (Karn)
  let answered = false // the present window was already sent again because of a repeated ACK
  let echoes = 0 // ACKs that may come because something was sent again which the client had
  let late = 0 // deadlines passed since something new was acknowledged
  let resent = 0

  /** The blocks from `from` to the end of the window. */
  const window = (now: number, from = acknowledged + 1): Step => {
    const to = Math.min(acknowledged + windowSize, last)
    if (sent >= from) {
      resent += sent - from + 1
      echoes++
    }
    sentAt = from === acknowledged + 1 && from > sent ? now : undefined
    before = sent
    sent = Math.max(sent, to)
    if (to >= from) flewAt = now
    deadline = now + wait
    return to < from ? nothing : { send: { from, to } }
  }
  const measure = (now: number): void => {
    const sample = sentAt === undefined ? undefined : now - sentAt
    if (sample !== undefined) quickest = quickest === 0 ? sample : Math.min(quickest, sample)
    if (sample !== undefined && roundTrip !== undefined) {
      roundTrip.deviation += (Math.abs(sample - roundTrip.mean) - roundTrip.deviation) / 4
      roundTrip.mean += (sample - roundTrip.mean) / 8
    } else if (sample !== undefined) roundTrip = { mean: sample, deviation: sample / 2 }
    if (roundTrip !== undefined) wait = Math.max(shortestWait, roundTrip.mean + Math.max(leastVariance, 4 * roundTrip.deviation))
  }
  /** Whether what was sent last cannot have been answered yet: an ACK that comes now speaks of what was sent before it, and what it misses is under way already. */
  const tooSoon = (now: number): boolean => now - flewAt < quickest / 2
  const advance = (block: number, now: number): void => {
    // Without a round trip to go by the wait stays as long as it has become: the client may be slow. A gap says that something was lost.
    if (sentAt !== undefined || block < sent) measure(now)
    wait = Math.min(timeout, wait)
    acknowledged = block
    heard = now
    begun = true
    late = 0
  }

  return {
    start (now) {
      heard = now
      if (!oack) return window(now)
      deadline = now + wait
      sentAt = now
      return { send: 'oack' }
    },
    acknowledge (number, now) {
      if (acknowledged === -1) {
        if (number !== 0) return nothing
        advance(0, now)
        return window(now)
      }
      const block = acknowledged + ((number - acknowledged) & 0xffff)
      if (block > sent) return nothing // old, or never sent
      if (block === acknowledged) {
        // An old ACK once more. With a window of 1, sending again would double every packet from here on (the Sorcerer's
        // Apprentice). With a larger one it says that the first block of the window is missing (RFC 7440): once is enough.
        // And an echo is no such word: a client that was slow, not deaf, acknowledges what it had already.
        if (windowSize === 1 || answered || sent === acknowledged || tooSoon(now)) return nothing
        if (echoes > 0) {
          echoes--
          return nothing
        }
        answered = true
        return window(now)
      }
      const early = tooSoon(now)
      advance(block, now)
      if (block === last) return { end: 'done' }
      if (block === sent && sentAt !== undefined) echoes = 0 // whatever was sent before this window has been answered
      // Where the window before this one ended: the client had more of that one than its ACK before said, and counts its window
      // from here. What follows is under way, and sending it again would only bring another such ACK: the Apprentice again, in windows.
      if (block < sent && (block === before || early)) {
        answered = false
        return window(now, sent + 1)
      }
      answered = block < sent // a gap: what follows is sent again because of this ACK, and its echoes say nothing new
      return window(now)
    },
    expire (now) {
      if (now < deadline) return nothing
      if (now - heard >= (begun ? patience : Math.min(patience, patienceAtFirst))) return { end: 'silent' }
      answered = false
      if (late++ === 0 && sent - acknowledged > 1) {
        // The end of the window is lost, or its ACK: the last block alone brings an ACK in either case, and tells what is missing.
        resent++
        echoes++
        sentAt = undefined
        deadline = now + wait
        return { send: { from: sent, to: sent } }
      }
      wait = Math.min(Math.max(longestWait, timeout), wait * 2)
      if (acknowledged >= 0) return window(now)
      resent++
      sentAt = undefined
      deadline = now + wait
      return { send: 'oack' }
    },
    get deadline () { return deadline },
    get bytesAcknowledged () { return Math.min(size, Math.max(0, acknowledged) * blockSize) },
    get resent () { return resent },
    get allSent () { return sent === last }
  }
}
