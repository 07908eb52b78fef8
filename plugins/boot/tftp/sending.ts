/** One TFTP transfer's socket: its own port on the local address the request came to, connected to the client, driven by the transfer machine. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { Clock } from '../../../core/plugin.ts'
import { decode, encode, errorCode } from './packet.ts'
import type { Grant, Packet } from './packet.ts'
import { createTransfer } from './transfer.ts'
import type { Step, Transfer } from './transfer.ts'
import type { Content } from './content.ts'
import { openWire } from './socket.ts'
import type { OpenWire, Remote } from './wire.ts'

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

export interface SendingOptions {
  readonly local: string, readonly remote: Remote, readonly clock: Clock
  /** For tests. */
  readonly openWire?: OpenWire
}

export function createSending ({ local, remote, clock, openWire: open = openWire }: SendingOptions): Sending {
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
      const wire = await open(local, remote, {
        received (bytes) {
          const packet = read(bytes)
          if (over || packet === undefined) return
          if (packet.op === 'error') {
            probe = !begun && grant.accepted.has('tsize')
            return settle(packet.code === errorCode.optionRefused ? 'the client refused the options' : `the client ended it: ${packet.message || `error ${packet.code}`}`)
          }
          if (packet.op !== 'ack') return
          begun = true
          perform(machine.acknowledge(packet.block, clock.monotonic()))
        },
        // After the last block that is how many of them say that they have everything.
        gone () { settle(machine.allSent && begun ? null : 'the client closed its port') },
        failed (error) { settle(reasonOf(error)) }
      })
      let round = 0 // a newer step makes the one that still waits for the disk stop
      const sendBlocks = (from: number, to: number): void => {
        const mine = ++round
        const end = Math.min(content.size, to * grant.blockSize)
        let at = (from - 1) * grant.blockSize
        let parts: Uint8Array[] = []
        const take = (part: Uint8Array): void => {
          if (part.length === 0) throw new BedplateError('UNAVAILABLE', { reason: 'the file has become shorter' })
          parts.push(part)
          at += part.length
        }
        const go = (): void | Promise<void> => {
          while (at < end) {
            const part = content.read(at, end - at)
            if (part instanceof Promise) {
              parts = parts.map(one => Buffer.from(one)) // they are good for this turn only
              return part.then(bytes => { if (!over && mine === round) { take(bytes); return go() } })
            }
            take(part)
          }
          wire.blocks(from, to - from + 1, grant.blockSize, parts)
        }
        try { go()?.catch(outcome.reject) } catch (error) { outcome.reject(error) }
      }
      perform = step => {
        if (over) return
        if (step.end === 'done') return settle(null)
        if (step.end === 'silent') {
          sendError('Nothing heard for too long')
          return settle('the client fell silent')
        }
        if (step.send === 'oack') wire.packet(encode({ op: 'oack', options: grant.accepted }))
        else if (step.send !== undefined) sendBlocks(step.send.from, step.send.to)
      }
      sendError = message => { wire.packet(encode({ op: 'error', code: errorCode.undefined, message })) }
      try {
        if (abandoned !== undefined) return abandoned
        transfer = machine
        perform(machine.start(clock.monotonic()))
        return await outcome.promise
      } finally {
        over = true
        await wire.close()
      }
    }
  }
}

const read = (bytes: Buffer): Packet | undefined => {
  try { return decode(bytes) } catch { return undefined } // a broken packet from the client we serve counts as lost
}
