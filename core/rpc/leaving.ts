/** The last thing a rack does for its installation: what waits in its outbox is delivered, after its daemon has stopped. */
import { once } from 'node:events'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import type { Role } from '../plugin.ts'
import { createOutbox } from '../state/outbox.ts'
import { openRackStore } from '../state/store.ts'
import { protocol } from './frames.ts'
import type { Identity } from './identity.ts'
import { createLink, type Link } from './link.ts'
import { openSocket } from './target.ts'

export interface Delivery {
  readonly dataDirectory: string, readonly identity: Identity
  readonly controller: { readonly id: string, readonly roles: readonly Role[], readonly version: string }
  readonly urls: readonly string[] // wss://host:port of regions, tried in turn
  readonly clock: Clock, readonly log: Logger
  /** Gives up. */
  readonly signal: AbortSignal
}

/** Delivers the facts on this disk to any region. `left`: how many are still there; `reason`: why, as far as it is known. The caller holds the data directory. */
export async function deliverFacts ({ dataDirectory, identity, controller, urls, clock, log, signal }: Delivery): Promise<{ readonly left: number, readonly reason?: string }> {
  const store = openRackStore(dataDirectory, reason => { log.error({ reason }, 'the rack\'s disk state was damaged') })
  const done = new AbortController()
  let link: Link | undefined
  let reason: string | undefined
  const outbox = createOutbox({ store: () => store, halves: () => [], clock, log, metrics: createMetrics(), links: () => link?.up === true ? [link] : [] })
  const either = AbortSignal.any([signal, done.signal])
  const running = outbox.run(either)
  try {
    for (let turn = 0; urls.length > 0 && !signal.aborted && store.depth() > 0; turn++) {
      const url = urls[turn % urls.length] ?? ''
      try {
        const made = link = createLink({
          wire: await openSocket(url, identity), clock, second: true,
          self: { t: 'hello', protocol, controller: controller.id, roles: [...controller.roles], version: controller.version, epoch: store.epoch },
          refuse: hello => hello.roles.includes('region') ? undefined : `${hello.controller} is not a region`,
          answer: () => Promise.reject(new BedplateError('UNAVAILABLE', { reason: 'this rack is leaving' })),
          receive (frame, from) {
            if (frame.t !== 'stored') return
            outbox.stored(from, frame)
            if (store.depth() === 0) done.abort()
          }
        })
        void made.closed.then(() => { outbox.nudge() })
        await made.ready.catch(async () => { reason = `${url}: ${await made.closed}` })
        outbox.nudge()
        if (made.up && !either.aborted) reason = await Promise.race([made.closed.then(why => `${url}: ${why}`), once(either, 'abort').then(() => reason)])
        made.close('this rack is leaving')
      } catch (error) {
        reason = `${url}: ${reasonOf(error)}`
      }
      if (store.depth() > 0) await clock.sleep(250, signal)
    }
    const left = store.depth()
    return { left, ...left === 0 || reason === undefined ? {} : { reason } }
  } finally {
    done.abort()
    await running
    store.close()
  }
}
