/** What a region answers to racks about addresses: calls and facts, over a referee. No SQL, no clock, no network plugin: the simulation runs it as it is. */
import { BedplateError } from '../../../core/errors.ts'
import type { Caller, Database, Logger, Tx } from '../../../core/plugin.ts'
import type { DhcpFact, SyncParams, SyncResult, Wish, Answer } from '../manifest.ts'
import type { BindAnswer, GrantOptions, Referee } from '../referee.ts'

/** Where addresses of a subnet may come from, and which racks serve it, ranked. */
export interface Pool extends Pick<GrantOptions, 'ranges' | 'taken'> { readonly subnet: string, readonly racks: readonly string[], readonly size: number }
export interface HandlersOptions {
  readonly db: Database, readonly referee: Referee, readonly log: Logger
  readonly config: { readonly blockSize: number, readonly autonomySeconds: number, readonly quarantineSeconds: number }
  /** The pools of these subnets; one that does not exist or is not served is missing. */
  pools(tx: Tx, subnets: readonly string[]): Promise<readonly Pool[]>
  /** Hears of the wishes that were stored and came through a relay, in the same transaction. */
  relayed?(tx: Tx, wishes: readonly Wish[]): Promise<void>
}
export interface Handlers {
  bind(params: { readonly wishes: readonly Wish[] }, caller: Caller): Promise<{ answers: Answer[] }>
  grant(params: { readonly subnet: string }, caller: Caller): Promise<{ addresses: string[] }>
  sync(params: SyncParams, caller: Caller): Promise<SyncResult>
  /** Runs in the transaction that moves the rack's cursor. */
  facts(tx: Tx, batch: readonly DhcpFact[]): Promise<void>
  /** Leader's work, every few seconds: racks that are silent for too long are waited for no longer. */
  sweep(): Promise<void>
}

/** Of its pool, a reserve takes a quarter at most, shared among the racks; one address at least. */
export const reserveShare = (pool: Pool, wanted: number): number => pool.size === 0 ? 0 : Math.min(wanted, Math.max(1, Math.floor(pool.size / (4 * Math.max(1, pool.racks.length)))))

export function createHandlers ({ db, referee, log, config, pools, relayed }: HandlersOptions): Handlers {
  const poolOf = async (tx: Tx, subnet: string, rack: string): Promise<Pool | undefined> => (await pools(tx, [subnet])).find(({ racks }) => racks.includes(rack))

  const bindRest = (rack: string, wishes: readonly Wish[]): Promise<readonly BindAnswer[]> => db.tx(async tx => {
    const answers = await referee.bind(tx, rack, wishes)
    const touched = new Set<string>()
    wishes.forEach(({ address }, index) => { const answer = answers[index]; if (answer !== undefined && (answer.stored || answer.retiring === true)) touched.add(address) })
    for (const address of touched) await tx.changed('dhcp.binding', address)
    if (relayed !== undefined && wishes.some(({ relay }) => relay !== undefined)) await relayed(tx, wishes.filter(({ relay }, index) => relay !== undefined && answers[index]?.stored === true))
    return answers
  })

  return {
    async bind ({ wishes }, { controller }) {
      // The ports of relays are noted in the same transaction, so those batches take the longer way.
      const atOnce = relayed === undefined || wishes.every(({ relay }) => relay === undefined) ? await referee.bindAtOnce(db, controller, wishes) : []
      const left = wishes.filter((_, index) => atOnce[index] === undefined)
      const rest = left.length === 0 ? [] : await bindRest(controller, left)
      let at = 0
      return { answers: wishes.map((_, index) => told(atOnce[index] ?? rest[at++])) }
    },

    grant: ({ subnet }, { controller }) => db.tx(async tx => {
      const pool = await poolOf(tx, subnet, controller)
      if (pool === undefined) return { addresses: [] }
      const { addresses, retiring } = await referee.grant(tx, controller, subnet, { ranges: pool.ranges, taken: pool.taken, racks: pool.racks.length, most: config.blockSize })
      if (addresses.length > 0) await tx.changed('dhcp.block', subnet)
      for (const address of retiring) await tx.changed('dhcp.binding', address)
      return { addresses: [...addresses] }
    }),

    sync: ({ epoch, last, entries, forgotten, returned, subnets }, { controller: rack }) => db.tx(async tx => {
      // The journal first: what was given alone must be in before anything is taken for forgotten or given back.
      const { through, refused, stored } = await referee.settle(tx, rack, epoch, entries)
      if (through > last) throw new BedplateError('CONFLICT', { reason: `The journal of rack ${rack} ends at ${last}, but ${through} was heard from it before: its disk was set back. Stop the rack, delete the folder dhcp of its data directory, and start it.` })
      for (const seq of refused) {
        const entry = entries.find(entry => entry.seq === seq)
        const word = { rack, seq, address: entry?.address, client: entry?.client }
        if (entry?.from === 'reserve') log.error(word, 'a lease that a rack gave alone from its reserve is not the rack\'s by the database: see docs/dhcp-availability.md section 7')
        else log.warn(word, 'a lease that a rack extended alone is over: the address is not its client\'s any more')
      }
      const freed = await referee.forgotten(tx, rack, forgotten)
      await referee.returned(tx, rack, returned)
      for (const address of new Set([...stored ?? [], ...freed, ...returned.map(({ address }) => address)])) await tx.changed('dhcp.binding', address)
      const served = (await pools(tx, subnets.map(({ subnet }) => subnet))).filter(({ racks }) => racks.includes(rack))
      const begun: string[] = []
      for (const { subnet, count } of subnets) {
        const pool = served.find(pool => pool.subnet === subnet)
        if (pool === undefined) continue
        const target = reserveShare(pool, count)
        if (target > 0) begun.push(...(await referee.reserve(tx, rack, subnet, target, { ranges: pool.ranges, taken: pool.taken, racks: pool.racks.length, most: config.blockSize })).retiring)
      }
      for (const address of begun) await tx.changed('dhcp.binding', address)
      const reserves = await referee.reservesOf(tx, rack)
      const surplus = surplusOf(reserves, served, subnets)
      const { standing } = await referee.heard(tx, rack, config.autonomySeconds)
      return { standing, autonomySeconds: config.autonomySeconds, through, refused: [...refused], reserves: [...reserves], surplus }
    }),

    async facts (tx, batch) {
      const of = (kind: 'released' | 'declined') => batch.flatMap(fact => fact.kind === kind ? [fact.body] : [])
      const [released, declined] = [of('released'), of('declined')]
      const touched = new Set<string>()
      if (released.length > 0) for (const address of await referee.release(tx, released)) touched.add(address)
      if (declined.length > 0) for (const address of await referee.quarantine(tx, declined, config.quarantineSeconds)) touched.add(address)
      for (const address of touched) await tx.changed('dhcp.binding', address)
    },

    async sweep () {
      await db.tx(async tx => {
        const { racks, addresses } = await referee.giveUpOnSilent(tx, config.autonomySeconds)
        for (const rack of racks) await tx.changed('dhcp.rack', rack)
        for (const address of addresses) await tx.changed('dhcp.binding', address)
        if (racks.length > 0) log.info({ racks, addresses: addresses.length }, 'racks not heard of for too long are waited for no longer')
      })
    }
  }
}

const told = (answer: BindAnswer | undefined): Answer => answer?.stored === true
  ? { stored: true, expires: answer.expires.toISOString(), number: answer.number, reason: null, quiet: false }
  : { stored: false, expires: null, number: null, reason: answer?.reason ?? 'the region gave no answer', quiet: answer?.quiet ?? false }

const valueOf = (address: string): number => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)

/** Reserve addresses the rack should give back: it does not serve the subnet, the range is gone, somebody else is to have the address, or they are more than its share. */
function surplusOf (reserves: readonly { readonly address: string, readonly subnet: string }[], served: readonly Pool[], wanted: SyncParams['subnets']): string[] {
  const kept = new Map<string, number>()
  return reserves.filter(({ address, subnet }) => {
    const pool = served.find(pool => pool.subnet === subnet)
    if (pool === undefined || pool.taken.includes(address) || !pool.ranges.some(({ start, end }) => valueOf(address) >= valueOf(start) && valueOf(address) <= valueOf(end))) return true
    const count = (kept.get(subnet) ?? 0) + 1
    kept.set(subnet, count)
    return count > reserveShare(pool, wanted.find(one => one.subnet === subnet)?.count ?? 0)
  }).map(({ address }) => address)
}
