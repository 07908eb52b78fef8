/** What goes wrong in a schedule: each fault begins at some moment and is over before everything heals. */
import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'
import type { Air } from './air.ts'
import type { Client } from './client.ts'
import type { SimDatabase } from './database.ts'
import type { Links } from './links.ts'
import type { Rack } from './rack.ts'
import type { SimRegion } from './region.ts'

export interface Setting {
  readonly world: World, readonly dice: Dice, readonly air: Air, readonly db: SimDatabase, readonly links: Links
  readonly racks: readonly Rack[], readonly regions: readonly SimRegion[], readonly clients: readonly Client[]
  readonly segments: readonly string[]
  /** ms of faults. */
  readonly faulty: number
  /** ms a rack may act on what it knows. */
  readonly autonomy: number
  readonly leaseSeconds: number
  readonly counts: Record<string, number>
  /** An operator does something; undefined when there is nothing to do. */
  operate (): void
}

const kinds = [
  'rack crash', 'rack crash', 'rack crash', 'host restart', 'rack pause', 'rack pause', 'rack pause', 'pause while storing', 'pause while storing', 'pause while storing',
  'cut off', 'cut off', 'cut off', 'cut off', 'cut off', 'cut link', 'all cut off', 'all cut off', 'deaf', 'deaf',
  'region crash', 'region pause', 'region without database', 'database down', 'database down', 'database slow',
  'slow links', 'lossy links', 'lossy air', 'lossy air', 'wall clock', 'wall clock', 'database clock',
  'disk fails', 'crash in a write', 'crash in a write', 'wanted late', 'wanted late', 'operator', 'operator'
] as const
export type Fault = (typeof kinds)[number]

/** Plans one fault. */
export function plan (s: Setting): void {
  const { world, dice, faulty } = s
  const kind = dice.pick(kinds)
  const from = dice.between(5_000, faulty * 0.9)
  const long = dice.chance(0.25)
  const length = long ? dice.between(0.5, 1.6) * s.autonomy : dice.chance(0.5) ? dice.between(300, 8_000) : dice.between(0.3, 2.5) * s.leaseSeconds * 1000
  const until = Math.min(faulty - 1, from + length)
  const rack = dice.pick(s.racks)
  const region = dice.pick(s.regions)
  const strength = dice.random()
  const at = (moment: number, what: string, happen: () => void): void => { world.at(moment, () => { world.tell(what); happen() }) }
  const trouble = (what: string, begin: () => void, end: () => void): void => {
    at(from, what, begin)
    at(until, `over: ${what}`, end)
  }
  s.counts[kind] = (s.counts[kind] ?? 0) + 1
  switch (kind) {
    case 'rack crash': at(from, `${rack.name}: killed`, () => { rack.kill(); world.at(until, () => { rack.start() }) }); break
    case 'host restart': at(from, `${rack.name}: its host restarts`, () => { rack.kill(); rack.host.restart(); world.at(until, () => { rack.start() }) }); break
    case 'rack pause': trouble(`${rack.name}: paused`, () => { rack.pause() }, () => { rack.resume() }); break
    case 'pause while storing': at(from, `${rack.name}: will be paused while its next wishes are stored`, () => { rack.pausing = { ms: 1_000 + strength * 59_000, until: faulty - 1 } }); break
    case 'cut off': trouble(`${rack.name}: cut off from the regions`, () => { for (const link of s.links.of(rack.name)) s.links.cut(link) }, () => { for (const link of s.links.of(rack.name)) s.links.mend(link) }); break
    case 'all cut off': trouble('every rack is cut off from the regions', () => { for (const link of s.links.all) s.links.cut(link) }, () => { for (const link of s.links.all) s.links.mend(link) }); break
    case 'cut link': {
      const link = dice.pick(s.links.all)
      trouble(`${link.rack} and ${link.region.name}: cut from each other`, () => { s.links.cut(link) }, () => { s.links.mend(link) })
      break
    }
    case 'deaf': {
      const segment = dice.pick(s.segments)
      trouble(`${rack.name}: hears nothing on ${segment}`, () => { s.air.cut(rack.name, segment) }, () => { s.air.mend(rack.name, segment); rack.disturbed() })
      break
    }
    case 'region crash': at(from, `${region.name}: killed`, () => { region.kill(); world.at(until, () => { region.start() }) }); break
    case 'region pause': trouble(`${region.name}: paused`, () => { region.process.pause() }, () => { region.process.resume() }); break
    case 'region without database': trouble(`${region.name}: cut off from the database`, () => { s.db.cutOff.set(region.name, (s.db.cutOff.get(region.name) ?? 0) + 1) }, () => {
      const left = (s.db.cutOff.get(region.name) ?? 1) - 1
      if (left > 0) s.db.cutOff.set(region.name, left)
      else s.db.cutOff.delete(region.name)
    }); break
    case 'database down': trouble('database: down', () => { s.db.downs++ }, () => { s.db.downs--; s.db.since = world.now }); break
    case 'database slow': trouble('database: slow', () => { s.db.slow = strength * (long ? 4_000 : 1_500) }, () => { s.db.slow = 0; s.db.since = world.now }); break
    case 'slow links': trouble(`${rack.name}: slow links`, () => { for (const link of s.links.of(rack.name)) link.slow = strength * 5_000 }, () => { for (const link of s.links.of(rack.name)) link.slow = 0 }); break
    case 'lossy links': trouble(`${rack.name}: lossy links`, () => { for (const link of s.links.of(rack.name)) link.loss = strength * 0.5 }, () => { for (const link of s.links.of(rack.name)) link.loss = 0 }); break
    case 'lossy air': trouble('the segments lose, double and delay packets', () => { s.air.loss = strength * 0.4; s.air.twice = strength * 0.3; s.air.late = strength * 0.3 }, () => { s.air.loss = s.air.twice = s.air.late = 0; s.air.calmSince = world.now + 4_000 }); break
    case 'wall clock': at(from, `${rack.name}: its wall clock steps`, () => { rack.host.step((strength - 0.5) * (long ? 7_200_000 : 120_000)) }); break
    case 'database clock': at(from, 'database: another server, its clock differs', () => { s.db.failOver((strength - 0.5) * 2) }); break
    case 'disk fails': trouble(`${rack.name}: its disk fails`, () => { rack.disk.failing++ }, () => { rack.disk.failing--; rack.disturbed() }); break
    case 'crash in a write': at(from, `${rack.name}: will die in its next write`, () => { rack.disk.crash = strength < 0.5 ? 'before the sync' : 'after the sync' }); break
    case 'wanted late': trouble(`${rack.name}: its wanted state is held back`, () => { rack.subscription.held++ }, () => { rack.subscription.held-- }); break
    case 'operator': world.at(from, () => { s.operate() })
  }
}

/** A rack is cut off for longer than it may act alone, while others want the addresses it knows of; and what makes it forget that it was. */
export function strand (s: Setting): void {
  const { world, dice } = s
  const rack = dice.chance(0.75) ? s.racks[0] ?? dice.pick(s.racks) : dice.pick(s.racks)
  const from = dice.between(25_000, 60_000)
  const until = Math.min(s.faulty - 40_000, from + dice.between(0.9, 1.6) * s.autonomy)
  const links = s.links.of(rack.name)
  const cut = (begin: number, end: number): void => {
    world.at(begin, () => { world.tell(`${rack.name}: cut off from the regions, for long`); for (const link of links) s.links.cut(link) })
    world.at(end, () => { world.tell(`${rack.name}: no longer cut off`); for (const link of links) s.links.mend(link) })
  }
  cut(from, until)
  const during = from + dice.between(2_000, 0.5 * s.autonomy)
  switch (dice.pick(['host restart', 'host restart', 'crash', 'pause', 'none', 'none'] as const)) {
    case 'host restart': world.at(during, () => { world.tell(`${rack.name}: its host restarts`); rack.kill(); rack.host.restart(); world.after(2_000, () => { rack.start() }) }); break
    case 'crash': world.at(during, () => { world.tell(`${rack.name}: killed`); rack.kill(); world.after(2_000, () => { rack.start() }) }); break
    case 'pause': world.at(during, () => { rack.pause(); world.after(20_000, () => { rack.resume() }) }); break
  }
  if (dice.chance(0.5)) return
  // It is heard again, but not told again, and cut off once more.
  const again = until + dice.between(3_000, 12_000)
  world.at(until - 1_000, () => { rack.subscription.held++ })
  world.at(s.faulty - 2, () => { rack.subscription.held-- })
  cut(again, s.faulty - 1)
}

/** The power of all clients fails, twice or more; they come back together, while the database is slow. */
export function gather (s: Setting): void {
  const { world, dice, db, clients } = s
  for (let times = dice.whole(2, 4); times > 0; times--) {
    const at = dice.between(15_000, s.faulty - 30_000)
    const back = at + dice.between(200, dice.chance(0.5) ? 5_000 : 2 * s.leaseSeconds * 1000)
    world.at(at, () => { for (const client of clients) client.vanish() })
    world.at(Math.min(back, s.faulty - 20_000), () => {
      world.tell('everybody comes back at once, and the database is slow')
      db.slow = dice.between(200, 3_000)
      for (const client of clients) client.appear()
      world.after(10_000, () => { db.slow = 0; db.since = world.now })
    })
  }
}

/** What a client does in its life. */
export function live (s: Setting, client: Client): void {
  const { world, dice, segments, faulty } = s
  world.at(dice.chance(0.6) ? dice.between(0, 10_000) : dice.between(0, faulty * 0.8), () => { client.appear() })
  for (let turns = dice.whole(0, 3); turns > 0; turns--) {
    const at = dice.between(5_000, faulty)
    const back = at + dice.between(100, dice.chance(0.5) ? 5_000 : 3 * s.leaseSeconds * 1000)
    switch (dice.pick(['vanish', 'vanish', 'restart', 'release', 'move', 'move'] as const)) {
      case 'vanish': world.at(at, () => { client.vanish(); world.at(back, () => { client.appear() }) }); break
      case 'restart': world.at(at, () => { client.vanish(); world.after(300, () => { client.appear() }) }); break
      case 'release': world.at(at, () => { client.release(); world.at(back, () => { client.appear() }) }); break
      case 'move': if (segments.length > 1) world.at(at, () => { client.move(segments.find(one => one !== client.segment) ?? client.segment, dice.chance(0.7)) })
    }
  }
}
