/** The end of a region's links in good order: racks are told to ask elsewhere, and what is being answered is answered first. */
import type { Clock } from '../clock.ts'
import type { Link } from './link.ts'

/** ms a stop waits for the calls it is answering. */
export const drainFor = 2000
const look = 10 // ms between looks

/** Announces this end's fault on every link, and returns when every call under way has its answer on the way, or after `drainFor`. Links that answer nothing are not waited for. */
export async function drain (links: ReadonlySet<Pick<Link, 'up' | 'serving' | 'announce' | 'wire'>>, clock: Clock): Promise<void> {
  for (const link of links) link.announce()
  const serving = new Set<Pick<Link, 'up' | 'serving' | 'wire'>>() // their last answers have to leave, too
  for (const until = clock.monotonic() + drainFor; clock.monotonic() < until; await clock.sleep(look)) {
    for (const link of links) if (link.serving > 0) serving.add(link)
    if (![...serving].some(link => link.up && (link.serving > 0 || link.wire.waiting() > 0))) return
  }
}
