/** System Boot Options (IPMI 2.0 section 28.12): what is set here is the machine's next start, and lapses when no start comes within 60 s. */
import { bootDevice, bootParameter, decodeBootFlags, encodeBootFlags, keepValid, progress } from '../../../ipmi/commands/boot.ts'
import type { BootDevice } from '../../machine/machine.ts'
import type { System } from '../model.ts'

export const flagsLapseMs = 60_000

export interface BootOptions {
  /** False: there is no such parameter, or it cannot be written. */
  set(parameter: number, data: Buffer): 'ok' | 'unknown' | 'busy'
  get(parameter: number): Buffer | undefined
  /** A Chassis Control has come: what is set is for the start it makes. */
  controlled(): void
  close(): void
}

const devices: Readonly<Record<number, BootDevice | null>> = {
  [bootDevice.none]: null, [bootDevice.network]: 'network', [bootDevice.disk]: 'disk', [bootDevice.safe]: 'disk', [bootDevice.cdrom]: 'cd', [bootDevice.setup]: 'setup',
  [bootDevice.remoteCdrom]: 'cd', [bootDevice.remoteDisk]: 'disk', [bootDevice.floppy]: 'usb', [bootDevice.remoteMedia]: 'usb', [bootDevice.remoteFloppy]: 'usb'
}
const selectors: Readonly<Record<BootDevice, number>> = { network: bootDevice.network, disk: bootDevice.disk, cd: bootDevice.cdrom, setup: bootDevice.setup, usb: bootDevice.floppy }

export function createBootOptions ({ machine, set }: Pick<System, 'machine' | 'set'>): BootOptions {
  const kept = new Map<number, Buffer>([[bootParameter.progress, Buffer.of(progress.complete)], [bootParameter.partition, Buffer.of(0)], [bootParameter.partitionScan, Buffer.of(0)], [bootParameter.validity, Buffer.of(0)], [bootParameter.acknowledge, Buffer.of(0, 0)], [bootParameter.initiator, Buffer.alloc(9)]])
  let lapse: NodeJS.Timeout | undefined
  const controlled = (): void => { clearTimeout(lapse); lapse = undefined }
  return {
    controlled,
    set (parameter, data) {
      if (parameter === bootParameter.progress && data[0] === progress.writing && kept.get(parameter)?.[0] === progress.writing) return 'busy'
      if (parameter !== bootParameter.flags) {
        if (!kept.has(parameter)) return 'unknown'
        kept.set(parameter, Buffer.from(data))
        return 'ok'
      }
      const { valid, persistent, efi, device } = decodeBootFlags(data)
      controlled()
      set({ device: valid ? devices[device] ?? null : null, lasting: persistent, uefi: efi })
      const mine = machine.next()
      const stays = ((kept.get(bootParameter.validity)?.[0] ?? 0) & keepValid.timeout) !== 0
      if (valid && !persistent && !stays) lapse = setTimeout(() => { if (machine.next() === mine) set({ device: null }) }, flagsLapseMs).unref()
      return 'ok'
    },
    get (parameter) {
      if (parameter !== bootParameter.flags) return kept.get(parameter)
      const next = machine.next()
      return encodeBootFlags({ valid: next !== null, persistent: next?.lasting ?? false, efi: next?.uefi ?? false, device: next === null ? bootDevice.none : selectors[next.device] })
    },
    close: controlled
  }
}
