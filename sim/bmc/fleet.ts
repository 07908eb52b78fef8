/** Many BMCs in one process: each with an address of its own on loopback, or with ports of its own. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { BedplateError } from '../../core/errors.ts'
import type { Machine } from '../machine/machine.ts'
import { startBmc, type Bmc, type BmcOptions } from './bmc.ts'

/** `redfish`, `ipmi`: undefined, there is none. */
export interface Place { readonly host: string, readonly redfish: number | undefined, readonly ipmi: number | undefined }

const lastLoopback = 0x7ffffffe // 127.255.255.254; the one after it is a broadcast
const numberOf = (host: string): number => host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const written = (number: number): string => [24, 16, 8, 0].map(shift => number >>> shift & 255).join('.')

/** Where each of them is: from `first` on, addresses go up on 127/8, elsewhere ports do; port 0 stays 0. OPTION_INVALID. Pure. */
export function placesFrom (first: Place, count: number): Place[] {
  const invalid = (option: string, reason: string) => new BedplateError('OPTION_INVALID', { option, reason })
  if (isIP(first.host) === 0) throw invalid('--host', `${first.host} is no IP address; write it as 127.0.0.1`)
  const addresses = first.host.startsWith('127.')
  if (addresses && numberOf(first.host) + count - 1 > lastLoopback) throw invalid('--count', `from ${first.host} on there are only ${lastLoopback - numberOf(first.host) + 1} addresses on loopback`)
  const up = (port: number | undefined, index: number): number | undefined => port === undefined || port === 0 || addresses ? port : port + index
  const places = Array.from({ length: count }, (_, index): Place => ({ host: addresses ? written(numberOf(first.host) + index) : first.host, redfish: up(first.redfish, index), ipmi: up(first.ipmi, index) }))
  const last = places.at(-1)
  if ((last?.redfish ?? 0) > 65_535 || (last?.ipmi ?? 0) > 65_535) throw invalid('--count', `the ports end at 65535, and ${first.host} is one address for all of them; begin lower, or use addresses of 127/8`)
  return places
}

/** Files this process may have open at once; undefined where nobody says. */
export function openFilesLimit (limits = () => readFileSync('/proc/self/limits', 'utf8')): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\S+)/m.exec(limits()) ?? []
    return soft === undefined || soft === 'unlimited' ? undefined : Number(soft)
  } catch { return undefined }
}

const besides = 200 // files for clients' connections and what the process has open anyway

/** PRIVILEGE_MISSING, with what to do, where the process may not open a socket for each of them. */
export function checkFiles (places: readonly Place[], limit = openFilesLimit()): void {
  const needed = places.reduce((sum, { redfish, ipmi }) => sum + (redfish === undefined ? 0 : 1) + (ipmi === undefined ? 0 : 1), besides)
  if (limit !== undefined && needed > limit) throw new BedplateError('PRIVILEGE_MISSING', { what: `${places.length} BMCs`, remedy: `they need ${needed} open files, and ${limit} are allowed. Raise it with "ulimit -n ${needed}" before (as root, or "LimitNOFILE=" of a systemd unit), or start fewer` })
}

/** Starts them all, or none: what is wrong with one ends the others. */
export async function startFleet (places: readonly Place[], options: Omit<BmcOptions, 'host' | 'machine' | 'machines'> & { readonly tls: boolean, readonly kg?: string }, machineOf: (index: number) => Promise<Machine> | Machine): Promise<Bmc[]> {
  checkFiles(places)
  const { tls, kg, ...rest } = options
  const bmcs: Bmc[] = []
  try {
    for (const [index, { host, redfish, ipmi }] of places.entries()) {
      bmcs.push(await startBmc({ ...rest, host, machine: await machineOf(index), ...redfish === undefined ? {} : { redfish: { port: redfish, tls } }, ...ipmi === undefined ? {} : { ipmi: { port: ipmi, ...kg === undefined ? {} : { kg } } } }))
    }
    return bmcs
  } catch (error) {
    await closeFleet(bmcs)
    throw error
  }
}

/** Also switches off what would otherwise stay on. */
export async function closeFleet (bmcs: readonly Bmc[]): Promise<void> {
  await Promise.allSettled(bmcs.map(async bmc => { await bmc.close(); await Promise.all(bmc.machines.map(machine => machine.off())) }))
}
