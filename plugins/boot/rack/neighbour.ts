/** Which hardware address answers to an IPv4 address, from the kernel's neighbour table. */
import { readFile } from 'node:fs/promises'

/** The hardware address of `address` in the text of /proc/net/arp; null when it is unknown or incomplete. Pure. */
export function macIn (table: string, address: string): string | null {
  for (const line of table.split('\n')) {
    const [ip, , , mac] = line.trim().split(/\s+/)
    if (ip === address && mac !== undefined && /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac) && mac !== '00:00:00:00:00:00') return mac.toLowerCase()
  }
  return null
}

/** One reading for all who ask while it is under way: two hundred machines may be served in the same second. */
let reading: Promise<string> | undefined
const table = (): Promise<string> => reading ??= readFile('/proc/net/arp', 'utf8').finally(() => { reading = undefined })

/** A client one router away, or one that speaks IPv6, has no entry: null. Never throws. */
export const macOf = async (address: string): Promise<string | null> => {
  try {
    return macIn(await table(), address)
  } catch {
    return null
  }
}
