/** FRU inventory: the board and the product area. Platform Management FRU Information Storage Definition 1.0, sections 8, 11 and 12. Pure. */
import { decodeText } from './sensor.ts'

/** Fields that are empty or not there are undefined. */
export interface Fru { readonly manufacturer: string | undefined, readonly product: string | undefined, readonly serial: string | undefined }
export const fruHeaderLength = 8
/** Where an area begins, in bytes; 0: there is none. Undefined for what is no FRU header of version 1. */
export function fruAreas (header: Buffer): { readonly board: number, readonly product: number } | undefined {
  if (header.length < fruHeaderLength || (header[0] ?? 0) % 16 !== 1 || header.subarray(0, fruHeaderLength).reduce((sum, byte) => sum + byte, 0) % 256 !== 0) return undefined
  return { board: (header[3] ?? 0) * 8, product: (header[4] ?? 0) * 8 }
}
/** Of an area, in bytes, from its first two. */
export const areaLength = (start: Buffer): number => (start[1] ?? 0) * 8

const endOfFields = 0xc1
function fieldsFrom (area: Buffer, at: number): (string | undefined)[] {
  const fields: (string | undefined)[] = []
  while (at < area.length && area[at] !== endOfFields) {
    const head = area[at] ?? 0
    const text = decodeText(head >> 6, area.subarray(at + 1, at + 1 + (head & 0x3f)))
    fields.push(text === '' ? undefined : text)
    at += 1 + (head & 0x3f)
  }
  return fields
}
/** Manufacturer, name, part number, version, serial number. */
export function decodeProduct (area: Buffer): Fru {
  const [manufacturer, product, , , serial] = fieldsFrom(area, 3)
  return { manufacturer, product, serial }
}
/** After the date: manufacturer, name, serial number. */
export function decodeBoard (area: Buffer): Fru {
  const [manufacturer, product, serial] = fieldsFrom(area, 6)
  return { manufacturer, product, serial }
}
