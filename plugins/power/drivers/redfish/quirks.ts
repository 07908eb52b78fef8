/**
 * What makers do in their own way, as data: what no answer of the BMC tells before it is too late. Most needs no row here, since the driver goes by what a BMC shows or says: reset types, entity tags it refuses,
 * media under Systems or Managers, with actions or without, a power state only the Chassis has, a boot override only the settings have. Found in public documents and in other projects' notes. Pure.
 */
export interface Quirks {
  /** BootSourceOverrideMode goes along: when it is known; always, UEFI if nothing is known; or only to change it. */
  readonly bootMode: 'known' | 'always' | 'changed'
  /** What goes along with every image, besides its address. */
  readonly insert: Readonly<Record<string, string | boolean>>
  /** Virtual drives that are not for images from a URL, by Id. */
  readonly notDrives: RegExp | undefined
  /** Firmware items that are not installed, by Id. */
  readonly notInstalled: RegExp | undefined
  /** The property that holds what the maker's label calls the serial number. */
  readonly serial: 'SerialNumber' | 'SKU'
}
export const plain: Quirks = { bootMode: 'known', insert: {}, notDrives: undefined, notInstalled: undefined, serial: 'SerialNumber' }

/** What rows are found by: of ServiceRoot, and the system's manufacturer. */
export interface Maker { readonly vendor: string | undefined, readonly product: string | undefined, readonly manufacturer: string | undefined }
interface Row { readonly maker: RegExp, readonly quirks: Partial<Quirks>, readonly why: string }

export const rows: readonly Row[] = [
  { maker: /super\s?micro/i, quirks: { bootMode: 'always' }, why: 'falls back to BIOS mode when the mode is left out of a change of the boot device' },
  { maker: /^(hpe?|hewlett[ -]packard.*)$/i, quirks: { bootMode: 'changed' }, why: 'iLO refuses a mode that would not change anything, and one it does not let be written' },
  { maker: /american megatrends|^ami\b|asrock/i, quirks: { bootMode: 'always' }, why: 'MegaRAC takes a boot device only with mode and duration' },
  { maker: /^dell/i, quirks: { serial: 'SKU', notInstalled: /^(Previous|Available)-/ }, why: 'the service tag is in SKU; the inventory lists what could be gone back to beside what is installed' },
  { maker: /lenovo/i, quirks: { notDrives: /^(RDOC|Remote)/ }, why: 'XCC lists drives for images that were uploaded to it, and for viewers, beside those for images from elsewhere' },
  { maker: /nvidia/i, quirks: { insert: { UserName: 'none', Password: 'none' } }, why: 'DGX takes no image without credentials, needed or not' }
]

/** All rows that fit, later ones over earlier ones. */
export function quirksOf ({ vendor, product, manufacturer }: Maker): Quirks {
  const names = [vendor, product, manufacturer].flatMap(name => name?.trim() ?? [])
  return rows.filter(({ maker }) => names.some(name => maker.test(name))).reduce<Quirks>((all, { quirks }) => ({ ...all, ...quirks }), plain)
}
