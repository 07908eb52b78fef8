/** A steady load on two regions and a rack: who asked whom when, what failed, and what was acknowledged. Clients go to the other region when one does not answer. */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { reasonOf } from '../../core/errors.ts'
import type { Member } from './controllers.ts'

export interface Failure { readonly kind: string, readonly member: string, readonly from: number, readonly to: number, readonly reason: string }
/** While a member was being replaced: from before its SIGTERM until it was ready and linked again. Times as of performance.now(). */
export interface Absence { readonly member: string, readonly from: number, to: number }

export interface Load {
  readonly failures: readonly Failure[]
  /** Entries that were acknowledged: id → note. */
  readonly kept: ReadonlyMap<string, string>
  readonly ticks: readonly number[]
  /** Answers so far, by kind. */
  count(kind: Kind): number
  /** Ends it; rejects when a request was never answered at all. */
  stop(): Promise<void>
}
export type Kind = 'write' | 'read' | 'echo' | 'fabric' | 'tick' | 'keep'

const pace = 40 // ms between two requests of one kind
const patience = 20_000 // ms until a request that no region answers is given up

/** `rackId`: of the rack, for calls to it through a region. */
export function startLoad ({ regions, rack, rackId, token }: { readonly regions: readonly [Member, Member], readonly rack: Member, readonly rackId: string, readonly token: string }): Load {
  const failures: Failure[] = []
  const kept = new Map<string, string>()
  const ticks: number[] = []
  const counts: Record<Kind, number> = { write: 0, read: 0, echo: 0, fabric: 0, tick: 0, keep: 0 }
  const lost: string[] = []
  let ending = false

  /** One request to one member; undefined (and noted) when it failed. */
  async function ask (kind: Kind, member: Member, path: string, init: RequestInit = {}): Promise<Record<string, unknown> | undefined> {
    const from = performance.now()
    const failed = (reason: string): undefined => { failures.push({ kind, member: member.name, from, to: performance.now(), reason }) }
    try {
      const answer = await fetch(`${member.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers }, signal: AbortSignal.timeout(8000) })
      const text = await answer.text()
      if (!answer.ok) return failed(`${answer.status} ${text.slice(0, 300)}`)
      return JSON.parse(text) as Record<string, unknown>
    } catch (error) {
      return failed(`${reasonOf(error)} ${reasonOf((error as { cause?: unknown }).cause ?? '')}`)
    }
  }
  /** Goes from one member to the next until one answers. */
  async function insist (kind: Kind, members: readonly Member[], first: number, path: string, init?: RequestInit): Promise<Record<string, unknown> | undefined> {
    const deadline = performance.now() + patience
    for (let turn = first; performance.now() < deadline; turn++) {
      const answer = await ask(kind, members[turn % members.length] ?? rack, path, init)
      if (answer !== undefined) { counts[kind]++; return answer }
      await pause(50)
    }
    lost.push(`${kind} ${path}`)
    return undefined
  }
  const post = (body: unknown): RequestInit => ({ method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() } })
  const wrong = (kind: Kind, member: Member, reason: string) => { failures.push({ kind, member: member.name, from: Infinity, to: -Infinity, reason }) } // in nobody's absence

  const work: Record<Kind, (n: number) => Promise<void>> = {
    async write (n) {
      const entry = { id: `api-${n}`, note: `note ${n}` }
      if (await insist('write', regions, n, '/api/v1/ledger/entries', post(entry)) !== undefined) kept.set(entry.id, entry.note)
    },
    async read (n) {
      const ids = [...kept.keys()]
      const id = ids[Math.floor(Math.random() * ids.length)]
      if (id === undefined) return
      const entry = await insist('read', regions, n, `/api/v1/ledger/entries/${id}`)
      if (entry !== undefined && entry.note !== kept.get(id)) wrong('read', regions[0], `${id} was ${String(entry.note)}`)
    },
    async fabric (n) { await insist('fabric', regions, n, '/api/v1/network/fabrics', post({ name: `fabric-${n}` })) },
    async echo (n) {
      const answer = await insist('echo', regions, n, `/api/v1/ledger/echo/${rackId}/${n}`)
      if (answer !== undefined && answer.n !== n) wrong('echo', rack, `${n} became ${String(answer.n)}`)
    },
    async tick (n) { if (await insist('tick', [rack], 0, `/ledger/tick/${n}`) !== undefined) ticks.push(n) },
    async keep (n) { if (await insist('keep', [rack], 0, `/ledger/keep/${n}`) !== undefined) kept.set(`rack-${n}`, `by rack ${n}`) }
  }
  const done = Promise.all((Object.keys(work) as Kind[]).map(async kind => {
    for (let n = 1; !ending; n++) { await work[kind](n); await pause(pace) }
  }))
  return {
    failures,
    kept,
    ticks,
    count: kind => counts[kind],
    async stop () {
      ending = true
      await done
      if (lost.length > 0) throw new Error(`never answered: ${lost.join(', ')}`)
    }
  }
}

/** Failures that no absence explains. Calls to a rack go through a region, so both may be away. */
export const unexplained = ({ failures }: Load, absences: readonly Absence[], rack: string): Failure[] =>
  failures.filter(({ kind, member, from, to }) => !absences.some(absence => from <= absence.to && to >= absence.from && (absence.member === member || (kind === 'echo' && absence.member === rack))))
