/** The leader's service that carries out scans: chunk by chunk, through the racks nearest to each, taken up again by whoever leads next. */
import { BedplateError, hasCode, reasonOf } from '../../../core/errors.ts'
import type { Database, Logger, Secrets, Term, Tx } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { redact } from '../driver.ts'
import type { FoundBmc, PowerService } from '../manifest.ts'
import { addressesOf, chunksOf, parseRange, sharesOf, type Share } from '../range.ts'
import { spellings } from '../uuid.ts'
import * as store from '../store/found.ts'
import { sealedAs, type Account } from './found.ts'
import { createLoop, type Loop } from './loop.ts'
import type { RackLinks } from './racks.ts'
import type { Static } from 'typebox'

export interface ScansOptions extends Pick<RackLinks, 'clock' | 'rack' | 'racks'> { readonly db: Database, readonly log: Logger, readonly secrets: Secrets, readonly network: Pick<NetworkService, 'interfaces'>, readonly hooks: PowerService['hooks'] }
interface Looked { readonly rack: string, readonly found: readonly Static<typeof FoundBmc>[] }

const atOnce = 4 // scans
const chunksAtOnce = 4 // of one scan; each rack has a bound of its own besides
const rounds = 4 // through all racks, until a share is given up: a region that has just come to lead has no links yet
const between = 1_000 // ms between them, doubled each time
const told = 100 // BMCs in one transaction, whose machines are locked meanwhile

export const scanSealedAs = (id: string): string => `power/scan/${id}`

export function createScans ({ db, clock, log, secrets, network, hooks, rack, racks }: ScansOptions): Loop {
  const underWay = new Map<string, { readonly controller: AbortController, readonly done: Promise<void> }>()

  /** One rack after the other: those in the network first. The last error is thrown. */
  async function ask ({ addresses, racks: near }: Share, account: Account | undefined, signal: AbortSignal): Promise<Looked> {
    let failure: unknown = new BedplateError('UNAVAILABLE', { reason: 'no rack controller is linked to the leading region' })
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await clock.sleep(between * 2 ** (round - 1), signal)
      const linked = [...racks()].sort()
      for (const id of [...near.filter(one => linked.includes(one)), ...linked.filter(one => !near.includes(one))]) {
        signal.throwIfAborted()
        try {
          return { rack: id, found: (await rack(id).scan({ addresses: [...addresses], ...account }, { signal })).found }
        } catch (error) { failure = error }
      }
    }
    signal.throwIfAborted()
    throw failure
  }

  /** The problem as it is to be stored: that an account does not get in says nothing against another one that did. */
  async function problemOf (tx: Tx, { host, driver, problem, tls }: Static<typeof FoundBmc>, account: Account | undefined): Promise<string | null> {
    const before = problem === null || account === undefined ? null : await store.foundSecrets(tx, host, driver, tls ?? null)
    if (before === null) return problem
    try {
      const { user, password } = JSON.parse(secrets.open(before, sealedAs(host, driver))) as Account
      return user === account?.user && password === account.password ? problem : null
    } catch (error) {
      if (!hasCode(error, 'SECRET_UNREADABLE')) throw error
      return problem
    }
  }

  async function chunk (term: Term, scan: store.Scan, index: number, account: Account | undefined, signal: AbortSignal): Promise<void> {
    const addresses = addressesOf(parseRange(scan.range), index)
    const networks = (await network.interfaces(db)).flatMap(one => one.up ? one.addresses.map(({ address }) => ({ rack: one.rack, address })) : [])
    const results: Looked[] = []
    let failure: string | null = null
    for (const share of sharesOf(addresses, networks)) {
      try { results.push(await ask(share, account, signal)) } catch (error) {
        if (signal.aborted) throw error
        failure = `${share.addresses[0]} to ${share.addresses.at(-1)} could not be looked at: ${redact(reasonOf(error), account === undefined ? [] : [account.password])}`
      }
    }
    await term.write(async tx => {
      if (!await store.noteChunk(tx, scan.id, index, addresses.length, failure)) return
      for (const { rack, found } of results) {
        for (const one of found.filter(({ host }) => addresses.includes(host))) {
          const { host, driver, address, uuid, vendor, model, serial, tls } = one
          const problem = await problemOf(tx, one, account)
          const sealed = account === undefined || one.problem !== null ? null : secrets.seal(JSON.stringify(account), sealedAs(host, driver))
          await store.putFound(tx, scan.id, { host, driver, address, uuid, vendor, model, serial, problem, tls: tls ?? null, secrets: sealed, rack }, new Date(clock.now()))
          await tx.changed('power.found', host)
        }
      }
      await tx.changed('power.scan', scan.id)
    })
  }

  async function carryOut (term: Term, scan: store.Scan, signal: AbortSignal): Promise<void> {
    const account = scan.secrets === null ? undefined : JSON.parse(secrets.open(scan.secrets, scanSealedAs(scan.id))) as Account
    const left = Array.from({ length: chunksOf(parseRange(scan.range)) }, (_, index) => index).filter(index => !scan.chunks.includes(index)).values()
    await Promise.all(Array.from({ length: chunksAtOnce }, async () => { for (const index of left) await chunk(term, scan, index, account, signal) }))
    await tell(term, scan.id)
    await end(term, scan.id, (await store.scan(db, scan.id))?.error === null ? 'done' : 'failed')
  }

  /** Machines that are known hear of BMCs that may be theirs. Told before the scan ends, so that a leader that dies meanwhile is followed by one that tells again. */
  async function tell (term: Term, id: string): Promise<void> {
    const free = await store.freeOf(db, id)
    for (let from = 0; from < free.length; from += told) {
      const part = free.slice(from, from + told)
      await term.write(tx => hooks.found.promise(tx, { uuids: part.flatMap(({ uuid }) => spellings(uuid)), addresses: part.map(({ host }) => host) }))
    }
  }

  const end = (term: Term, id: string, state: 'done' | 'failed') => term.write(async tx => { if (await store.endScan(tx, id, state, new Date(clock.now()))) await tx.changed('power.scan', id) })

  const loop = createLoop({
    name: 'scans', every: 5_000, clock, log,
    async look (term, signal) {
      const running = await store.runningScans(db, atOnce)
      for (const [id, { controller }] of underWay) if (!running.some(one => one.id === id)) controller.abort() // called off
      for (const scan of running) {
        if (underWay.has(scan.id) || signal.aborted) continue
        const controller = new AbortController()
        const own = AbortSignal.any([signal, controller.signal])
        const done = carryOut(term, scan, own).catch(async (error: unknown) => {
          if (own.aborted || hasCode(error, 'TERM_LOST')) return
          if (hasCode(error, 'SECRET_UNREADABLE')) { await end(term, scan.id, 'failed'); return } // will not open later either
          log.warn({ err: error, scan: scan.id }, 'a scan could not be concluded; it is taken up again')
        }).catch((error: unknown) => { if (!own.aborted) log.warn({ err: error, scan: scan.id }, 'the end of a scan could not be stored') }).finally(() => { controller.abort(); underWay.delete(scan.id); if (!signal.aborted) loop.wake() })
        underWay.set(scan.id, { controller, done })
      }
    },
    async idle () { await Promise.allSettled([...underWay.values()].map(({ done }) => done)) }
  })
  return loop
}
