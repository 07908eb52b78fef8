/** The rack's journal: the leases it gave alone and the addresses it may give alone, on its own disk. What `commit` has returned from is synced. Types, and the pure part. */
import type { JournalEntry, Reserved } from '../referee.ts'

/** `ends`: ms of boot time, of the boot `boot`. */
export interface JournalLease extends JournalEntry { readonly ends: number, readonly boot: string }
/** `returning`: not used any more, and given back; kept until the region has heard of it. */
export interface JournalReserve extends Reserved { readonly returning: boolean }
/** The last answered sync: its start in boot time, and what was answered. */
export interface Heard { readonly boot: string, readonly start: number, readonly standing: string, readonly autonomySeconds: number }

export interface Forgot { readonly address: string, readonly round: string }

export interface JournalState {
  /** Names this life of the journal; new with a new file. */
  readonly epoch: string
  /** The last number given. */
  readonly last: number
  /** Not stored by a region yet, in order. */
  readonly leases: readonly JournalLease[]
  readonly reserve: readonly JournalReserve[]
  readonly heard: Heard | undefined
  /** What the regions were told is forgotten, the last round of each address: older bindings are void, should the kept wanted state still show them. */
  readonly forgot?: readonly Forgot[]
}
/** Carried out in this order, whole or not at all. */
export interface JournalChange {
  readonly append?: readonly JournalLease[]
  /** A region has stored everything up to this number. */
  readonly through?: number
  /** Replaces by address. */
  readonly reserve?: readonly JournalReserve[]
  readonly drop?: readonly string[]
  readonly heard?: Heard
  /** Replaces by address. */
  readonly forgot?: readonly Forgot[]
}

/** A disk. Both functions throw when it fails; then nothing is promised. */
export interface Journal {
  load(): JournalState
  /** One synced commit. */
  commit(change: JournalChange): void
  close(): void
}

/** What a change makes of a state: what every journal does, and what one in memory is. Pure. */
export function changed (state: JournalState, { append = [], through = 0, reserve = [], drop = [], heard, forgot = [] }: JournalChange): JournalState {
  const put = new Map(state.reserve.map(one => [one.address, one]))
  for (const one of reserve) put.set(one.address, one)
  for (const address of drop) put.delete(address)
  return {
    epoch: state.epoch,
    last: append.at(-1)?.seq ?? state.last,
    leases: [...state.leases, ...append].filter(({ seq }) => seq > through),
    reserve: [...put.values()],
    heard: heard ?? state.heard,
    ...forgot.length === 0 ? state.forgot === undefined ? {} : { forgot: state.forgot } : { forgot: [...(state.forgot ?? []).filter(({ address }) => !forgot.some(one => one.address === address)), ...forgot] }
  }
}
