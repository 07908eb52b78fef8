/** One schedule of DHCP: racks, regions, a database and clients in virtual time, with faults, and what must hold all the while. */
import { createDice } from '../dice.ts'
import type { Outcome } from '../run.ts'
import { createWorld } from '../world.ts'
import { Ability } from './ability.ts'
import { Air } from './air.ts'
import { makeRack, makeRegion } from './assembly.ts'
import { Client, personas } from './client.ts'
import { SimDatabase } from './database.ts'
import { FactStore, Outbox } from './facts.ts'
import { gather, live, plan, strand } from './faults.ts'
import type { Setting } from './faults.ts'
import { epochOf } from './host.ts'
import { Installation, rackAddress, segmentName } from './installation.ts'
import { Invariants } from './invariants.ts'
import { Disk } from './journal-disk.ts'
import { Links } from './links.ts'
import { Subscription } from './publisher.ts'
import { claimAll, operate } from './operator.ts'
import { Rack } from './rack.ts'
import { ModelReferee } from './referee.ts'
import { SimRegion } from './region.ts'
import { Table } from './table.ts'
import { createSource } from './wanted.ts'

export interface DhcpSimOptions { readonly verbose?: boolean }

export async function dhcp (seed: number, { verbose = false }: DhcpSimOptions = {}): Promise<Outcome> {
  const dice = createDice(seed)
  const world = createWorld(verbose)
  // Half of the schedules are of one kind: more clients than addresses, and a rack that is cut off for longer than it may act alone.
  const scarce = dice.chance(0.5)
  // In a few there are so many clients, and they ask so much at once, that a rack has two batches under way (rack/wishes.ts: 16 wishes are worth a second).
  const crowded = !scarce && dice.chance(0.03)
  const leaseSeconds = scarce ? 30 : dice.pick([30, 60, 60, 90])
  const config = scarce
    ? { autonomySeconds: 130, blockSize: 2, reserveSize: dice.pick([1, 1, 2]), leaseSeconds }
    : { autonomySeconds: dice.pick([130, 170]), blockSize: crowded ? 16 : dice.pick([2, 4, 8]), reserveSize: dice.pick([1, 2, 4]), leaseSeconds }
  const faulty = scarce ? 265_000 : crowded ? 200_000 : dice.pick([100_000, 200_000, 320_000])
  const calm = 80_000
  const names = ['A', 'B', 'C'].slice(0, scarce ? dice.pick([2, 2, 3]) : dice.whole(1, 3))
  const segments = Array.from({ length: scarce || crowded ? 1 : dice.whole(1, 2) }, (_, n) => segmentName(n))
  const installation = new Installation(dice, { racks: names, segments: segments.length, pool: scarce ? dice.whole(4, 6) : crowded ? dice.whole(30, 60) : dice.pick([4, 8, 16, 24]) })
  const table = new Table()
  const referee = new ModelReferee(table)
  const air = new Air(world, dice)
  const links = new Links(world, dice)
  const db = new SimDatabase(world, dice)
  const factStore = new FactStore()
  const counts: Record<string, number> = {}
  const tally = { leases: 0, naks: 0, expired: 0 }

  const regions: SimRegion[] = ['r1', 'r2', 'r3'].slice(0, dice.whole(1, 3)).map(name => new SimRegion(name, { world, dice, db, links, factStore, make: database => makeRegion(database, referee, installation, config, () => db.instantly(tx => claimAll(tx, referee, installation))), leads: region => regions.find(({ process }) => process.alive && !process.paused && db.reached(region.name)) === region }))
  const source = createSource({ world, dice, db, referee, installation, racks: names, leaseSeconds })
  const racks = names.map((name, index) => {
    const addresses = new Map(segments.flatMap((segment, n) => installation.serving.get(segment)?.includes(name) ? [[segment, rackAddress(n, index)] as const] : []))
    const rack: Rack = new Rack(name, new Disk(name, world), addresses, { world, dice, air, links, make: makeRack(config), drift: 0.0005 })
    for (const region of regions) links.add(name, region)
    rack.subscription = new Subscription({ world, dice, db, links, source, taker: rack })
    rack.outbox = new Outbox(name, { world, dice, links, region: name => regions.find(region => region.name === name), alive: () => rack.process !== undefined })
    return rack
  })
  db.shows = (topic, id) => {
    const row = table.rows.get(id)
    if (row === undefined) return topic === 'dhcp.binding' ? 'no row' : ''
    const end = row.expires ?? row.quarantinedUntil
    return `${clients.find(({ mac }) => mac === row.client)?.name ?? row.client ?? 'nobody'} ${row.number}${end === null ? '' : ` until ${((end - epochOf - db.offset) / 1000).toFixed(1)}`}${row.rack === null ? '' : ` block of ${row.rack}`}${row.quarantinedUntil === null ? '' : ' quarantined'}${row.reserveOf === null ? '' : ` reserve of ${row.reserveOf}`}${row.retiring === null ? '' : ` retiring ${row.retiring}, waits for ${row.waitsFor.join(' ')}`}`
  }
  db.committed = () => { if (table.takenTwice !== undefined) world.violated(`4: the entry ${table.takenTwice} of a journal is taken in twice`); invariants.touched(); for (const { subscription } of racks) subscription.kick() }
  const clients: Client[] = []
  const invariants = new Invariants(world, clients, {
    bound (address) {
      const row = table.rows.get(address)
      return row?.client === undefined || row.client === null || row.expires === null ? undefined : { client: row.client, until: row.expires - epochOf - db.offset }
    },
    journalled: (address, client) => racks.some(({ disk }) => disk.state.leases.some(lease => lease.address === address && lease.client === client))
  }, new Ability({ world, air, db, links, table, installation, racks, clients }))
  const events = {
    believed (client: Client): void { tally.leases++; invariants.believed(client) },
    ended (_client: Client, how: string): void { if (how === 'expired') tally.expired++ },
    nak (): void { tally.naks++ }
  }
  for (let n = scarce ? dice.whole(4, 7) : crowded ? dice.whole(24, 40) : dice.whole(2, 6); n > 0; n--) clients.push(new Client(n, dice.pick(personas), dice.pick(segments), { world, dice, air, drift: 0.005, events }))
  const setting: Setting = { world, dice, air, db, links, racks, regions, clients, segments, faulty, autonomy: config.autonomySeconds * 1000, leaseSeconds, counts, operate: () => { operate({ world, dice, db, installation, referee, clients }) } }
  for (const rack of racks) rack.start()
  for (const client of clients) live(setting, client)
  if (scarce) strand(setting)
  if (crowded) gather(setting)
  for (let fault = scarce ? dice.whole(0, 3) : dice.whole(2, 8); fault > 0; fault--) plan(setting)
  const waiting = (): string[] => [...table.rows.values()].flatMap(({ address, retiring, waitsFor }) => waitsFor.length > 0 ? [`${address} in round ${retiring ?? ''}, which waits for ${waitsFor.join(' ')}`] : [])
  let stuck: string[] = []
  world.at(faulty + calm - 42_000, () => { stuck = waiting() })
  world.at(faulty, () => { world.tell('everything heals'); db.healed = links.healed = true; for (const rack of racks) rack.start(); for (const region of regions) region.start() })
  let violation = await world.run(faulty + calm)
  if (violation === undefined) {
    const still = waiting().filter(one => stuck.includes(one))
    const [full] = racks.filter(({ disk }) => disk.state.leases.length > 0)
    violation = invariants.agreed() ?? (still.length > 0 ? `5: still not free, long after everything healed: ${still.join('; ')}` : undefined) ??
      (full === undefined ? undefined : `4: the journal of ${full.name} still holds ${full.disk.state.leases.length} leases`)
    if (violation !== undefined) world.violated(violation)
  }
  return { seed, violation, hash: world.hash, lines: world.lines, facts: { ...tally, packets: air.packets, calls: links.calls, commits: db.commits, ...counts } }
}
