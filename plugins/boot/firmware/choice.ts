/** Which loader a machine's firmware gets: iPXE, or shim and GRUB, which firmware with Secure Boot takes. Pure but for the time it is told. */
import type { WantedChange } from '../../../core/plugin.ts'
import type { LoaderKind } from '../../dhcp/manifest.ts'
import type { manifest } from '../manifest.ts'

export type LoaderSetting = 'auto' | LoaderKind

/** ms between a machine's having fetched iPXE and its coming again as firmware, within which it has refused it. Firmware that goes through all its network entries is back in well under a minute. */
export const refusedWithin = 120_000
const most = 10_000 // machines remembered; a stranger with many MACs pushes out the oldest, and they refuse once more

export interface Choice {
  /** The configuration's: with anything but `auto` nothing else counts. */
  readonly setting: LoaderSetting
  /** What the region says has refused iPXE, at this rack or another. What it says no more this rack forgets, too. */
  apply(change: WantedChange<typeof manifest.wanted>, whole: boolean): void
  /** Firmware asks for an address, of whichever rack. `set`: what is wanted for this machine, if anything is. True when it has just been found to refuse iPXE. */
  came(mac: string, now: number, set?: LoaderKind): boolean
  /** What it gets as things stand; undefined: what is usual for its architecture. */
  kindOf(mac: string, set?: LoaderKind): LoaderKind | undefined
  /** It has read the whole of a loader. */
  fetched(mac: string, name: string, now: number): void
  /** iPXE speaks for itself: it was not refused. */
  ran(mac: string): void
}

const isIpxe = (name: string): boolean => /^(?:ipxe|snponly|snp)[\w.-]*\.efi$/.test(name.replace(/^.*[/\\]/, '')) // a BIOS refuses nothing

export function createChoice (setting: LoaderSetting): Choice {
  const loaded = new Map<string, number>() // MAC → when it had fetched iPXE
  const refusing = new Set<string>() // found out here; the region may be away
  let told = new Set<string>()
  const trim = (known: Map<string, number> | Set<string>): void => { if (known.size > most) for (const oldest of known.keys()) { known.delete(oldest); break } }
  const kindOf = (mac: string, set?: LoaderKind): LoaderKind | undefined => setting !== 'auto' ? setting : set ?? (refusing.has(mac) || told.has(mac) ? 'grub' : undefined)
  return {
    setting,
    kindOf,
    apply ({ put, remove }, whole) {
      const before = told
      if (whole) told = new Set()
      for (const { kind, id } of put) if (kind === 'refused') told.add(id)
      for (const { kind, id } of remove) if (kind === 'refused' && told.delete(id)) refusing.delete(id)
      if (whole) for (const mac of before) if (!told.has(mac)) refusing.delete(mac)
    },
    came (mac, now, set) {
      const at = loaded.get(mac)
      loaded.delete(mac)
      if (kindOf(mac, set) !== undefined || at === undefined || now - at > refusedWithin) return false
      refusing.add(mac)
      trim(refusing)
      return true
    },
    fetched (mac, name, now) {
      if (!isIpxe(name)) return
      loaded.delete(mac)
      loaded.set(mac, now)
      trim(loaded)
    },
    ran (mac) {
      loaded.delete(mac)
      refusing.delete(mac) // somebody has switched Secure Boot off
    }
  }
}
