/** One fault under all clients: breaks, watches, puts back, and compares what was acknowledged with what is stored. */
import type { Firmware } from '../../sim/machine/machine.ts'
import { until } from '../kit/wait.ts'
import type { Client, Program } from './client.ts'
import type { Fault } from './fault.ts'
import { longestGap } from './interface.ts'
import { leasesOf, missing, type Outcome } from './outcome.ts'
import { leaseSeconds, type Machine, type World } from './world.ts'

export interface Run {
  readonly world: World
  /** Clients that live through all faults. */
  readonly steady: readonly Client[]
  readonly programs: readonly Program[]
  readonly firmware: readonly Firmware[]
  readonly say: (line: string) => void
}

const whole = (leaseSeconds + 12) * 1000 // ms a fault stands at least: every lease that was there ends meanwhile if nobody extends it
const patience = 75_000 // ms a new client is waited for
const settled = 1000 // ms after a fault: what was stored just before it may be acknowledged just after it
const seconds = (ms: number): number => Math.round(ms / 10) / 100
export const names: Readonly<Record<Firmware, string>> = { bios: 'iPXE (virtio-net ROM)', uefi: 'UEFI (OVMF)' }

/** Starts the clients that live through all faults; resolves when each has its address. */
export async function settle (world: World, programs: readonly Program[]): Promise<Client[]> {
  const steady = await Promise.all(programs.map(kind => world.client(kind)))
  for (const client of steady) client.start()
  await addressed(steady)
  return steady
}
const addressed = (clients: readonly Client[]): Promise<unknown> =>
  until(() => clients.every(client => client.addresses().size === 1), { timeout: 120_000, interval: 50, what: 'every client has one address' })

/** The first acknowledgement of an address to a client, and its first DISCOVER. */
function firstOf (world: World, { mac, started }: { readonly mac: string, readonly started: number }): { readonly lease: number | null, readonly asking: number | null, readonly address?: string } {
  const own = world.heard.filter(message => message.mac === mac)
  const asked = own.find(({ type }) => type === 'DISCOVER')
  const given = own.find(({ type, seconds }) => type === 'ACK' && seconds > 0)
  if (given === undefined) return { lease: null, asking: null }
  return { lease: seconds(given.at - started), asking: seconds(given.at - (asked?.at ?? started)), address: given.address }
}

/** Addresses that more than one client has on its interface now. */
function twice (clients: readonly Client[]): string[] {
  const all = clients.flatMap(client => [...client.addresses()])
  return all.filter((address, index) => all.indexOf(address) !== index)
}

/** `quick`: the fault stands only as long as the new clients need. Rejects when an invariant does not hold. */
export async function suffer ({ world, steady, programs, firmware, say }: Run, fault: Fault, quick = false): Promise<Outcome[]> {
  await world.whole()
  await addressed(steady)
  const fresh = await Promise.all(programs.map(kind => world.client(kind)))
  const machines = await Promise.all(firmware.map(kind => world.machine(kind)))
  const begin = Date.now()
  await fault.begin(world)
  const broken = Date.now()
  for (const client of fresh) client.start()
  await Promise.all(machines.map(machine => machine.start()))
  const served = (client: Client): boolean => { const { address } = firstOf(world, client); return address !== undefined && client.addresses().has(address) }
  const off = new Set<Machine>()
  const doubled = new Set<string>()
  // what was measured is read from the times of packets and notices: this loop only decides when to go on
  await until(async () => {
    for (const machine of machines) if (!off.has(machine) && firstOf(world, machine).lease !== null) { off.add(machine); await machine.end() }
    for (const address of twice([...steady, ...fresh])) doubled.add(address)
    const all = fresh.every(served) && off.size === machines.length
    return (all && (quick || Date.now() - broken >= whole)) || Date.now() - broken >= patience
  }, { timeout: patience + 60_000, interval: 50, what: 'the fault has stood for its time' })
  const end = Date.now()
  const waitedSeconds = seconds(end - broken)
  const outcomes: Outcome[] = programs.map(kind => {
    const [before, after] = [steady.find(client => client.kind === kind), fresh.find(client => client.kind === kind)]
    const { lease, asking } = after === undefined ? { lease: null, asking: null } : firstOf(world, after)
    if (before === undefined) return { client: kind, fault: fault.name, newLeaseSeconds: lease, askingSeconds: asking, waitedSeconds }
    const { gap, addresses } = longestGap(before.notices, begin, end)
    const extensions = world.heard.filter(({ at, type, mac }) => type === 'ACK' && mac === before.mac && at >= broken && at <= end).length
    return { client: kind, fault: fault.name, continuity: { kept: gap === 0 && addresses.length === 1, gapSeconds: seconds(gap), extensions }, newLeaseSeconds: lease, askingSeconds: asking, waitedSeconds }
  })
  for (const machine of machines) {
    const { lease, asking } = firstOf(world, machine)
    outcomes.push({ client: names[machine.kind], fault: fault.name, newLeaseSeconds: lease, askingSeconds: asking, waitedSeconds })
  }
  for (const one of [...fresh, ...machines]) await one.end()
  await kept(world, broken + settled)
  if (doubled.size > 0) throw new Error(`on two interfaces at once: ${[...doubled].join(', ')}`)
  await fault.heal(world)
  await world.whole()
  await holds(world)
  for (const { client, continuity, newLeaseSeconds } of outcomes) say(`${fault.title}: ${client}: ${continuity === undefined ? '' : continuity.kept ? `kept its address (${continuity.extensions} extensions), ` : `without its address for ${continuity.gapSeconds} s, `}${newLeaseSeconds === null ? `no new lease in ${waitedSeconds} s` : `a new lease after ${newLeaseSeconds} s`}`)
  return outcomes
}

/** While the fault stands: what was acknowledged since `from` lies in the database or in a rack's journal. */
async function kept (world: World, from: number): Promise<void> {
  const given = [...leasesOf(world.heard.filter(({ at }) => at > from)).leases.values()]
  const lost = missing(given, await world.stored(), Date.now())
  if (lost.length > 0) throw new Error(`acknowledged, and on no disk: ${lost.map(({ address, mac }) => `${address} of ${mac}`).join(', ')}`)
}

/** Invariants 1, 2 and 4, as they show from outside: no address was given twice, and what was acknowledged is stored. */
async function holds (world: World): Promise<void> {
  const { doubled } = leasesOf(world.heard)
  if (doubled.length > 0) throw new Error(doubled.join('; '))
  await until(async () => {
    const asked = Date.now()
    const stored = await world.bindings()
    const lost = missing(leasesOf(world.heard).leases.values(), stored, Date.now()).filter(({ from }) => from < asked)
    if (lost.length > 0) throw new Error(`acknowledged and not stored: ${lost.map(({ address, mac }) => `${address} of ${mac}`).join(', ')}`)
    return true
  }, { timeout: 30_000, interval: 250, what: 'every acknowledged binding is stored' })
}
