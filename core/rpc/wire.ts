/** A wire: an ordered, reliable pipe for text frames. A socket or a pair of ends in one process. */
import type { WebSocket } from 'ws'

export interface Wire {
  readonly name: string // where it goes, for people
  /** The controller the peer's certificate names, where it has been looked at. */
  readonly controller?: string | undefined
  send(text: string): void // never throws; a closed wire drops it
  /** Where both ends are in one process: takes a copy of a frame instead of its text, and the size that would have. */
  hand?(copy: unknown, size: number): void
  close(reason: string): void
  /** Called once, before anything else happens on the wire. `closed` comes exactly once. */
  listen(received: (message: unknown) => void, closed: (reason: string) => void): void
  /** A number that grows whenever the peer was heard, half-received frames included. */
  heard(): number
  /** Bytes accepted by send() that have not left yet. */
  waiting(): number
}

const clip = (reason: string): string => Buffer.byteLength(reason) <= 120 ? reason : Buffer.from(reason).subarray(0, 100).toString('utf8').replace(/\uFFFD+$/, '') + '…'

/** A wire over an open WebSocket. `received` counts the bytes its socket took in. */
export function socketWire (socket: WebSocket, name: string, received: () => number, controller?: string): Wire {
  let reason: string | undefined
  return {
    name,
    controller,
    send: text => { if (socket.readyState === socket.OPEN) socket.send(text, () => {}) },
    close (why) {
      reason ??= why
      socket.close(4000, clip(why))
      // A hung peer never answers the close; do not wait for it.
      setTimeout(() => { socket.terminate() }, 200).unref()
    },
    listen (onText, onClosed) {
      socket.on('message', (data, binary) => { onText(binary ? '' : String(data)) })
      socket.on('error', error => { reason ??= error.message })
      socket.once('close', (code, said) => { onClosed(reason ?? (String(said) || `the connection ended (${code})`)) })
    },
    heard: received,
    waiting: () => socket.bufferedAmount
  }
}
