/** The referee: who may have which address. The only place where an address changes hands; in production it is PostgreSQL (`store.ts`), in the simulation a model held to it by a test. Types only. */
import type { Query, Tx } from '../../core/plugin.ts'

/** Who a client is to the referee: its MAC for DHCPv4 (lower case, colons), `duid/iaid` in hex for DHCPv6. */
export type ClientKey = string

export interface WishedBinding { readonly address: string, readonly subnet: string, readonly client: ClientKey, readonly clientId: string | null, readonly hostname: string | null, readonly seconds: number }
/** `number` names this act of binding: a later word about it (release, decline) counts only for it. `expires` by the database's clock. */
export type BindAnswer = { readonly stored: true, readonly expires: Date, readonly number: string } | { readonly stored: false, readonly reason: string }

/** An address of a rack's reserve; `grant` names the act of giving it, so that a late word about an earlier one means nothing. */
export interface Reserved { readonly address: string, readonly subnet: string, readonly grant: string }
/** A lease a rack gave alone. `from`: by which of its two rights. Numbered without gaps within an epoch of the journal. */
export interface JournalEntry extends WishedBinding { readonly seq: number, readonly from: 'reserve' | 'knowledge' }
export interface Settled { readonly through: number, readonly refused: readonly number[] }
/** An address that changes hands once the racks named have forgotten its last client. */
export interface Retirement { readonly address: string, readonly subnet: string, readonly round: string }

/** `now` is the database's clock in every rule. Each function is one step: it happens whole or not at all, and may be repeated. */
export interface Referee {
  /** Stores bindings, each or not. The client's own row (lapsed or retiring, too), the asking rack's block or reserve, or an address nobody has a claim on and no rack may still act on. */
  bind(tx: Tx, rack: string, wishes: readonly WishedBinding[]): Promise<readonly BindAnswer[]>
  /** Free addresses for a rack's online block; when too few are free, the longest lapsed begin to retire for the next time. */
  grant(tx: Tx, rack: string, subnet: string, options: GrantOptions): Promise<{ readonly addresses: readonly string[], readonly retiring: readonly string[] }>
  /** The rack's reserve in the subnet, filled up to `count` from what is free. */
  reserve(tx: Tx, rack: string, subnet: string, count: number, options: GrantOptions): Promise<readonly Reserved[]>
  /** Takes in what a rack gave alone, in order, each entry once (cursor per rack and epoch of its journal). */
  settle(tx: Tx, rack: string, epoch: string, entries: readonly JournalEntry[]): Promise<Settled>
  /** The rack has durably forgotten (acknowledged a wanted state without) the clients of these retirements. */
  forgotten(tx: Tx, rack: string, retirements: readonly { readonly address: string, readonly round: string }[]): Promise<readonly string[]>
  /** The rack gives reserve addresses back that it holds no lease of. */
  returned(tx: Tx, rack: string, reserves: readonly { readonly address: string, readonly grant: string }[]): Promise<void>
  /** Notes that the rack was heard of, and gives its standing: the number that its wanted state must show before it may act on what it knows. */
  heard(tx: Tx, rack: string): Promise<{ readonly standing: string }>
  /** Begins to retire the clients' claims to these addresses, whoever they are. */
  retire(tx: Tx, addresses: readonly string[]): Promise<readonly string[]>
  /** What waits for racks not heard of for `autonomySeconds` waits no longer; their standing goes up in the same step, so that what they know is void until they have caught up. */
  giveUpOnSilent(tx: Tx, autonomySeconds: number): Promise<{ readonly racks: readonly string[], readonly addresses: readonly string[] }>
  release(tx: Tx, ended: readonly Ended[]): Promise<readonly string[]>
  quarantine(tx: Tx, ended: readonly Ended[], seconds: number): Promise<readonly string[]>
  /** Who is told of the subnet's bindings: noted before the rack is told, and removed only by its own durable word or when it is given up. */
  tells(tx: Tx, rack: string, subnets: readonly string[]): Promise<void>
  bindingsOf(q: Query, subnets: readonly string[], addresses?: readonly string[]): Promise<readonly StoredBinding[]>
}
export interface GrantOptions { readonly ranges: readonly { readonly start: string, readonly end: string }[], readonly taken: readonly string[], readonly racks: number, readonly most: number }
/** The client's word about the binding `number`, or about any binding of it when it is null. */
export interface Ended { readonly address: string, readonly client: ClientKey, readonly number: string | null }
export interface StoredBinding {
  readonly address: string, readonly subnet: string, readonly client: ClientKey, readonly clientId: string | null, readonly hostname: string | null
  readonly boundAt: Date, readonly expires: Date, readonly number: string
  /** The round of its retirement, when its claim is coming to an end. */
  readonly retiring: string | null
}
