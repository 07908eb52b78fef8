/** The referee: who may have which address. The only place where an address changes hands; in production it is PostgreSQL (`store.ts`), in the simulation a model held to it by a test. Types, and two figures. */
import type { Database, Query, Tx } from '../../core/plugin.ts'

/** Who a client is to the referee: its MAC for DHCPv4 (lower case, colons), `duid/iaid` in hex for DHCPv6. */
export type ClientKey = string

export interface WishedBinding { readonly address: string, readonly subnet: string, readonly client: ClientKey, readonly clientId: string | null, readonly hostname: string | null, readonly seconds: number }
/** `number` names this act of binding: a later word about it (release, decline) counts only for it. `expires` by the database's clock. */
export type BindAnswer = { readonly stored: true, readonly expires: Date, readonly number: string }
  /** `quiet`: the address is in a rack's reserve, so its client is not to be told off. `retiring`: its last claim begins to end, so that a later wish succeeds. */
  | { readonly stored: false, readonly reason: string, readonly quiet?: boolean, readonly retiring?: boolean }

/** An address of a rack's reserve; `grant` names the act of giving it, so that a late word about an earlier one means nothing. */
export interface Reserved { readonly address: string, readonly subnet: string, readonly grant: string }
/** A lease a rack gave alone. `from`: by which of its two rights. Numbered without gaps within an epoch of the journal. */
export interface JournalEntry extends WishedBinding { readonly seq: number, readonly from: 'reserve' | 'knowledge' }
/** `stored`: the addresses bound by it. */
export interface Settled { readonly through: number, readonly refused: readonly number[], readonly stored?: readonly string[] }
/** An address that changes hands once the racks named have forgotten its last client. */
export interface Retirement { readonly address: string, readonly subnet: string, readonly round: string }

/**
 * `now` is the database's clock in every rule. Each function is one step: it happens whole or not at all, and may be repeated.
 *
 * *Free* is an address that has no row; or whose claim ended (it retires, and its lease ended at least 10 s ago) or whose quarantine ended, and that waits for no rack.
 * An address in a reserve is its rack's alone until that rack says that it gives it back: nobody binds it, not even its own client or its own rack (a wish may be carried
 * out late, when the rack has given the address to somebody else meanwhile), and a lease settled from it is told to no other rack before it is returned.
 */
export interface Referee {
  /** Stores bindings, each or not: the client's own row in that subnet (lapsed or retiring, too: that ends the retirement), the asking rack's block, or what is free. A lapsed row of somebody else begins to retire. Never what is in a reserve. */
  bind(tx: Tx, rack: string, wishes: readonly WishedBinding[]): Promise<readonly BindAnswer[]>
  /** The same in a transaction of its own, made as short as can be, for those that are stored just so; `undefined` for any other, which `bind` is to look at. Changes `dhcp.binding`. */
  bindAtOnce(db: Database, rack: string, wishes: readonly WishedBinding[]): Promise<readonly (BindAnswer | undefined)[]>
  /** Free addresses for a rack's online block, at most its share; when too few are free, the longest lapsed (10 s) begin to retire for the next time. */
  grant(tx: Tx, rack: string, subnet: string, options: GrantOptions): Promise<{ readonly addresses: readonly string[], readonly retiring: readonly string[] }>
  /** Fills the rack's reserve in the subnet up to `count` addresses without a lease, from what is free; when too little is, the longest lapsed begin to retire. */
  reserve(tx: Tx, rack: string, subnet: string, count: number, options: GrantOptions): Promise<{ readonly retiring: readonly string[] }>
  /** All of the rack's reserve, by address, those that a lease was settled from and that it has not returned included. */
  reservesOf(q: Query, rack: string): Promise<readonly Reserved[]>
  /**
   * Takes in what a rack gave alone, in order, each entry once (cursor per rack and epoch of its journal). From the reserve: stored while the row is this rack's reserve, and stays in it
   * until returned. From knowledge: stored while the row is of this client in this subnet and in no other rack's reserve; the later end counts, and its retirement ends.
   * A new epoch: what the old one gave is unknown, so its reserve goes to nobody for the longest lease a rack gives alone. An epoch from before the present one: CONFLICT.
   */
  settle(tx: Tx, rack: string, epoch: string, entries: readonly JournalEntry[]): Promise<Settled>
  /** The rack has durably forgotten (acknowledged a wanted state without) the clients of these retirements. Gives the addresses that it is not waited for any more. */
  forgotten(tx: Tx, rack: string, retirements: readonly { readonly address: string, readonly round: string }[]): Promise<readonly string[]>
  /** The rack gives reserve addresses back. One with a settled lease is an ordinary binding from then on, one without is free. */
  returned(tx: Tx, rack: string, reserves: readonly { readonly address: string, readonly grant: string }[]): Promise<void>
  /** Notes that the rack was heard of, and gives its standing: the number that its wanted state must show before it may act on what it knows. */
  heard(tx: Tx, rack: string, autonomySeconds?: number): Promise<{ readonly standing: string }>
  /** Begins to retire the clients' claims to these addresses, whoever they are. A lease that has not ended is waited for, too. */
  retire(tx: Tx, addresses: readonly string[]): Promise<readonly string[]>
  /** What waits for racks not heard of for `autonomySeconds` (nor promised more) waits no longer; their standing goes up in the same step, so that what they know is void until they have caught up. */
  giveUpOnSilent(tx: Tx, autonomySeconds: number): Promise<{ readonly racks: readonly string[], readonly addresses: readonly string[] }>
  release(tx: Tx, ended: readonly Ended[]): Promise<readonly string[]>
  quarantine(tx: Tx, ended: readonly Ended[], seconds: number): Promise<readonly string[]>
  /** Who is told of the subnets' bindings (a rack never heard of gets its standing, `dhcp.rack` changed): noted before the rack is told, and removed only by its own durable word or when it is given up. */
  tells(tx: Tx, rack: string, subnets: readonly string[]): Promise<void>
  /** Bindings, lapsed and retiring ones included; none in a reserve. */
  bindingsOf(q: Query, subnets: readonly string[], addresses?: readonly string[]): Promise<readonly StoredBinding[]>
  /** What the rack is asked to forget, whatever the subnet. Read it before the bindings: what retires in between is then in neither. */
  retirementsOf(q: Query, rack: string, addresses?: readonly string[]): Promise<readonly Retirement[]>
  /** The rack's standing, to be read before the bindings; undefined when it was never heard of nor told anything. */
  standingOf(q: Query, rack: string): Promise<string | undefined>
}
/** A rack gives no lease alone that is longer than this, in seconds. */
export const longestAlone = 86_400
/** Seconds an address rests after its lease ended before anyone else gets it: room for slow replies and drifting clocks. */
export const restSeconds = 10

export interface GrantOptions { readonly ranges: readonly { readonly start: string, readonly end: string }[], readonly taken: readonly string[], readonly racks: number, readonly most: number }
/** The client's word about the binding `number`, or about any binding of it when it is null. */
export interface Ended { readonly address: string, readonly client: ClientKey, readonly number: string | null }
export interface StoredBinding {
  readonly address: string, readonly subnet: string, readonly client: ClientKey, readonly clientId: string | null, readonly expires: Date, readonly number: string
  /** The round of its retirement, when its claim is coming to an end. */
  readonly retiring: string | null
}
