/** Questions that take several commands: the log, the sensor records, the FRU. */
import type { Command } from '../commands/command.ts'
import { getFruInfo, readFru } from '../commands/fru.ts'
import { getSdr, reserveSdr, wholeRecord } from '../commands/sdr.ts'
import { decodeSelRecord, firstRecord, getSelEntry, getSelInfo, lastRecord, type SelRecord } from '../commands/sel.ts'
import { completion, isLacking } from '../completion.ts'
import { IpmiError } from '../error.ts'
import { areaLength, decodeBoard, decodeProduct, fruAreas, fruHeaderLength, type Fru } from '../fru.ts'
import { decodeSensorRecord, type SensorRecord } from '../sensor.ts'

/** One command to one BMC: `(command, value) => client.request(target, command, value, options)`. */
export type Ask = <Q, A>(command: Command<Q, A>, value: Q, lun?: number) => Promise<A>

const part = 16 // bytes of a record at once, where the BMC cannot give it whole
const most = 4096 // records: a list that goes in circles ends
const hasCode = (error: unknown, ...codes: readonly number[]): boolean => error instanceof IpmiError && error.code !== undefined && codes.includes(error.code)

/** The newest first, `limit` at most. Records are linked from the oldest to the newest: where numbers follow one another the older ones are skipped. */
export async function readSel (ask: Ask, limit: number): Promise<SelRecord[]> {
  const { entries } = await ask(getSelInfo, undefined)
  const records: SelRecord[] = []
  if (entries === 0) return records
  let at = firstRecord
  if (entries > limit) {
    const newest = decodeSelRecord((await ask(getSelEntry, { record: lastRecord })).entry).id
    const from = newest - limit + 1
    const there = await ask(getSelEntry, { record: from }).then(() => true, (error: unknown) => { if (isLacking(error)) return false; throw error })
    if (from > 0 && there) at = from
  }
  for (let count = 0; count < most; count++) {
    const { next, entry } = await ask(getSelEntry, { record: at })
    records.push(decodeSelRecord(entry))
    if (next === lastRecord || next === at) break
    at = next
  }
  return records.slice(-limit).reverse()
}

/** All full and compact sensor records; those that cannot be read are left out. */
export async function readSensorRecords (ask: Ask): Promise<SensorRecord[]> {
  const records: SensorRecord[] = []
  let whole = true
  let at = 0
  for (let count = 0; count < most; count++) {
    const read = async (): Promise<{ readonly next: number, readonly data: Buffer }> => whole ? await ask(getSdr, { reservation: 0, record: at, offset: 0, count: wholeRecord }) : await readInParts(ask, at)
    const { next, data } = await read().catch((error: unknown) => {
      if (!whole || !hasCode(error, completion.tooManyBytes, completion.fieldLength, completion.requestLength, completion.outOfRange, completion.unspecified)) throw error
      whole = false
      return read()
    })
    const record = decodeSensorRecord(data)
    if (record !== undefined) records.push(record)
    if (next === 0xffff || next === at) return records
    at = next
  }
  return records
}

async function readInParts (ask: Ask, record: number): Promise<{ readonly next: number, readonly data: Buffer }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const reservation = await ask(reserveSdr, undefined)
      const { next, data } = await ask(getSdr, { reservation, record, offset: 0, count: 5 })
      const parts = [data]
      const length = 5 + (data[4] ?? 0)
      for (let offset = 5; offset < length; offset += part) parts.push((await ask(getSdr, { reservation, record, offset, count: Math.min(part, length - offset) })).data)
      return { next, data: Buffer.concat(parts) }
    } catch (error) { if (attempt === 3 || !hasCode(error, completion.reservationLost)) throw error }
  }
}

/** What FRU device 0, the machine itself, says: its product area, and its board area where that has no answer. Undefined where it has none. */
export async function readMachineFru (ask: Ask): Promise<Fru | undefined> {
  const { size, words } = await ask(getFruInfo, 0)
  const read = async (offset: number, count: number): Promise<Buffer> => {
    const parts: Buffer[] = []
    for (let at = offset, end = Math.min(offset + count, size); at < end;) {
      const { data } = await ask(readFru, { device: 0, offset: words ? at >> 1 : at, count: words ? Math.min(part, end - at + 1) >> 1 : Math.min(part, end - at) })
      if (data.length === 0) break
      parts.push(data)
      at += data.length
    }
    return Buffer.concat(parts).subarray(0, count)
  }
  const areas = fruAreas(await read(0, fruHeaderLength))
  if (areas === undefined) return undefined
  const area = async (at: number, decode: (bytes: Buffer) => Fru): Promise<Fru | undefined> => at === 0 ? undefined : decode(await read(at, areaLength(await read(at, 2))))
  const product = await area(areas.product, decodeProduct)
  if (product?.manufacturer !== undefined && product.product !== undefined && product.serial !== undefined) return product
  const board = await area(areas.board, decodeBoard)
  return { manufacturer: product?.manufacturer ?? board?.manufacturer, product: product?.product ?? board?.product, serial: product?.serial ?? board?.serial }
}
