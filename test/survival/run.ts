/** One cell: a deployment, the rack that serves it taken away at a moment of it, and what became of the machine. */
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { reasonOf } from '../../core/errors.ts'
import { sshInto } from '../lab/ssh.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import type { Seen } from './cable.ts'
import type { Fault } from './fault.ts'
import { undisturbed, type Outcome } from './outcome.ts'
import type { Point, Root } from './point.ts'
import { cache } from './ready.ts'
import { clean, createWorld, halt, imageName, machine, type Rack, type Remains, type World } from './world.ts'

export interface MachineView { readonly id: string, readonly status: string, readonly reason: string | null, readonly hostKeys: readonly string[] }
interface EventView { readonly id: string | number, readonly type: string, readonly level: string, readonly message: string, readonly at?: string }

export interface Cell {
  /** Without these the deployment is not disturbed. */
  readonly point?: Point
  readonly fault?: Fault
  readonly root: Root
  readonly firmware: Firmware
}
export interface RunOptions extends Cell {
  /** The state to begin with. */
  readonly from: string
  readonly remains: Remains
  say(line: string): void
}

export const nameOf = ({ point, fault, root }: Cell): string => point === undefined ? `${undisturbed}/${root}` : `${point.name}/${fault?.name}`
const patience = 1_500_000 // ms a deployment may take; undisturbed it takes about 200,000
const offFor = 120_000 // ms a machine is off before it counts as stranded: whoever would switch it on has had the time
const seconds = (ms: number): number => Math.round(ms / 100) / 10

/** What the machine gets over the cables, and the fault when its moment has come. */
function observe ({ point, fault, say }: RunOptions, world: World, began: number) {
  const isNow = point?.observe()
  const seen = { fault: undefined as { readonly at: number, readonly rack: Rack } | undefined, ended: Infinity, progress: undefined as number | undefined, trouble: undefined as string | undefined, done: Promise.resolve() as Promise<unknown> }
  async function disturb (rack: Rack): Promise<void> {
    if (fault === undefined) return
    await fault.begin(rack)
    if (fault.lasts === undefined) return
    await delay(fault.lasts)
    await fault.end(rack)
    seen.ended = Date.now()
    say(`${rack.name} is back`)
  }
  function heard (frame: Seen): void {
    if (seen.fault !== undefined) {
      // what the kernel of the rack that is gone still had to send is no progress
      const other = frame.rack !== seen.fault.rack.name || frame.at > seen.ended
      if (seen.progress === undefined && frame.from === 'rack' && other && frame.at > seen.fault.at) {
        seen.progress = frame.at - seen.fault.at
        say(`${frame.rack} goes on ${seconds(seen.progress)} s later (${frame.protocol} ${frame.port})`)
      }
      return
    }
    if (isNow === undefined || !isNow(frame)) return
    const rack = world.racks.find(({ name }) => name === frame.rack)
    if (rack === undefined) return
    seen.fault = { at: Date.now(), rack }
    say(`${point?.title} after ${seconds(Date.now() - began)} s: ${fault?.title}: ${rack.name}`)
    seen.done = disturb(rack).catch((error: unknown) => { seen.trouble = reasonOf(error); say(seen.trouble) })
  }
  return { seen, heard }
}

/** Runs it in a world of its own. Rejects only when the world could not be made: what becomes of the machine is the outcome. */
export async function runCell (o: RunOptions): Promise<Outcome> {
  const { say, remains } = o
  const name = nameOf(o)
  const power: { readonly at: number, readonly line: string }[] = []
  const world = await createWorld(remains, { firmware: o.firmware, from: o.from, say, hear: line => { power.push({ at: Date.now(), line }); say(line) } })
  const { api } = world
  const events: EventView[] = []
  const about = { point: o.point?.name ?? undisturbed, fault: o.fault?.name ?? undisturbed, root: o.root, firmware: o.firmware, at: new Date().toISOString() }
  let outcome: Outcome | undefined
  try {
    await world.whole()
    const found = (await api.get<{ items: MachineView[] }>(`/api/v1/machines?mac=${machine.mac}`)).items[0]
    if (found === undefined) throw new Error('the machine is not known')
    const path = `/api/v1/machines/${found.id}`
    /** The machine's history since the last look. */
    async function look (): Promise<EventView[]> {
      const last = events.at(-1)?.id
      const { items } = await api.get<{ items: EventView[] }>(`${path}/events?limit=200${last === undefined ? '' : `&after=${last}`}`)
      events.push(...items)
      return items
    }
    while ((await look()).length > 0) { /* what was before */ }
    const before = events.length
    const began = Date.now()
    const { seen, heard } = observe(o, world, began)
    await world.watch(heard)
    await api.send('POST', `${path}/deploy`, { image: imageName(o.root), sshKeys: [world.key.publicKey] })

    let status = ''
    let why: string | undefined
    let view: MachineView | undefined
    for (;;) {
      await delay(500)
      try {
        for (const { level, message } of await look()) if (level !== 'debug') say(`  ${message}`)
        view = await api.get<MachineView>(path)
      } catch (error) { say(`the region: ${reasonOf(error)}`); continue }
      if (view.status !== status) { status = view.status; say(status) }
      if (status === 'Deployed') break
      if (status !== 'Deploying') { why = `${status}: ${view.reason ?? 'no reason given'}`; break }
      const last = power.at(-1)
      if (last?.line.startsWith('power off') === true && Date.now() - last.at > offFor) { why = `it went off (${last.line}) and stays off`; break }
      if (Date.now() - began > patience) { why = `still ${status} after ${patience / 60_000} minutes; last heard: ${events.at(-1)?.message ?? 'nothing'}`; break }
    }
    const whole = seconds(Date.now() - began)
    if (why === undefined && view !== undefined) why = await login(world, view)
    if (o.point !== undefined && seen.fault === undefined) why = `its moment never came${why === undefined ? '' : `; ${why}`}`
    await seen.done
    why ??= seen.trouble
    if (o.fault?.lasts === undefined && seen.fault !== undefined) await o.fault?.end(seen.fault.rack)
    while ((await look()).length > 0) { /* the rest */ }
    const starts = power.filter(({ line }) => line.startsWith('power on')).length
    const touched = events.slice(before).filter(({ type, message }) => type === 'status' && /ommission/.test(message))
    if (why === undefined && touched.length > 0) why = `it was commissioned again: ${touched[0]?.message}`
    outcome = {
      ...about, kept: why === undefined, ...why === undefined ? { whole } : { why }, restarts: Math.max(0, starts - 2),
      ...seen.fault === undefined ? {} : { rack: seen.fault.rack.name, reached: seconds(seen.fault.at - began), progress: seen.progress === undefined ? null : seconds(seen.progress) }
    }
    return outcome
  } finally {
    await halt(remains, say)
    await keep(world.directory, join(cache, 'logs', name.replace('/', '-')), { outcome, power, events }).catch((error: unknown) => { say(`the logs: ${reasonOf(error)}`) })
    await clean(remains, say)
  }
}

/** Why nobody can log in to the machine; undefined when somebody can. */
async function login ({ api, wire, directory, key }: World, { id, hostKeys }: MachineView): Promise<string | undefined> {
  try {
    const { items } = await api.get<{ items: { address: string }[] }>(`/api/v1/network/addresses?owner=${id}`)
    const said = await sshInto({ namespace: wire.name, directory, privateFile: key.privateFile, user: 'debian', address: items[0]?.address ?? '', hostKeys, seconds: 120, command: 'hostname; findmnt -n -o SOURCE /' })
    return said.startsWith(`${machine.name}\n/dev/`) ? undefined : `a login shows ${said}`
  } catch (error) { return `Deployed, but no login: ${reasonOf(error)}` }
}

/** What explains an outcome: the controllers' logs, the machine's consoles, its history. */
async function keep (directory: string, to: string, told: unknown): Promise<void> {
  await rm(to, { recursive: true, force: true })
  await mkdir(to, { recursive: true })
  await writeFile(join(to, 'told.json'), JSON.stringify(told, null, 2))
  for (const name of await readdir(directory)) if (name.endsWith('.log')) await cp(join(directory, name), join(to, name))
  for (const name of await readdir(join(directory, 'machine'))) if (name.endsWith('.log')) await cp(join(directory, 'machine', name), join(to, name))
}
