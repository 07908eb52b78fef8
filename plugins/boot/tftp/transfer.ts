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
/** Round trips from here on, in ms, may be the client's own timer, which repeated an ACK that was lost; or a way that long. */
const doubtful = 50
/** The next part of a window does not follow sooner, in ms. */
const shortestPause = 5
/** Of a client that has never acknowledged anything: its address may be forged, or another server has answered it first. */
const patienceAtFirst = 10_000

/** `now` is monotonic, in ms. */
export function createTransfer ({ size, blockSize, windowSize, oack, timeout = 1_000, patience = 30_000 }: TransferOptions): Transfer {
  const last = Math.floor(size / blockSize) + 1 // the final block is always short, if need be empty
  let acknowledged = oack ? -1 : 0 // -1: the OACK has not been answered yet
  let sent = 0
  let at = 0 // the block sent last: less than `sent` while a window goes out again in parts
  let before = oack ? -1 : 0 // what had been sent when the newest blocks left: only an ACK of more can tell the round trip (Karn)
  let begun = false // the client has answered
  let wait = timeout
  let roundTrip: { mean: number, deviation: number } | undefined // of RFC 6298
  let quickest = 0 // ms: the shortest round trip there was; 0: none yet
  let flewAt = 0 // when the newest blocks left
  let deadline = 0
  let heard = 0 // when something new was last acknowledged
  let answered = false // the present window was already sent again because of a repeated ACK
  let missing = false // an ACK that brought nothing says that the client lacks the next block
  let echo = false // an ACK may come because something was sent again which the client had
  let late = 0 // deadlines passed since something new was acknowledged
  let resent = 0
  // A client keeps nothing that follows a gap. Where every fifth packet is lost, or they overtake each other, it takes four blocks of a window of 64, and sixty were sent in vain. A slow
  // client reads all sixty before it says a word; by then they have been sent once more, and it comes to no end (seen in simulation: everything sent a hundred times). So no more leaves at a
  // time than about twice of what arrives in a row; the rest of the window follows if no ACK has come. RFC 7440 leaves this to the sender (section 6).
  let run = windowSize // blocks that arrive before something has to be sent again, on the average; the window at most
  let mark = 0 // what was acknowledged when something had to be sent again
  let reach = windowSize // blocks that leave at a time: all, until several windows in a row were in vain

  const usualWait = (): number => roundTrip === undefined ? timeout : Math.max(shortestWait, roundTrip.mean + Math.max(leastVariance, 4 * roundTrip.deviation))
  /** How long a part of a window is waited for before the next one leaves: twice the round trip. With the wait, by the square of it, that becomes longer: the client may be slow. */
  const pause = (): number => roundTrip === undefined ? wait : Math.min(wait, usualWait(), Math.max(shortestPause, 2 * roundTrip.mean) * (wait / usualWait()) ** 2)
  /** The blocks from `from` on. */
  const send = (now: number, from: number): Step => {
    const end = Math.min(acknowledged + windowSize, last)
    const to = Math.min(from - 1 + reach, end)
    deadline = now + (to < end ? pause() : wait)
    if (to < from) return nothing
    if (sent >= from) {
      resent += Math.min(sent, to) - from + 1
      echo = true
    }
    before = sent
    at = to
    sent = Math.max(sent, to)
    flewAt = now
    return { send: { from, to } }
  }
  /** What was not acknowledged, once more. */
  const again = (now: number): Step => {
    learn(run + (Math.min(acknowledged - mark, windowSize) - run) / 3)
    mark = acknowledged
    missing = false
    return send(now, acknowledged + 1)
  }
  const learn = (blocks: number): void => {
    run = Math.min(blocks, windowSize)
    reach = Math.min(Math.ceil(2 * run) + 1, windowSize)
  }
  /** The wait, from an ACK of something new. */
  const measure = (block: number, sample: number): void => {
    if (block > before || (roundTrip === undefined && block < sent)) {
      quickest = quickest === 0 ? sample : Math.min(quickest, sample)
      if (roundTrip === undefined) roundTrip = { mean: sample, deviation: sample / 2 }
      else {
        roundTrip.deviation += (Math.abs(sample - roundTrip.mean) - roundTrip.deviation) / 4
        roundTrip.mean += (sample - roundTrip.mean) / 8
      }
      wait = usualWait()
    } else if (roundTrip !== undefined && roundTrip.mean >= doubtful && sample < roundTrip.mean) {
      roundTrip.mean = (roundTrip.mean + sample) / 2
      roundTrip.deviation = roundTrip.mean / 2
      quickest = Math.min(quickest, roundTrip.mean)
      wait = usualWait()
    } else if (block < sent) wait = Math.max(usualWait(), wait / 2) // a gap: something was lost, but the client may be slow as well, and at the usual wait everything would be sent again before it answers
    // An ACK of everything leaves the wait as long as it has become: of what was sent twice it tells nothing, and the client may be slow.
    wait = Math.min(timeout, wait)
  }
  /** Whether what was sent last cannot have been answered yet: an ACK that comes now speaks of what was sent before it, and what it misses is under way already. */
  const tooSoon = (now: number): boolean => now - flewAt < quickest / 2
  const advance = (block: number, now: number): void => {
    measure(block, now - flewAt)
    acknowledged = block
    at = Math.max(at, block)
    heard = now
    begun = true
    missing = false
    late = 0
    if (reach < windowSize && block - mark > run) learn(block - mark)
  }

  return {
    start (now) {
      heard = now
      if (!oack) return send(now, 1)
      flewAt = now
      deadline = now + wait
      return { send: 'oack' }
    },
    acknowledge (number, now) {
      if (acknowledged === -1) {
        if (number !== 0) return nothing
        advance(0, now)
        return send(now, 1)
      }
      const block = acknowledged + ((number - acknowledged) & 0xffff)
      if (block > sent) return nothing // old, or never sent
      if (block === acknowledged) {
        begun = true
        // An old ACK once more. With a window of 1, sending again would double every packet from here on (the Sorcerer's
        // Apprentice). With a larger one it says that the first block of the window is missing (RFC 7440): once is enough.
        // And an echo is no such word: a client that was slow, not deaf, acknowledges what it had already.
        if (windowSize === 1 || sent === acknowledged || tooSoon(now)) return nothing
        if (answered) {
          missing = true
          return nothing
        }
        if (echo) {
          echo = false
          return nothing
        }
        answered = true
        return again(now)
      }
      const early = tooSoon(now)
      const whole = block >= at
      if (block === sent && block > before) echo = false // whatever was sent before this window has been answered
      advance(block, now)
      if (block === last) return { end: 'done' }
      answered = false
      if (whole) return send(now, block + 1)
      // Where the window before this one ended: the client had more of that one than its ACK before said, and counts its window
      // from here. What follows is under way, and sending it again would only bring another such ACK: the Apprentice again, in windows.
      if (block === before || early) {
        missing = early
        return reach < windowSize ? nothing : send(now, at + 1)
      }
      answered = true // what follows is sent again because of this ACK, and its echoes say nothing new
      return again(now)
    },
    expire (now) {
      if (now < deadline) return nothing
      if (now - heard >= (begun ? patience : Math.min(patience, patienceAtFirst))) return { end: 'silent' }
      const end = Math.min(acknowledged + windowSize, last)
      // The next part of the window; it may as well be that what left before was lost, or the ACK that said so: each time a little further, then again from its beginning.
      if (acknowledged >= 0 && !missing && at < end && at - acknowledged < reach * 2 ** (late + 1)) return send(now, at + 1)
      answered = false
      if (late++ === 0 && !missing && at >= end && sent - acknowledged > 1) {
        // The end of the window is lost, or its ACK: the last block alone brings an ACK in either case, and tells what is missing.
        resent++
        echo = true
        before = sent
        deadline = now + wait
        return { send: { from: sent, to: sent } }
      }
      wait = Math.min(Math.max(longestWait, timeout), wait * 2)
      if (acknowledged >= 0) return again(now)
      resent++
      before = 0
      flewAt = now
      deadline = now + wait
      return { send: 'oack' }
    },
    get deadline () { return deadline },
    get bytesAcknowledged () { return Math.min(size, Math.max(0, acknowledged) * blockSize) },
    get resent () { return resent },
    get allSent () { return sent === last }
  }
}
