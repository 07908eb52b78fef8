/** Reads what stormload prints. Pure. */

export const phases = ['dhcp', 'loader', 'script', 'kernel', 'initrd'] as const
export interface Storm {
  readonly clients: number, readonly done: number
  /** From the first packet to the last byte of the last client. */
  readonly seconds: number
  /** Packets that clients had to send again. */
  readonly dhcpAgain: number, readonly tftpAgain: number
  /** Seconds, of those that came through: median, and the slowest in a hundred. */
  readonly took: Readonly<Record<typeof phases[number], readonly [number, number]>>
  readonly fault: string
}

/** Its one line of JSON; undefined when there is none. */
export function readStorm (text: string): Storm | undefined {
  const line = text.split('\n').findLast(line => line.startsWith('{'))
  if (line === undefined) return undefined
  try {
    const told = JSON.parse(line) as Record<string, unknown>
    const number = (name: string): number => { const value = told[name]; if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(name); return value }
    const pair = (name: string): readonly [number, number] => { const value = told[name]; if (!Array.isArray(value) || value.length !== 2) throw new TypeError(name); return [Number(value[0]), Number(value[1])] }
    return {
      clients: number('clients'), done: number('done'), seconds: number('seconds'), dhcpAgain: number('dhcpAgain'), tftpAgain: number('tftpAgain'), fault: String(told.fault ?? ''),
      took: { dhcp: pair('dhcp'), loader: pair('loader'), script: pair('script'), kernel: pair('kernel'), initrd: pair('initrd') }
    }
  } catch { return undefined }
}
