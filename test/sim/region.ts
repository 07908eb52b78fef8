/** A simulated region: the real elector in a process of its own, with a way to the database, and work that it writes as leader. */
import type { Query, Tx } from '../../core/database/database.ts'
import { BedplateError, hasCode } from '../../core/errors.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { Elector, ElectorOptions } from '../../core/leader/elector.ts'
import type { Lease } from '../../core/leader/lease.ts'
import type { Pace, Term } from '../../core/leader/term.ts'
import { createLogger } from '../../core/log.ts'
import type { Path, Server, Transaction } from './database.ts'
import type { Dice } from './dice.ts'
import { createProcess } from './process.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

const log = createLogger('silent')
const name = 'job'
const signal = new AbortController().signal

export interface RegionOptions { readonly world: World, readonly dice: Dice, readonly server: Server, readonly pace: Pace, readonly drift: number }

export class Region {
  readonly name: string
  readonly path: Path = { cut: false, slow: 0, loss: 0 }
  process: Process
  elector: Elector
  ready = true
  stopping = false
  troubles = 0
  since = 0 // healthy since
  idleSince = 0 // last led or started
  private readonly o: RegionOptions

  constructor (name: string, o: RegionOptions) {
    this.name = name
    this.o = o
    const { process, elector } = this.begin()
    this.process = process
    this.elector = elector
  }

  get healthy (): boolean { return this.process.alive && !this.process.paused && !this.stopping && this.ready && this.troubles === 0 }
  /** Whether this process takes itself for leader at this moment of true time. */
  get leads (): boolean { return this.process.alive && this.elector.current() !== undefined }

  private begin (): { process: Process, elector: Elector } {
    const { world, dice, pace, drift } = this.o
    const process = createProcess(world, dice, this.name, 1 + dice.between(-drift, drift))
    const elector = createElector({
      name, holder: this.name, log, ...pace, clock: process.clock, random: dice.random, db: this.database(process), lease: this.lease(process), ready: () => this.ready,
      onGain: term => { world.tell(`${this.name}: leader in term ${term.number}`); void this.work(term, process) },
      onKept: (term, until) => { if (until <= process.clock.monotonic()) world.violated(`${this.name} was told of a term ${term.number} that is over already`) },
      onLoss: term => {
        world.tell(`${this.name}: no longer leader in term ${term.number}`)
        this.idleSince = world.now
        return dice.chance(0.5) ? undefined : process.clock.sleep(dice.between(0, 1500))
      }
    })
    this.stopping = false
    this.since = this.idleSince = world.now
    process.enter(() => { void elector.start(signal) })
    return { process, elector }
  }

  start (): void {
    if (this.process.alive) return
    this.o.world.tell(`${this.name}: starts`)
    Object.assign(this, this.begin())
  }
  /** Gone without a word; its connections end at once, or never when its machine went too. */
  kill (): void {
    const { process, o: { dice, server, world } } = this
    process.kill()
    if (dice.chance(0.5)) world.after(20, () => { for (const tx of [...server.shares]) if (tx.process === process) server.abort(tx) })
  }

  /** A clean stop; the process is gone when it is done. */
  stop (): void {
    const { process, elector } = this
    process.enter(() => {
      this.stopping = true
      void elector.stop().then(() => {
        this.o.world.tell(`${this.name}: has stopped`)
        if (elector.current() !== undefined) this.o.world.violated(`${this.name} stopped and leads`)
        process.kill()
      })
    })
  }

  /** Writes as leader until the term is lost, now and then with a long pause in the middle. */
  private async work (term: Term, { clock }: Process): Promise<void> {
    const { dice } = this.o
    while (!term.signal.aborted) {
      await clock.sleep(dice.between(100, 4_000), term.signal)
      try {
        await term.write(async tx => {
          await tx.query('insert', [term.number])
          if (dice.chance(0.1)) await clock.sleep(dice.between(0, dice.chance(0.3) ? 9_000 : 500))
        })
      } catch (error) {
        if (!hasCode(error, 'TERM_LOST') && !hasCode(error, 'UNAVAILABLE') && !hasCode(error, 'TRANSACTION_UNKNOWN')) throw error
      }
    }
  }

  private readonly transactions = new WeakMap<Query, Transaction>()
  private database (process: Process): ElectorOptions['db'] {
    const { server, world } = this.o
    const nothing = async (): Promise<never[]> => []
    const once = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
      const transaction: Transaction = { by: this.name, process, over: false, last: world.now, term: undefined }
      const statement = (run: (reply: () => void, refuse: (why: string) => void) => void): Promise<void> => server.request<void>(process, this.path, (reply, refuse) => {
        transaction.last = world.now
        run(reply, refuse)
      })
      const tx: Tx = {
        changed: async () => {},
        query: async (_text, [term] = []) => {
          await statement((reply, refuse) => {
            if (transaction.over) { refuse('the transaction is over'); return }
            if (typeof term === 'bigint') transaction.term = term
            reply()
          })
          return []
        }
      }
      this.transactions.set(tx, transaction)
      let value: T
      try { value = await work(tx) } catch (error) {
        world.after(server.up && !this.path.cut ? 1 : 3_000, () => { server.abort(transaction) }) // a rollback, or the connection's end
        throw error
      }
      try { await statement((reply, refuse) => { server.end(transaction, reply, refuse) }) } catch (error) {
        throw new BedplateError('TRANSACTION_UNKNOWN', {}, error)
      }
      return value
    }
    return {
      query: nothing,
      listen: (_channel, hear) => server.listen(process, this.path, hear),
      async tx (work) {
        for (let attempt = 1; ; attempt++) {
          try { return await once(work) } catch (error) { if (!hasCode(error, 'UNAVAILABLE') || attempt === 3) throw error }
        }
      }
    }
  }

  private lease (process: Process): Lease {
    const { server, world } = this.o
    const ask = server.request.bind(server)
    return {
      look: () => ask(process, this.path, reply => { server.look(reply) }),
      take: (_db, { holder }, ttl, timeline) => ask(process, this.path, reply => { server.take(holder, ttl, timeline, reply) }),
      renew: (_db, held, ttl) => ask(process, this.path, reply => { server.renew(held, ttl, reply) }),
      resign: (_db, held) => ask(process, this.path, reply => { server.resign(held, name, reply) }),
      stand: (tx, held, ttl) => ask(process, this.path, (reply, refuse) => {
        const transaction = this.transactions.get(tx)
        if (transaction === undefined) { refuse('no transaction'); return }
        transaction.last = world.now
        server.stand(transaction, held, ttl, reply, refuse)
      })
    }
  }
}
