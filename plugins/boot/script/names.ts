/** Which configuration a file name asks for: the conventions of GRUB, PXELINUX and iPXE. Pure. */
import { parseMac } from '../rack/mac.ts'

export type LoaderLanguage = 'ipxe' | 'grub' | 'pxelinux'
/** `mac` null: the text that is the same for every machine. `architecture`: of the processor, where the name says it. */
export interface Named { readonly language: LoaderLanguage, readonly mac: string | null, readonly architecture: string | null }

const processors: Readonly<Record<string, string>> = { x86_64: 'amd64', i386: 'amd64', arm64: 'arm64' } // a processor under 32-bit firmware is a 64-bit one by now

/** undefined: it asks for none. Slashes in front, and GRUB's own `boot/`, are let pass. */
export function configurationNamed (name: string): Named | undefined {
  const plain = name.replace(/^[/\\]+/, '')
  const grub = /^(?:boot\/)?(?:grub\/)?(?:(x86_64|i386|arm64)(?:-efi|-pc)?\/)?grub\.cfg(?:-([0-9a-f:.-]{12,24}))?$/i.exec(plain)
  if (grub !== null) {
    const [, processor, machine] = grub
    const mac = machine === undefined ? null : parseMac(machine)
    return mac === undefined ? undefined : { language: 'grub', mac, architecture: processor === undefined ? null : processors[processor.toLowerCase()] ?? null }
  }
  if (plain === 'boot.ipxe') return { language: 'ipxe', mac: null, architecture: null }
  const named = /^(pxelinux\.cfg|boot\/ipxe)\/([0-9a-f:.-]{12,24})$/i.exec(plain)
  const mac = named?.[2] === undefined ? undefined : parseMac(named[2])
  return mac === undefined ? undefined : { language: named?.[1] === 'boot/ipxe' ? 'ipxe' : 'pxelinux', mac, architecture: null }
}
