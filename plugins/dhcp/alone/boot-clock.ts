/** CLOCK_BOOTTIME: goes on while the host sleeps, never steps, and begins anew with the host. What a rack may do alone is counted by it. */
import { openSync, readFileSync, readSync } from 'node:fs'

export interface BootClock {
  /** ms since the host's start. */
  now(): number
  /** Names this start of the host. */
  readonly id: string
}

/** Reads /proc/uptime, which counts in CLOCK_BOOTTIME to a hundredth of a second. About a microsecond a call. */
export function systemBootClock (): BootClock {
  const buffer = Buffer.alloc(64)
  let file: number | undefined // opened at the first look, for the life of the process
  let id: string | undefined
  return {
    get id () { return id ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() },
    now () {
      const length = readSync(file ??= openSync('/proc/uptime', 'r'), buffer, 0, buffer.length, 0)
      return Number.parseFloat(buffer.toString('latin1', 0, length)) * 1000
    }
  }
}
