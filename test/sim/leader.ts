/** One seeded schedule of leadership: two to five regions, a database, faults; and what must hold at every moment. */
import { defaultPace } from '../../core/leader/term.ts'
import type { Pace } from '../../core/leader/term.ts'
import { Server } from './database.ts'
import type { Flaws } from './database.ts'
import { createDice } from './dice.ts'
import type { Dice } from './dice.ts'
import { Region } from './region.ts'
import type { Outcome } from './run.ts'
import { createWorld } from './world.ts'
import type { World } from './world.ts'

/** How fast clocks may run apart, so that a trusted term still ends before the database's TTL: see `margin`. */
const paces = [
  { pace: defaultPace, drift: 0.08 },
  { pace: { ttl: 2_600, renew: 500, margin: 350 }, drift: 0.04 } // what the floating address uses
] as const
export interface LeaderOptions { readonly verbose?: boolean, readonly pace?: Partial<Pace>, readonly flaws?: Flaws }

const faulty = 16_000 // ms of faults; then everything heals
const calm = 9_500

export async function leader (seed: number, { verbose = false, pace: other = {}, flaws = {} }: LeaderOptions = {}): Promise<Outcome> {
  const dice = createDice(seed)
  const world = createWorld(verbose)
  const { pace: usual, drift } = dice.chance(0.8) ? paces[0] : paces[1]
  const pace: Pace = { ...usual, ...other }
  const server = new Server(world, dice, 1 + dice.between(-drift, drift), flaws)
  server.notifyLoss = dice.pick([0, 0.3, 1])
  const regions = ['a', 'b', 'c', 'd', 'e'].slice(0, dice.pick([2, 2, 3, 3, 4, 5])).map(name => new Region(name, { world, dice, server, pace, drift }))
  watch(world, server, regions, pace, drift)
  if (dice.chance(0.3)) server.afterTake = holder => { if (dice.chance(0.3)) stumble(world, dice, regions.find(({ name }) => name === holder), pace) }
  for (let fault = dice.whole(2, 7); fault > 0; fault--) plan(world, dice, server, regions, pace)
  world.at(faulty, () => {
    world.tell('everything heals')
    for (const region of regions) if (!region.process.alive) region.start()
  })
  const violation = await world.run(faulty + calm)
  return { seed, violation, hash: world.hash, lines: world.lines, facts: { terms: server.granted.size, writes: server.written.length } }
}

/** One fault, some time. What it breaks heals before the end of the faulty time. */
function plan (world: World, dice: Dice, server: Server, regions: readonly Region[], pace: Pace): void {
  const from = dice.between(500, faulty - 4_000)
  const until = Math.min(faulty - 10, from + dice.between(50, dice.chance(0.5) ? pace.ttl * 0.6 : pace.ttl * 2))
  const toLeader = dice.chance(0.6)
  const any = dice.whole(0, regions.length - 1)
  const target = (): Region => regions.find(region => toLeader && region.leads) ?? regions[any] as Region
  const strength = dice.random()
  /** Something about one region that begins and ends. */
  const trouble = (what: string, begin: (region: Region) => void, end: (region: Region) => void): void => {
    world.at(from, () => {
      const region = target()
      world.tell(`${region.name}: ${what}`)
      region.troubles++
      begin(region)
      world.at(until, () => {
        world.tell(`${region.name}: over: ${what}`)
        end(region)
        region.troubles--
        region.since = world.now
      })
    })
  }
  const broken = (what: string, begin: () => void, end: () => void): void => {
    world.at(from, () => { world.tell(`database: ${what}`); server.troubles++; begin() })
    world.at(until, () => { world.tell(`database: over: ${what}`); end(); server.troubles--; server.since = world.now })
  }
  switch (dice.pick(['kill', 'kill', 'stop', 'stop', 'pause', 'pause', 'pause', 'cut', 'cut', 'slow', 'slow', 'fade', 'fade', 'loss', 'unready', 'stall', 'failover', 'failover', 'commits', 'step'] as const)) {
    case 'kill': world.at(from, () => { const region = target(); world.tell(`${region.name}: killed`); region.kill(); world.at(until, () => { region.start() }) }); break
    case 'stop': world.at(from, () => { const region = target(); world.tell(`${region.name}: told to stop`); region.stop(); world.at(until, () => { region.start() }) }); break
    case 'pause': trouble('paused', region => { region.process.pause() }, region => { region.process.resume() }); break
    case 'cut': trouble('cut off', region => { region.path.cut = true }, region => { region.path.cut = false }); break
    case 'slow': trouble('slow answers', region => { region.path.slow = strength * pace.ttl * 1.6 }, region => { region.path.slow = 0 }); break
    case 'fade': // what an answer that comes late is worth shows when none comes after it
      trouble('slow answers, then cut off', region => {
        region.path.slow = pace.ttl * (0.4 + 0.6 * strength)
        if (any % 2 === 0) region.process.pause()
        world.at(Math.min(until, from + pace.ttl * (0.3 + 0.5 * strength)), () => { region.process.resume(); world.after(30, () => { region.path.cut = true }) })
      }, region => { region.path.slow = 0; world.after(40, () => { region.path.cut = false; region.since = world.now }) })
      break
    case 'loss': trouble('losing messages', region => { region.path.loss = strength * 0.6 }, region => { region.path.loss = 0 }); break
    case 'unready': trouble('not ready', region => { region.ready = false }, region => { region.ready = true }); break
    case 'stall': broken('stands still', () => { if (server.up) server.pause() }, () => { if (server.paused) server.resume() }); break
    case 'commits': broken('slow commits', () => { server.commitDelay = strength * 2_500 }, () => { server.commitDelay = 0 }); break
    case 'step': world.at(from, () => { if (stepped.has(server)) return; stepped.add(server); world.tell('database: its clock steps'); server.offset += (strength - 0.5) * 0.05 * pace.ttl }); break
    case 'failover': {
      const lag = strength < 0.3 ? 0 : strength * 3_000
      world.at(from, () => {
        if (!server.up) return
        const crashed = world.now
        world.tell('database: dies')
        server.troubles++
        server.crash()
        world.at(Math.min(until, from + 6_000), () => {
          server.promote(crashed, lag, (strength - 0.5) * 600)
          world.tell(`database: the standby goes on, ${lag.toFixed(0)} ms behind; term ${server.row?.term ?? 'none'}`)
          server.troubles--
          server.since = world.now
        })
      })
    }
  }
}
const stepped = new WeakSet<Server>()

/** Paused before it hears that it has won, and cut off as soon as it has: a winner whose trust nothing renews. */
function stumble (world: World, dice: Dice, region: Region | undefined, pace: Pace): void {
  const back = dice.between(0.2, 0.9) * pace.ttl
  if (region === undefined || region.process.paused || region.path.cut || world.now + back + pace.ttl > faulty) return
  world.tell(`${region.name}: paused as it wins`)
  const { process } = region
  region.troubles++
  process.pause()
  world.after(back, () => { process.resume(); world.after(30, () => { region.path.cut = true }) })
  world.after(back + dice.between(0.5, 1) * pace.ttl, () => { world.tell(`${region.name}: back`); region.path.cut = false; region.troubles--; region.since = world.now })
}

/** What must hold. */
function watch (world: World, server: Server, regions: readonly Region[], pace: Pace, drift: number): void {
  const slowest = 1 - drift
  const patience = (pace.ttl + 2_000) / slowest // of somebody whose clock is slow
  const afterFailover = (pace.ttl + pace.renew + 1_200) / slowest
  const atOnce = 1_000
  const unheard = (pace.renew + 200) / slowest + 600
  let violated: string | undefined
  const violate = (what: string): void => { violated ??= what; world.violated(what) }
  world.watch(() => {
    const leaders = regions.filter(region => region.leads)
    if (leaders.length > 1) violate(`${leaders.map(({ name }) => name).join(' and ')} lead at once`)
    const { now } = world
    if (server.locked) server.lastLock = now
    if (leaders.length > 0 || server.troubles > 0 || server.locked) return
    const fit = regions.filter(region => region.healthy)
    if (fit.length === 0) return
    const since = Math.max(server.since, Math.min(...fit.map(region => Math.max(region.since, region.idleSince))))
    const due = Math.max(since, server.lastGrant) + (server.timeline > 1 && now - server.since < 2 * afterFailover ? Math.max(patience, afterFailover) : patience)
    if (now > Math.max(due, server.lastLock + 1_500)) violate(`nobody leads, ${(now - Math.max(since, server.lastGrant)).toFixed(0)} ms after the last term and the last fault; ${fit.map(({ name }) => name).join(', ')} could`)
    const { resigned } = server
    if (resigned === undefined || server.timeline > 1) return
    for (const region of fit) {
      const rested = Math.max(region.since, region.idleSince, server.since)
      if (region.name === resigned.by || rested + 5_000 > resigned.at) continue // it may still be waiting for an answer that will not come
      const limit = resigned.told.has(region.name) ? atOnce : unheard
      if (now > Math.max(resigned.at, server.lastLock) + limit) violate(`nobody leads ${(now - resigned.at).toFixed(0)} ms after ${resigned.by} gave the term up, though ${region.name} could`)
    }
  })
}
