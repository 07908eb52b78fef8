/** Electors on one real database with two pools, each test with a lease of its own name. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { Elector, ElectorOptions } from '../../core/leader/elector.ts'
import type { Term } from '../../core/leader/term.ts'
import { createLogger } from '../../core/log.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

export const signal = new AbortController().signal
export const log = createLogger('silent')
export const quick = { ttl: 600, renew: 100, margin: 150 }

export type WatchedElector = Elector & { readonly gained: Term[], readonly lost: Term[] }
export interface Electors {
  readonly db: TestDatabase
  readonly second: DatabaseHandle
  readonly name: string // of this test's lease
  rename(): void // to one that nobody has bid for
  elector(holder: string, options?: Partial<ElectorOptions>): WatchedElector
}

/** For the file that calls it: its tests have a database with the table `written`, and what they started is stopped after each. */
export function electorsOfFile (): Electors {
  let db: TestDatabase
  let second: DatabaseHandle
  let name = ''
  let number = 0
  const made: Elector[] = []
  const rename = (): void => { name = `job-${++number}` }
  beforeAll(async () => {
    db = await testDatabase()
    second = await openDatabase(db.options)
    await db.query('create table written (by text, n integer)')
  })
  afterAll(async () => { await second.close(); await db.drop() })
  beforeEach(rename)
  afterEach(async () => { await Promise.all(made.splice(0).map(elector => elector.stop())) })
  return {
    get db () { return db },
    get second () { return second },
    get name () { return name },
    rename,
    elector (holder, options = {}) {
      const gained: Term[] = []
      const lost: Term[] = []
      const elector = createElector({ name, holder, db, clock: systemClock, log, ...quick, onGain: term => { gained.push(term) }, onLoss: term => { lost.push(term) }, ...options })
      made.push(elector)
      return Object.assign(elector, { gained, lost })
    }
  }
}
export const leading = (one: Elector): Promise<Term> => until(() => one.current(), { what: 'a leader' })
