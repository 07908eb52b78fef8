/** One seeded schedule of facts: a rack with a disk, one to three regions on one database, faults; every fact is stored once, in order, or was dropped by the policy. */
import { Type } from 'typebox'
import type { ActiveRack } from '../../core/active.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import { defineManifest } from '../../core/plugin.ts'
import { createOutbox } from '../../core/state/outbox.ts'
import type { Disk, Outbox, OutboxOptions, Way } from '../../core/state/outbox.ts'
import { createDice } from './dice.ts'
import type { Dice } from './dice.ts'
import { SimDisk } from './disk.ts'
import { createProcess } from './process.ts'
import type { Process } from './process.ts'
import type { Outcome } from './run.ts'
import { FactTable, createStoringRegion } from './storing.ts'
import type { StoringRegion } from './storing.ts'
import { createWorld } from './world.ts'
import type { World } from './world.ts'

const log = createLogger('silent')
const manifest = defineManifest({ name: 'sim', config: Type.Object({}), rpc: {}, wanted: {}, facts: { seen: Type.Object({ n: Type.Integer() }) } })
const halves: readonly ActiveRack[] = [{ manifest, running: { provides: {}, rpc: {}, services: [] } }]
const faulty = 12_000
const calm = 40_000

export interface OutboxSimOptions {
  readonly verbose?: boolean
  /** Something wrong on purpose, to see that it is found. */
  readonly flaw?: (outbox: Outbox, disk: Disk) => Outbox
  readonly flawedDisk?: (disk: Disk) => Disk
}

interface Connection extends Way { readonly region: StoringRegion, up: boolean, hung: boolean, end (): void }

export async function outbox (seed: number, { verbose = false, flaw = one => one, flawedDisk = one => one }: OutboxSimOptions = {}): Promise<Outcome> {
  const dice = createDice(seed)
  const world = createWorld(verbose)
  const limit = dice.pick([1_000_000, 1_000_000, 12, 40])
  const table = new FactTable(world, dice)
  const disk = new SimDisk(world, limit, facts => {
    for (const n of facts) if (!table.known.has(n) && !table.rejected.has(n)) world.violated(`fact ${n} left the disk and no region has stored it`)
  })
  const regions = ['a', 'b', 'c'].slice(0, dice.whole(1, 3)).map(name => createStoringRegion(world, dice, table, manifest, name))
  const returned: number[] = [] // facts whose report() returned
  const counters: OutboxOptions['metrics'][] = []
  const atOnce = dice.pick([2, 7, 500])
  let number = 0
  let rack: { readonly process: Process, readonly box: Outbox, readonly links: Connection[], readonly stop: AbortController } | undefined

  function start (): void {
    if (rack?.process.alive) return
    const process = createProcess(world, dice, 'rack', 1)
    const links: Connection[] = []
    const handle = flawedDisk(disk.open(process, kill))
    const metrics = createMetrics()
    counters.push(metrics)
    const box = flaw(createOutbox({ store: () => handle, halves: () => halves, clock: process.clock, log, metrics, limit, atOnce, links: () => links.filter(({ up }) => up) }), handle)
    const stop = new AbortController()
    rack = { process, box, links, stop }
    world.tell('rack: starts')
    process.enter(() => { void box.run(stop.signal) })
    for (const region of regions) world.after(dice.between(1, 300), () => { connect(process, region) })
  }
  function kill (): void {
    if (!rack?.process.alive) return
    rack.process.kill()
    for (const link of rack.links) link.end()
    world.after(dice.between(50, 3_000), start)
  }

  /** A link from the rack's process to a region's: frames stay in order; it is made again when it has ended. */
  function connect (process: Process, region: StoringRegion): void {
    if (rack?.process !== process || !process.alive) return
    if (!region.process.alive) { world.after(dice.between(100, 1_000), () => { connect(process, region) }); return }
    const { box, links } = rack
    const served = region.process
    const over = new AbortController() // at the region's end
    let arrivals = 0
    let answers = 0
    const link: Connection = {
      region,
      up: true,
      hung: false,
      end () {
        if (!link.up) return
        link.up = false
        links.splice(links.indexOf(link), 1)
        process.enter(() => { box.nudge() })
        served.enter(() => { over.abort() })
        world.after(dice.between(100, 1_500), () => { connect(process, region) })
      },
      send (frame) {
        if (!link.up || link.hung || frame.t !== 'facts') return
        arrivals = Math.max(arrivals, world.now + dice.between(0.1, dice.chance(0.1) ? 400 : 5))
        world.at(arrivals, () => {
          if (!link.up || link.hung) return
          served.enter(() => {
            void region.facts.store('rack', structuredClone(frame), over.signal).then(through => {
              if (through === undefined || !link.up || link.hung) return
              answers = Math.max(answers, world.now + dice.between(0.1, dice.chance(0.1) ? 400 : 5))
              world.at(answers, () => { if (link.up && !link.hung) process.enter(() => { try { box.stored(link, { t: 'stored', epoch: frame.epoch, through }) } catch { /* the link drops the frame */ } }) })
            })
          })
        })
      }
    }
    links.push(link)
    links.sort((one, other) => one.region.name < other.region.name ? -1 : 1)
    process.enter(() => { box.nudge() })
  }

  function report (): void {
    const reporting = rack
    reporting?.process.enter(() => {
      const n = number++
      if (dice.chance(0.01)) table.poison.add(n)
      try { reporting.box.report('sim', 'seen', { n }); returned.push(n) } catch { /* the disk threw: whoever reports knows */ }
    })
  }

  start()
  if (regions.length > 1 && dice.chance(0.3)) world.at(dice.between(0, faulty), () => { world.tell('a: no longer reaches the database'); table.cutOff.add('a') }) // for good: the others must do
  for (let burst = dice.whole(3, 12); burst > 0; burst--) {
    const many = dice.chance(0.3) ? dice.whole(10, 60) : dice.whole(1, 6)
    const from = dice.between(0, faulty)
    for (let i = 0; i < many; i++) world.at(from + i * dice.between(0, 30), report)
  }
  for (let fault = dice.whole(1, 8); fault > 0; fault--) plan(world, dice, regions, table, disk, () => rack, kill)
  world.at(faulty, () => { world.tell('everything heals'); for (let i = 0; i < 3; i++) report() })
  let violation = await world.run(faulty + calm)
  if (violation === undefined) {
    const missing = returned.filter(n => !table.known.has(n) && !table.rejected.has(n) && !disk.dropped.has(n) && !disk.replaced.has(n))
    if (missing.length > 0) violation = `facts ${missing.join(', ')} were reported, and are neither stored nor counted as dropped`
    else if (disk.rows.length > 0) violation = `${disk.rows.length} facts are still on the disk`
    else if (rack?.box.health().state !== 'running') violation = `the outbox says it is ${JSON.stringify(rack?.box.health())} when all is well`
    else {
      let counted = 0
      for (const metrics of counters) counted += (await metrics.registry.getSingleMetric('bedplate_outbox_dropped_total')?.get())?.values[0]?.value ?? 0
      if (counted !== disk.dropped.size) violation = `${disk.dropped.size} facts were dropped and ${counted} counted`
    }
    if (violation !== undefined) world.violated(violation)
  }
  return { seed, violation, hash: world.hash, lines: world.lines, facts: { reported: returned.length, stored: table.stored.length, dropped: disk.dropped.size, 'set aside': table.rejected.size } }
}

/** One fault, some time, healed before the end of the faulty time. */
function plan (world: World, dice: Dice, regions: readonly StoringRegion[], table: FactTable, disk: SimDisk, rack: () => { readonly process: Process, readonly links: readonly Connection[] } | undefined, kill: () => void): void {
  const from = dice.between(0, faulty - 1_500)
  const until = Math.min(faulty - 10, from + dice.between(20, dice.chance(0.5) ? 500 : 6_000))
  const any = dice.random()
  const region = dice.pick(regions)
  const link = (): Connection | undefined => { const links = rack()?.links ?? []; return links[Math.floor(any * links.length)] }
  switch (dice.pick(['cut', 'cut', 'hang', 'region', 'region', 'region', 'rack', 'crash', 'crash', 'pause', 'database', 'disk', 'replace'] as const)) {
    case 'cut': world.at(from, () => { const one = link(); if (one !== undefined) { world.tell(`link to ${one.region.name}: cut`); one.end() } }); break
    case 'hang': world.at(from, () => {
      const one = link()
      if (one === undefined) return
      world.tell(`link to ${one.region.name}: silent`)
      one.hung = true
      world.after(4_000, () => { one.end() }) // the link's own watch
    }); break
    case 'region':
      world.at(from, () => {
        if (!region.process.alive) return
        world.tell(`${region.name}: killed`)
        region.process.kill()
        for (const one of [...rack()?.links ?? []]) if (one.region === region) one.end()
        world.at(until, () => { Object.assign(region, createStoringRegion(world, dice, table, manifest, region.name)); world.tell(`${region.name}: starts`) })
      })
      break
    case 'rack': world.at(from, () => { world.tell('rack: killed'); kill() }); break
    case 'crash': world.at(from, () => { disk.crash = dice.pick(['before the sync', 'after the sync'] as const) }); break
    case 'pause': world.at(from, () => {
      const process = any < 0.5 ? rack()?.process : region.process
      if (process === undefined) return
      world.tell(`${process.name}: paused`)
      process.pause()
      world.at(until, () => { process.resume() })
    }); break
    case 'database': world.at(from, () => { world.tell('database: down'); table.up = false }); world.at(until, () => { world.tell('database: up'); table.up = true }); break
    case 'disk': world.at(from, () => { world.tell('disk: fails'); disk.failing = true }); world.at(until, () => { disk.failing = false }); break
    case 'replace': if (any < 0.3) world.at(from, () => { world.tell('disk: replaced by an empty one'); kill(); disk.replace() })
  }
}
