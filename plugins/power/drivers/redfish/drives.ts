/** Virtual drives as BMCs show them (DSP0268 VirtualMedia), and what an image is put in with. Pure. */
import { object, pathOf, text, texts, within, type Json } from '../../connection/json.ts'
import type { Quirks } from './quirks.ts'
import type { Found } from './service.ts'

export interface Drive {
  readonly found: Found
  readonly types: readonly string[] // MediaTypes: CD, DVD, USBStick, Floppy
  readonly image: string | null // what is in it
  readonly insert: string | undefined // where it is put in; undefined: by PATCH of the drive
  readonly eject: string | undefined
}

/** Actions also where they were before they were in the schema: iLO 4 has them under Oem. */
function action (body: Json, name: string): string | undefined {
  const own = pathOf(within(body, 'Actions', `#VirtualMedia.${name}Media`, 'target'))
  if (own !== undefined) return own
  const oem = [within(body, 'Actions', 'Oem'), ...Object.values(object(body.Oem)).map(maker => object(maker).Actions)].flatMap(actions => Object.entries(object(actions)))
  return oem.flatMap(([key, value]) => new RegExp(`${name}(Virtual)?Media$`).test(key) ? pathOf(object(value).target) ?? [] : [])[0]
}

/** What is in the drive. Some BMCs keep telling of an image that is not connected any more, and some tell only its name. */
function imageIn (body: Json): string | null {
  const told = text(body.Image) ?? text(body.ImageName)
  if (body.Inserted === false || body.ConnectedVia === 'NotConnected') return null
  return body.Inserted === true ? told ?? 'an image the BMC does not name' : told ?? null
}

export function drivesFrom (found: readonly Found[], { notDrives }: Pick<Quirks, 'notDrives'>): readonly Drive[] {
  return found.filter(({ path, body }) => path !== '' && !(notDrives?.test(text(body.Id) ?? '') ?? false)).map(one => ({
    found: one, types: texts(one.body.MediaTypes), image: imageIn(one.body), insert: action(one.body, 'Insert'), eject: action(one.body, 'Eject')
  }))
}

/** The drives for this image, the best first: a disc for an ISO, a stick or floppy for what ends in .img; of those the empty ones first. */
export function fits (drives: readonly Drive[], image: string): readonly Drive[] {
  const wanted = /\.(img|ima|raw)$/i.test(URL.canParse(image) ? new URL(image).pathname : image) ? ['USBStick', 'Floppy'] : ['CD', 'DVD']
  return drives.filter(({ types }) => types.length === 0 || types.some(type => wanted.includes(type))).toSorted((a, b) => Number(a.image !== null) - Number(b.image !== null) || rank(a, wanted) - rank(b, wanted))
}
const rank = ({ types }: Drive, wanted: readonly string[]): number => { const at = wanted.findIndex(type => types.includes(type)); return at === -1 ? wanted.length : at }

/** What to add to a refused request, going by the properties its refusal names; nothing when it names none that helps. */
export function remedies (named: string, image: string, asked: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const protocol = /^([a-z]+):/i.exec(image)?.[1]?.toUpperCase()
  const table: readonly [RegExp, Readonly<Record<string, unknown>>][] = [
    [/TransferProtocolType/, protocol === undefined ? {} : { TransferProtocolType: protocol }],
    [/TransferMethod/, { TransferMethod: 'Stream' }],
    [/\bUser ?Name\b|\bPassword\b/i, { UserName: 'none', Password: 'none' }],
    [/\bInserted\b/, { Inserted: true }],
    [/\bWriteProtected\b/, { WriteProtected: true }]
  ]
  return Object.assign({}, ...table.filter(([pattern, more]) => pattern.test(named) && Object.keys(more).some(key => !(key in asked))).map(([, more]) => more))
}
