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
  /** Wait before sending again, in ms, while the round trip is unknown; the client's own wish if it had one. */
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
  readonly resent: number
  /** Every block has been sent at least once. */
  readonly allSent: boolean
}

const nothing: Step = {}
const shortestWait = 100
const longestWait = 5_000

/** `now` is monotonic, in ms. */
export function createTransfer ({ size, blockSize, windowSize, oack, timeout = 1_000, patience = 30_000 }: TransferOptions): Transfer {
  const last = Math.floor(size / blockSize) + 1 // the final block is always short, if need be empty
  let acknowledged = oack ? -1 : 0 // -1: the OACK has not been answered yet
  let sent = 0
  let wait = timeout
  let deadline = 0
  let heard = 0 // when something new was last acknowledged
  let sentAt: number | undefined // when the newest window went out for the first time; undefined once repeated (Karn)
  let answered = false // the present window was already sent again because of a repeated ACK
  let resent = 0

  const window = (now: number, repeat: boolean): Step => {
    const from = acknowledged + 1
    const to = Math.min(acknowledged + windowSize, last)
    if (sent >= from) resent += sent - from + 1
    sentAt = repeat || sent >= from ? undefined : now
    sent = Math.max(sent, to)
    deadline = now + wait
    return { send: { from, to } }
  }
  const measure = (now: number): void => {
    if (sentAt !== undefined) wait = Math.min(timeout, Math.max(shortestWait, 8 * (now - sentAt)))
    else wait = Math.min(timeout, Math.max(shortestWait, wait))
  }

  return {
    start (now) {
      heard = now
      if (!oack) return window(now, false)
      deadline = now + wait
      sentAt = now
      return { send: 'oack' }
    },
    acknowledge (number, now) {
      if (acknowledged === -1) {
        if (number !== 0) return nothing
        acknowledged = 0
        heard = now
        measure(now)
        return window(now, false)
      }
      const block = acknowledged + ((number - acknowledged) & 0xffff)
      if (block > sent) return nothing // old, or never sent
      if (block === acknowledged) {
        // An old ACK once more. With a window of 1, sending again would double every packet from here on (the Sorcerer's
        // Apprentice). With a larger one it says that the first block of the window is missing (RFC 7440): once is enough.
        if (windowSize === 1 || answered || sent === acknowledged) return nothing
        answered = true
        return window(now, true)
      }
      measure(now)
      acknowledged = block
      heard = now
      if (acknowledged === last) return { end: 'done' }
      answered = acknowledged < sent // a gap: what follows is sent again because of this ACK, and its echoes say nothing new
      return window(now, false)
    },
    expire (now) {
      if (now < deadline) return nothing
      if (now - heard >= patience) return { end: 'silent' }
      wait = Math.min(Math.max(longestWait, timeout), wait * 2)
      answered = false
      if (acknowledged === -1) {
        resent++
        sentAt = undefined
        deadline = now + wait
        return { send: 'oack' }
      }
      return window(now, true)
    },
    get deadline () { return deadline },
    get bytesAcknowledged () { return Math.min(size, Math.max(0, acknowledged) * blockSize) },
    get resent () { return resent },
    get allSent () { return sent === last }
  }
}
