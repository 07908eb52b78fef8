/**
 * A boot order for one start. Proxmox VE knows only lasting ones, so the machine's own is written into its notes before it is replaced, and put back once the machine runs: QEMU has taken the other by
 * then. Whoever dies in between leaves the note, and the next action that sees it puts the order back. Pure.
 */
import { BedplateError } from '../../../../core/errors.ts'
import { object, text } from '../../connection/json.ts'
import { numbered, partsOf, type Config } from './guest.ts'

/** What a change of the configuration sends (PUT …/config). */
export type Change = Readonly<Record<string, string>>

const note = /\n?<!-- bedplate: the boot order before a start of its own: (\{[^<>]*\}) -->\n?/
const own = ['boot', 'bootdisk'] as const // setting an order deletes the older `bootdisk`, which then has to come back as well

/** Disks, then what else it boots from, in the order of the machine's own. `order=` lists them; before it there were `bootdisk` and letters. */
function devices (config: Config): { readonly disks: readonly string[], readonly discs: readonly string[], readonly nets: readonly string[] } {
  const drives = ['ide', 'sata', 'scsi', 'virtio'].flatMap(kind => numbered(config, kind))
  const first = [...(partsOf(config.boot).order ?? '').split(';'), text(config.bootdisk) ?? '']
  const rank = (name: string): number => first.includes(name) ? first.indexOf(name) : first.length
  const sorted = (names: readonly string[]): readonly string[] => names.toSorted((one, other) => rank(one) - rank(other))
  const isDisc = (name: string): boolean => partsOf(config[name]).media === 'cdrom'
  return { disks: sorted(drives.filter(name => !isDisc(name))), discs: sorted(drives.filter(isDisc)), nets: sorted(numbered(config, 'net')) }
}

/** The order that has the wanted kind of device first, and the others behind it. POWER_REFUSED when there is none of that kind. */
export function orderFor (config: Config, boot: 'network' | 'disk'): string {
  const { disks, discs, nets } = devices(config)
  const [first, rest] = boot === 'network' ? [nets, [...disks, ...discs]] : [disks, [...discs, ...nets]]
  if (first.length === 0) throw new BedplateError('POWER_REFUSED', { reason: `the virtual machine has no ${boot === 'network' ? 'network interface' : 'disk'} to boot from` })
  return `order=${[...first, ...rest].join(';')}`
}

/** The machine's own order, where a note in its description keeps it. */
export function keptOrder (config: Config): Readonly<Record<string, unknown>> | undefined {
  const found = note.exec(text(config.description) ?? '')?.[1]
  if (found === undefined) return undefined
  try { return object(JSON.parse(found)) } catch { return undefined } // somebody wrote into it: then it keeps nothing
}

/** What writes the machine's own order into its description. */
export function keepOrder (config: Config): Change {
  const kept = Object.fromEntries(own.flatMap(name => text(config[name]) === undefined ? [] : [[name, text(config[name])]]))
  return { description: `${without(config)}\n<!-- bedplate: the boot order before a start of its own: ${JSON.stringify(kept)} -->` }
}

/** What puts the kept order back and takes the note away; undefined when there is no note. */
export function putBack (config: Config): Change | undefined {
  const kept = keptOrder(config)
  if (kept === undefined) return undefined
  const description = without(config)
  const back = { ...Object.fromEntries(own.flatMap(name => text(kept[name]) === undefined ? [] : [[name, text(kept[name]) ?? '']])), ...(description === '' ? {} : { description }) }
  const gone = [...own.filter(name => !(name in back) && text(config[name]) !== undefined), ...(description === '' ? ['description'] : [])]
  return { ...back, ...(gone.length === 0 ? {} : { delete: gone.join(',') }) }
}

const without = (config: Config): string => (text(config.description) ?? '').replace(note, '')
