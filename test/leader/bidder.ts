/** A process that bids for leadership and writes as leader as fast as it can. Arguments: name, holder, host, port, database, user. Told `stop` it stops cleanly. */
import { systemClock } from '../../core/clock.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { Term } from '../../core/leader/term.ts'
import { createLogger } from '../../core/log.ts'

/** What it says; moments are ms of the machine's monotonic clock, which all processes share. */
export type Said = { readonly t: 'gain' | 'loss', readonly term: number, readonly at: number } | { readonly t: 'kept', readonly term: number, readonly at: number, readonly until: number } | { readonly t: 'stopped' | 'ready' }

const [name = '', holder = '', host = '', port = '', database = '', user = ''] = process.argv.slice(2)
const log = createLogger('silent')
const shared = (moment: number): number => moment + Number(process.hrtime.bigint()) / 1e6 - systemClock.monotonic()
const say = (said: Said): void => { process.send?.(said) }
const db = await openDatabase({ hosts: [{ host, port: Number(port) }], database, user, log, size: 5 })

async function work (term: Term): Promise<void> {
  while (!term.signal.aborted) {
    try { await term.write(tx => tx.query('insert into led (name, term, holder) values ($1, $2, $3)', [name, term.number.toString(), holder])) } catch { await systemClock.sleep(50) } // lost, or the database is out of reach
    await systemClock.sleep(2)
  }
}
const elector = createElector({
  name, holder, db, clock: systemClock, log,
  onGain (term) { say({ t: 'gain', term: Number(term.number), at: shared(systemClock.monotonic()) }); void work(term) },
  onKept (term, until) { say({ t: 'kept', term: Number(term.number), at: shared(systemClock.monotonic()), until: shared(until) }) },
  onLoss (term) { say({ t: 'loss', term: Number(term.number), at: shared(systemClock.monotonic()) }) }
})
await elector.start(new AbortController().signal)
say({ t: 'ready' })
process.on('message', () => {
  void elector.stop().then(async () => {
    say({ t: 'stopped' })
    await db.close()
    process.disconnect()
  })
})
process.once('disconnect', () => { process.exit() })
