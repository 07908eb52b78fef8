/** REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: SPC-4 sections 6.35 and 6.36. Pure. */
import { give } from './command.ts'
import type { Give } from './command.ts'
import { Failure, sense } from './sense.ts'

export interface Described {
  readonly opcode: number
  /** Of an opcode that stands for several commands. */
  readonly action?: number
  /** Which bits of the CDB mean something: hexadecimal, as long as the CDB, the opcode first. */
  readonly usage: string
}

/** Command timeouts descriptor without any recommendation: section 6.35.4. */
const timeouts = Buffer.from('000a00000000000000000000', 'hex')

export function supportedOpcodes (cdb: Buffer, all: readonly Described[]): Give {
  const [withTimeouts, option, opcode, action, allocated] = [((cdb[2] ?? 0) & 0x80) !== 0, (cdb[2] ?? 0) & 7, cdb[3] ?? 0, cdb.readUInt16BE(4), cdb.readUInt32BE(6)]
  if (option === 0) {
    const body = Buffer.concat(all.flatMap(one => [descriptor(one, withTimeouts), ...withTimeouts ? [timeouts] : []]))
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length, 0)
    return give(Buffer.concat([head, body]), allocated)
  }
  const named = all.filter(one => one.opcode === opcode)
  const several = named.some(one => one.action !== undefined)
  if (option > 3 || (option === 1 && several)) throw new Failure(sense.invalidField(2))
  if (option === 2 && named.length > 0 && !several) throw new Failure(sense.invalidField(2))
  const found = named.find(one => several ? one.action === action : option !== 3 || action === 0)
  const usage = Buffer.from(found?.usage ?? '', 'hex')
  const head = Buffer.alloc(4)
  head[1] = (found === undefined ? 1 : 3) | (withTimeouts && found !== undefined ? 0x80 : 0)
  head.writeUInt16BE(usage.length, 2)
  return give(Buffer.concat([head, usage, ...withTimeouts && found !== undefined ? [timeouts] : []]), allocated)
}

function descriptor ({ opcode, action, usage }: Described, withTimeouts: boolean): Buffer {
  const bytes = Buffer.alloc(8)
  bytes[0] = opcode
  bytes.writeUInt16BE(action ?? 0, 2)
  bytes[5] = (withTimeouts ? 2 : 0) | (action === undefined ? 0 : 1)
  bytes.writeUInt16BE(usage.length / 2, 6)
  return bytes
}

/** Abort task, abort task set, clear task set, logical unit reset, query task; I_T nexus reset, query task set, query asynchronous event. */
export const supportedFunctions = (cdb: Buffer): Give => give(Buffer.concat([Buffer.of(0x80 | 0x40 | 0x10 | 0x08 | 0x01, 0x01 | 0x02 | 0x04), Buffer.of(0, ((cdb[2] ?? 0) & 0x80) !== 0 ? 12 : 0), ...((cdb[2] ?? 0) & 0x80) !== 0 ? [Buffer.alloc(12)] : []]), cdb.readUInt32BE(6))
