/** A process that reports facts until it is killed, saying after each that it returned. */
import { systemClock } from '../../core/clock.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import { createOutbox } from '../../core/state/outbox.ts'
import { openRackStore } from '../../core/state/store.ts'
import { rackProbe } from '../rpc/installation.ts'

const store = openRackStore(process.argv[2] ?? '', () => {})
const outbox = createOutbox({ store: () => store, halves: () => [rackProbe().half], clock: systemClock, log: createLogger('warn'), metrics: createMetrics(), links: () => [] })
let n = 0
const again = () => {
  for (let more = 0; more < 10; more++) { outbox.report('probe', 'seen', { n }); process.send?.(n++) }
  setImmediate(again)
}
again()
