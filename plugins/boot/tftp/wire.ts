/** The way to one client: a port of its own on the address that was asked, connected, so that strangers' packets never reach it and a client that vanished shows. */

export interface Remote { readonly address: string, readonly port: number }
export interface WireEvents {
  /** `bytes` are the wire's: good until this returns. */
  received(bytes: Buffer): void
  /** The client's port is closed. */
  gone(): void
  /** The socket is of no more use. */
  failed(error: Error): void
}
export interface Wire {
  /** Sends blocks from number `first` on, `count` of them, cut from `data`; the last may be short. What the system has no room for waits in order. */
  blocks(first: number, count: number, blockSize: number, data: readonly Uint8Array[]): void
  /** Sends one packet. */
  packet(bytes: Uint8Array): void
  close(): Promise<void>
}

export type OpenWire = (local: string, remote: Remote, events: WireEvents) => Promise<Wire>
