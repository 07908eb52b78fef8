/** The machine behind a simulated BMC: what can be done to it, and what it remembers of that. */
import { createHash } from 'node:crypto'

export type PowerState = 'on' | 'off'
export type Firmware = 'bios' | 'uefi'
export type BootDevice = 'network' | 'disk' | 'cd' | 'usb' | 'setup'
/** What it starts from instead of its usual order. `lasting`: at every start, not only the next one. `uefi`: how the firmware was told to boot, where somebody said so. */
export interface NextBoot { readonly device: BootDevice, readonly lasting?: boolean, readonly uefi?: boolean }

/** What is printed on it and burnt into it. */
export interface Hardware {
  readonly name: string
  readonly uuid: string // as its own firmware says it (SMBIOS type 1), lower case
  readonly manufacturer: string, readonly model: string, readonly serial: string
  readonly macs: readonly string[]
  readonly firmware: Firmware
  readonly memoryGiB: number, readonly processors: number
}

export type Happening =
  | { readonly event: 'on', readonly from: BootDevice | null } // null: its usual order
  | { readonly event: 'off' } | { readonly event: 'reset', readonly from: BootDevice | null }
  | { readonly event: 'asked to shut down' }
  | { readonly event: 'next boot', readonly device: BootDevice | null, readonly lasting: boolean, readonly uefi: boolean | null }
  | { readonly event: 'media', readonly image: string | null }
export type Heard = (happening: Happening) => void

export interface Machine {
  readonly hardware: Hardware
  state(): PowerState
  /** Each resolves once it is so; on and off do nothing when it is so already. */
  on(): Promise<void>
  off(): Promise<void>
  /** Asks the system on it to shut down, which it may take its time for, or never do. */
  shutdown(): Promise<void>
  /** Starts it again without taking the power away; nothing happens to one that is off. */
  reset(): Promise<void>
  /** The device of the next start alone, then the usual order again; null takes that back. */
  bootOnce(device: BootDevice | null): void
  boot(next: NextBoot | null): void
  next(): NextBoot | null
  /** Puts the image at this URL into the virtual drive; null takes it out. */
  insert(image: string | null): void
  media(): string | null
  /** How often its power really went on or off. */
  switches(): number
  /** The device of each start there was, the last one at the end; null: its usual order. */
  boots(): readonly (BootDevice | null)[]
  /** Of its last start. */
  bootedFrom(): BootDevice | null
  /** Tells what happens from now on; gives what ends that. */
  watch(heard: Heard): () => void
}

/** What every machine remembers, whatever it is made of; its maker tells it of starts and stops. */
export interface Memory extends Pick<Machine, 'bootOnce' | 'boot' | 'next' | 'insert' | 'media' | 'switches' | 'boots' | 'bootedFrom' | 'watch'> {
  /** It starts now: the device that counts for it. `warm`: the power stayed on. */
  started(how?: 'warm'): BootDevice | null
  stopped(): void
  asked(): void
}

const keptBoots = 100

export function createMemory (): Memory {
  const hearers = new Set<Heard>()
  const boots: (BootDevice | null)[] = []
  let next: NextBoot | null = null
  let media: string | null = null
  let switches = 0
  const tell: Heard = happening => { for (const heard of hearers) heard(happening) }
  const boot = (wanted: NextBoot | null): void => {
    next = wanted
    tell({ event: 'next boot', device: wanted?.device ?? null, lasting: wanted?.lasting ?? false, uefi: wanted?.uefi ?? null })
  }
  return {
    boot,
    bootOnce: device => { boot(device === null ? null : { device }) },
    next: () => next,
    insert: image => { if (media !== image) { media = image; tell({ event: 'media', image }) } },
    media: () => media,
    switches: () => switches,
    boots: () => boots,
    bootedFrom: () => boots.at(-1) ?? null,
    watch: heard => { hearers.add(heard); return () => { hearers.delete(heard) } },
    started (how) {
      const from = next?.device ?? null
      if (next?.lasting !== true) next = null
      if (how === undefined) switches++
      boots.push(from)
      if (boots.length > keptBoots) boots.shift()
      tell({ event: how === 'warm' ? 'reset' : 'on', from })
      return from
    },
    stopped () { switches++; tell({ event: 'off' }) },
    asked () { tell({ event: 'asked to shut down' }) }
  }
}

const namespace = Buffer.from('b3d91a7e5d0c4c1f8a3e6f0d2c4b6a81', 'hex')
/** A UUID (version 5, RFC 9562) that is always the same for this text. */
export function uuidOf (text: string): string {
  const bytes = createHash('sha1').update(namespace).update(text).digest().subarray(0, 16)
  bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x50
  bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** What a machine of this name is when nothing else is said. */
export function hardwareOf (name: string, given: Partial<Hardware> = {}): Hardware {
  const uuid = uuidOf(name)
  return { name, uuid, manufacturer: 'Bedplate', model: 'Simulated', serial: `BP${uuid.slice(0, 8).toUpperCase()}`, macs: [`02:${uuid.slice(0, 8).replace(/(..)(?=.)/g, '$1:')}:01`], firmware: 'uefi', memoryGiB: 16, processors: 1, ...given }
}
