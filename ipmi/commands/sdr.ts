/** The repository of sensor data records: IPMI 2.0 sections 33.9 to 33.12; and Get Sensor Reading, 35.14. What a record says is in ../sensor/record.ts. */
import { Reader, u16, u32 } from '../bytes.ts'
import { netFn } from '../message.ts'
import { nothing, type Command } from './command.ts'

/** Times are in s since 1970, as the BMC's clock has it: when either changes, records may have. */
export interface SdrInfo { readonly version: number, readonly records: number, readonly free: number, readonly added: number, readonly erased: number, readonly support: number }
export const getSdrInfo: Command<void, SdrInfo> = {
  name: 'Get SDR Repository Info', netFn: netFn.storage, command: 0x20, request: nothing,
  response: {
    encode: ({ version, records, free, added, erased, support }) => Buffer.concat([Buffer.of(version), u16(records), u16(free), u32(added), u32(erased), Buffer.of(support)]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get SDR Repository Info'); return { version: from.u8(), records: from.u16(), free: from.u16(), added: from.u32(), erased: from.u32(), support: from.u8() } }
  }
}
/** Parts of records may be read with the number this gives, until somebody else reserves. */
export const reserveSdr: Command<void, number> = {
  name: 'Reserve SDR Repository', netFn: netFn.storage, command: 0x22, request: nothing,
  response: { encode: u16, decode: bytes => new Reader(bytes, 'the answer to Reserve SDR Repository').u16() }
}
export const wholeRecord = 0xff
/** `record` 0 is the first; `next` 0xffff: there is no further. `count`: bytes, or `wholeRecord`. */
export const getSdr: Command<{ readonly reservation: number, readonly record: number, readonly offset: number, readonly count: number }, { readonly next: number, readonly data: Buffer }> = {
  name: 'Get SDR', netFn: netFn.storage, command: 0x23,
  request: {
    encode: ({ reservation, record, offset, count }) => Buffer.concat([u16(reservation), u16(record), Buffer.of(offset, count)]),
    decode: bytes => { const from = new Reader(bytes, 'Get SDR'); return { reservation: from.u16(), record: from.u16(), offset: from.u8(), count: from.u8() } }
  },
  response: {
    encode: ({ next, data }) => Buffer.concat([u16(next), data]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get SDR'); return { next: from.u16(), data: from.rest() } }
  }
}

/** `available`: the reading counts. `states`: for thresholds one bit each, lower non-critical, critical, non-recoverable, then upper; for others the states there are. */
export interface SensorReading { readonly reading: number, readonly available: boolean, readonly scanning: boolean, readonly states: number }
export const getSensorReading: Command<number, SensorReading> = {
  name: 'Get Sensor Reading', netFn: netFn.sensor, command: 0x2d,
  request: { encode: number => Buffer.of(number), decode: bytes => new Reader(bytes, 'Get Sensor Reading').u8() },
  response: {
    encode: ({ reading, available, scanning, states }) => Buffer.of(reading, 0x80 | (scanning ? 0x40 : 0) | (available ? 0 : 0x20), states & 0xff, states >> 8 & 0xff),
    decode: bytes => {
      const from = new Reader(bytes, 'the answer to Get Sensor Reading')
      const [reading, flags] = [from.u8(), from.u8()]
      return { reading, available: (flags & 0x20) === 0, scanning: (flags & 0x40) !== 0, states: (from.left > 0 ? from.u8() : 0) | (from.left > 0 ? from.u8() << 8 : 0) }
    }
  }
}
