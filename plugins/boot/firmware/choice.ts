/** Which loader a machine's firmware gets: iPXE, or shim and GRUB, which firmware with Secure Boot takes. Pure but for the time it is told. */
import type { LoaderKind } from '../../dhcp/manifest.ts'

export type LoaderSetting = 'auto' | LoaderKind

/** ms between a machine's having fetched iPXE and its coming again as firmware, within which it has refused it. Firmware that goes through all its network entries is back in well under a minute. */
export const refusedWithin = 120_000
const most = 10_000 // machines remembered; a stranger with many MACs pushes out the oldest, and they refuse once more

export interface Choice {
  /** Firmware asks for an address, and for what to boot. `set`: what is wanted for this machine, if anything is. Tells whether it has just been found to refuse iPXE. */
  came(mac: string, now: number, set?: LoaderKind): { readonly kind: LoaderKind | undefined, readonly refused: boolean }
  /** What it gets as things stand. */
  kindOf(mac: string, set?: LoaderKind): LoaderKind | undefined
  /** It has read the whole of a loader. */
  fetched(mac: string, name: string, now: number): void
  /** iPXE speaks for itself: it was not refused. */
  ran(mac: string): void
}

const isIpxe = (name: string): boolean => /^(?:ipxe|snponly|snp)[\w.-]*\.efi$/.test(name.replace(/^.*[/\\]/, '')) // a BIOS refuses nothing

/** `setting` is the configuration's. A kind of `undefined`: what is usual for the machine's architecture. */
export function createChoice (setting: LoaderSetting): Choice {
  const loaded = new Map<string, number>() // MAC → when it had fetched iPXE
  const refusing = new Set<string>()
  const trim = (known: Map<string, number> | Set<string>): void => { if (known.size > most) for (const oldest of known.keys()) { known.delete(oldest); break } }
  const kindOf = (mac: string, set?: LoaderKind): LoaderKind | undefined => set ?? (setting !== 'auto' ? setting : refusing.has(mac) ? 'grub' : undefined)
  return {
    kindOf,
    came (mac, now, set) {
      const at = loaded.get(mac)
      loaded.delete(mac)
      const kind = kindOf(mac, set)
      if (kind !== undefined || at === undefined || now - at > refusedWithin) return { kind, refused: false }
      refusing.add(mac)
      trim(refusing)
      return { kind: 'grub', refused: true }
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
