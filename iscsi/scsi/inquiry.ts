/** INQUIRY: what a unit is. SPC-4 sections 6.6 and 7.8, SBC-3 section 6.6. Pure. */
import { createHash } from 'node:crypto'
import { give } from './command.ts'
import type { Give } from './command.ts'
import { limits } from './limits.ts'
import { Failure, sense } from './sense.ts'

export interface Identity {
  readonly target: string
  readonly portalGroup: number
  /** At most 36 characters; of the medium, wherever it is served. */
  readonly serial: string
  readonly thin: boolean
  readonly blockLength: number
}

const vendor = 'BEDPLATE'
const product = 'VIRTUAL-DISK'
const revision = '0001'
const padded = (text: string, length: number): Buffer => Buffer.from(text.slice(0, length).padEnd(length), 'ascii')

/** SAM-5, SPC-4, SBC-3, iSCSI: SPC-4 table 175. */
const versions = [0x00a0, 0x0460, 0x04c0, 0x0960]

/** NAA IEEE registered extended would need a company's number; "locally assigned" (3h) needs none: 60 bits of the serial's hash. SPC-4 section 7.8.6.6.4 */
export const naaOf = (serial: string): Buffer => {
  const bytes = createHash('sha256').update(serial).digest().subarray(0, 8)
  bytes[0] = 0x30 | (bytes[0] ?? 0) & 0x0f
  return bytes
}

/** `present`: whether the LUN exists; one that does not is told so in the first byte. */
export function inquiry (cdb: Buffer, identity: Identity | undefined): Give {
  const [evpd, page, allocated] = [(cdb[1] ?? 0) & 1, cdb[2] ?? 0, cdb.readUInt16BE(3)]
  if (((cdb[1] ?? 0) & ~1) !== 0) throw new Failure(sense.invalidField(1))
  if (evpd === 0) {
    if (page !== 0) throw new Failure(sense.invalidField(2))
    return give(standard(identity !== undefined), allocated)
  }
  const make = identity === undefined ? undefined : pages.get(page)
  if (identity === undefined || make === undefined) throw new Failure(sense.invalidField(2))
  const body = make(identity)
  const head = Buffer.alloc(4)
  head[1] = page
  head.writeUInt16BE(body.length, 2)
  return give(Buffer.concat([head, body]), allocated)
}

function standard (present: boolean): Buffer {
  const bytes = Buffer.alloc(96)
  bytes[0] = present ? 0x00 : 0x7f // direct access; or no device at this LUN
  bytes[2] = 0x06 // SPC-4
  bytes[3] = 0x12 // HISUP, response format 2
  bytes[4] = bytes.length - 5
  bytes[5] = 0x18 // TPGS: implicit; 3PC: copies
  bytes[7] = 0x02 // CMDQUE
  padded(vendor, 8).copy(bytes, 8)
  padded(product, 16).copy(bytes, 16)
  padded(revision, 4).copy(bytes, 32)
  versions.forEach((version, index) => { bytes.writeUInt16BE(version, 58 + 2 * index) })
  return bytes
}

const pages: ReadonlyMap<number, (identity: Identity) => Buffer> = new Map([
  [0x00, () => Buffer.from([...pages.keys()])],
  [0x80, ({ serial }: Identity) => Buffer.from(serial.slice(0, 36), 'ascii')],
  [0x83, identification],
  [0x86, () => { const bytes = Buffer.alloc(60); bytes[1] = 0x01 | 0x04; bytes[2] = 0x01; return bytes }], // SIMPLE, ORDERED; volatile cache
  [0xb0, blockLimits],
  [0xb1, () => { const bytes = Buffer.alloc(60); bytes.writeUInt16BE(1, 0); return bytes }], // does not rotate
  [0xb2, ({ thin }: Identity) => Buffer.of(0, thin ? 0xe4 : 0, thin ? 2 : 0, 0)] // LBPU, LBPWS, LBPWS10, LBPRZ; thin
])

/** Designators: vendor's own, NAA, and the target port's name and numbers. SPC-4 section 7.8.6 */
function identification ({ serial, target, portalGroup }: Identity): Buffer {
  const designator = (codeSet: number, kind: number, body: Buffer): Buffer => Buffer.concat([Buffer.of(codeSet, kind, 0, body.length), body])
  const name = (text: string): Buffer => { const bytes = Buffer.from(`${text}\0`); return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]) }
  const number = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt16BE(value, 2); return bytes }
  return Buffer.concat([
    designator(2, 0x01, Buffer.concat([padded(vendor, 8), Buffer.from(serial.slice(0, 36), 'ascii')])), // T10 vendor identification
    designator(1, 0x03, naaOf(serial)),
    designator(0x53, 0x98, name(`${target},t,0x${portalGroup.toString(16).padStart(4, '0')}`)), // of the port: its SCSI name, over iSCSI
    designator(0x51, 0x94, number(portalGroup)), // relative target port
    designator(0x51, 0x95, number(1)) // its group
  ])
}

/** SBC-3 section 6.6.3. */
function blockLimits ({ thin, blockLength }: Identity): Buffer {
  const bytes = Buffer.alloc(60)
  bytes[0] = 0x01 // WSNZ: a WRITE SAME of no blocks is refused
  bytes[1] = Math.min(255, limits.compareAndWrite / blockLength)
  bytes.writeUInt32BE(limits.transfer / blockLength, 4)
  bytes.writeUInt32BE(limits.optimalTransfer / blockLength, 8)
  if (thin) {
    bytes.writeUInt32BE(limits.unmap / blockLength, 16)
    bytes.writeUInt32BE(limits.unmapDescriptors, 20)
    bytes.writeUInt32BE(Math.max(1, limits.granularity / blockLength), 24)
  }
  bytes.writeBigUInt64BE(BigInt(limits.writeSame / blockLength), 32)
  return bytes
}
