/** A wire: an ordered, reliable pipe for text frames. A socket or a pair of ends in one process. */
import type { EventEmitter } from 'node:events'
import type { WebSocket } from 'ws'

interface Stream extends EventEmitter { readonly bytesRead: number }

export interface Wire {
  readonly name: string // where it goes, for people
  /** The controller the peer's certificate names, where it has been looked at. */
  readonly controller?: string | undefined
  send(text: string): void // never throws; a closed wire drops it
  /** Where both ends are in one process: takes a copy of a frame instead of its text, and the size that would have. */
  hand?(copy: unknown, size: number): void
  close(reason: string): void
  /** Called once, before anything else happens on the wire. `closed` comes exactly once. `peer`: the other end closed the connection, or its system did when the process ended. */
  listen(received: (message: unknown) => void, closed: (reason: string, peer?: boolean) => void): void
  /** A number that grows whenever the peer was heard, half-received frames included. */
  heard(): number
  /** Bytes accepted by send() that have not left yet. */
  waiting(): number
}

const clip = (reason: string): string => Buffer.byteLength(reason) <= 120 ? reason : Buffer.from(reason).subarray(0, 100).toString('utf8').replace(/\uFFFD+$/, '') + '…'

/** A wire over an open WebSocket on this stream, whose `bytesRead` count. */
export function socketWire (socket: WebSocket, name: string, stream: Stream | undefined, controller?: string): Wire {
  let reason: string | undefined
  // What comes from the other system: the end of its data, or the word that it knows no such connection. A route that is lost or a write that is not confirmed says nothing of it.
  let peer = false
  let mine = false // this end closed first
  stream?.once('end', () => { peer = true })
  stream?.once('error', (error: NodeJS.ErrnoException) => { peer ||= error.code === 'ECONNRESET' })
  return {
    name,
    controller,
    send: text => { if (socket.readyState === socket.OPEN) socket.send(text, () => {}) },
    close (why) {
      mine ||= reason === undefined && !peer
      reason ??= why
      socket.close(4000, clip(why))
      // A hung peer never answers the close; do not wait for it.
      setTimeout(() => { socket.terminate() }, 200).unref()
    },
    listen (onText, onClosed) {
      socket.on('message', (data, binary) => { onText(binary ? '' : String(data)) })
      socket.on('error', error => { reason ??= error.message })
      socket.once('close', (code, said) => { onClosed(reason ?? (String(said) || `the connection ended (${code})`), (peer || code !== 1006) && !mine) })
    },
    heard: () => stream?.bytesRead ?? 0,
    waiting: () => socket.bufferedAmount
  }
}
