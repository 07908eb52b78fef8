/** One TFTP transfer's socket: its own port on the local address the request came to, connected to the client, driven by the transfer machine. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo } from 'node:dgram'
import { reasonOf } from '../../../core/errors.ts'
import type { Clock } from '../../../core/plugin.ts'
import { decode, encode, encodeData, errorCode } from './packet.ts'
import type { Grant, Packet } from './packet.ts'
import { createTransfer } from './transfer.ts'
import type { Step, Transfer } from './transfer.ts'
import type { Content } from './content.ts'

export interface Sending {
  /** Sends it all. Resolves with null, or with why not; rejects when the content or the socket fails. To be called once. */
  run(content: Content, grant: Grant, patience: number): Promise<string | null>
  /** Looks whether something has to be sent again. */
  expire(now: number): void
  /** Tells the client that it is over, and ends. */
  abandon(reason: string): void
  /** The client has acknowledged something. */
  readonly begun: boolean
  /** The client only wanted to know the size (RFC 2349): it asked with `tsize` and ended the transfer before it began. */
  readonly probe: boolean
  readonly bytes: number
  readonly resent: number
}

export function createSending ({ local, remote, clock }: { readonly local: string, readonly remote: RemoteInfo, readonly clock: Clock }): Sending {
  const outcome = Promise.withResolvers<string | null>()
  let transfer: Transfer | undefined
  let perform: (step: Step) => void = () => {}
  let sendError: (message: string) => void = () => {}
  let over = false
  let begun = false
  let probe = false
  let abandoned: string | undefined

  const settle = (failure: string | null): void => { over = true; outcome.resolve(failure) }

  return {
    get begun () { return begun },
    get probe () { return probe },
    get bytes () { return transfer?.bytesAcknowledged ?? 0 },
    get resent () { return transfer?.resent ?? 0 },
    expire (now) {
      if (!over && transfer !== undefined && now >= transfer.deadline) perform(transfer.expire(now))
    },
    abandon (reason) {
      abandoned ??= reason
      if (over) return
      sendError(reason)
      settle(reason)
    },
    async run (content, grant, patience) {
      if (abandoned !== undefined) return abandoned
      const machine = createTransfer({ size: content.size, blockSize: grant.blockSize, windowSize: grant.windowSize, oack: grant.accepted.size > 0, patience, ...(grant.timeout === undefined ? {} : { timeout: grant.timeout }) })
      const socket = createSocket({ type: remote.family === 'IPv6' ? 'udp6' : 'udp4', sendBufferSize: 1 << 20 })
      let round = 0 // a newer step makes the one that still waits for the disk stop

      const sendBlocks = async (from: number, to: number): Promise<void> => {
        const mine = ++round
        for (let block = from; block <= to; block++) {
          const read = content.read((block - 1) * grant.blockSize, grant.blockSize)
          const data = read instanceof Promise ? await read : read
          if (over || mine !== round) return
          socket.send(encodeData(block, data))
        }
      }
      perform = step => {
        if (over) return
        if (step.end === 'done') return settle(null)
        if (step.end === 'silent') {
          sendError('Nothing heard for too long')
          return settle('the client fell silent')
        }
        if (step.send === 'oack') socket.send(encode({ op: 'oack', options: grant.accepted }))
        else if (step.send !== undefined) sendBlocks(step.send.from, step.send.to).catch(outcome.reject)
      }
      sendError = message => { socket.send(encode({ op: 'error', code: errorCode.undefined, message })) }

      try {
        await bound(socket, local, remote)
        if (abandoned !== undefined) return abandoned
        socket.on('error', (error: NodeJS.ErrnoException) => {
          // Port unreachable: the client has gone. After the last block that is how many of them say that they have everything.
          if (error.code === 'ECONNREFUSED') settle(machine.allSent && begun ? null : 'the client closed its port')
          else if (error.code !== 'ENOBUFS' && error.code !== 'EAGAIN') settle(reasonOf(error)) // a full queue is a lost packet
        })
        socket.on('message', bytes => {
          const packet = read(bytes)
          if (over || packet === undefined) return
          if (packet.op === 'error') {
            probe = !begun && grant.accepted.has('tsize')
            return settle(packet.code === errorCode.optionRefused ? 'the client refused the options' : `the client ended it: ${packet.message || `error ${packet.code}`}`)
          }
          if (packet.op !== 'ack') return
          begun = true
          perform(machine.acknowledge(packet.block, clock.monotonic()))
        })
        transfer = machine
        perform(machine.start(clock.monotonic()))
        return await outcome.promise
      } finally {
        over = true
        await new Promise<void>(resolve => { socket.close(resolve) })
      }
    }
  }
}

const read = (bytes: Buffer): Packet | undefined => {
  try { return decode(bytes) } catch { return undefined } // a broken packet from the client we serve counts as lost
}

/** Connected, so that the system drops strangers' packets and says when the client's port is closed. */
const bound = (socket: ReturnType<typeof createSocket>, local: string, remote: RemoteInfo): Promise<void> => new Promise((resolve, reject) => {
  socket.once('error', reject)
  socket.bind({ address: local, port: 0, exclusive: true }, () => socket.connect(remote.port, remote.address, (error?: Error) => {
    socket.removeAllListeners('error')
    if (error === undefined) resolve()
    else reject(error)
  }))
})
