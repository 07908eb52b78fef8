/** The service that looks for foreign DHCP servers on the segments a rack serves: asks now and then as a client would, and listens to who answers. */
import { randomInt } from 'node:crypto'
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import type { Clock, Logger, Service } from '../../../core/plugin.ts'
import type { Ear } from './overhear.ts'
import { openEar } from './overhear.ts'
import { probeFrame, readWord, Rogues, rogueSentence } from './rogue.ts'
import type { Rogue } from './rogue.ts'
import type { Segment } from '../v4/segment.ts'

export interface WatchOptions {
  readonly segments: () => ReadonlyMap<string, Segment>
  /** How often each segment is asked, in seconds; 0: never. */
  readonly every: number
  readonly report: (rogue: Rogue) => void
  readonly clock: Clock, readonly log: Logger
  readonly open?: (device: string) => Promise<Ear | undefined>
}
interface Post { readonly ear: Ear | undefined, asked: number, problem?: string | undefined }

const answers = 3000 // ms after a probe in which answers are expected
const soon = 50 // ms between two looks then
const again = 10_000 // ms until an interface that could not be heard is tried again
const seldom = 500 // ms between two looks at other times

/** Servers are watched where this rack gives addresses itself: elsewhere others are meant to. */
export function createWatch ({ segments, every, report, clock, log, open = openEar }: WatchOptions): Service {
  const rogues = new Rogues(every * 2500)
  const posts = new Map<string, Post>() // by VLAN
  let watching: AbortController | undefined
  let work: Promise<void> = Promise.resolve() // one after the other: the next begins when the one before has closed what it opened

  const watched = (): Segment[] => [...segments().values()].filter(({ mode }) => mode === 'server')

  async function settle (segment: Segment): Promise<Post> {
    const known = posts.get(segment.vlan)
    if (known?.ear !== undefined || (known !== undefined && clock.monotonic() - known.asked < again)) return known
    let [ear, problem]: [Ear | undefined, string | undefined] = [undefined, undefined]
    try { ear = await open(segment.interface) } catch (error) { problem = reasonOf(error) }
    const post: Post = { ear, problem, asked: ear === undefined ? clock.monotonic() : -Infinity }
    posts.set(segment.vlan, post)
    return post
  }

  function look (segment: Segment, post: Post): void {
    const now = clock.monotonic()
    if (post.ear === undefined) return
    if (now - post.asked >= every * 1000) {
      post.asked = now
      try {
        post.ear.say(probeFrame(post.ear.mac, segment.address, randomInt(0x100000000)))
        post.problem = undefined
      } catch (error) {
        post.problem = reasonOf(error)
        post.ear.close() // the interface may have gone and come back with another number
        posts.set(segment.vlan, { ear: undefined, asked: now, problem: post.problem })
        return
      }
    }
    for (const frame of post.ear.take()) {
      const word = readWord(frame)
      const rogue = word && rogues.heard(segment, word, now)
      if (rogue === undefined) continue
      log.warn(rogue, 'a foreign DHCP server answers')
      report(rogue)
    }
  }

  async function watch (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = watched()
      rogues.only(new Map(now.map(segment => [segment.vlan, segment])))
      for (const [vlan, { ear }] of posts) if (!now.some(segment => segment.vlan === vlan)) { ear?.close(); posts.delete(vlan) }
      for (const segment of now) look(segment, await settle(segment))
      const waits = [...posts.values()].some(({ ear, asked }) => ear !== undefined && clock.monotonic() - asked < answers)
      await clock.sleep(waits ? soon : seldom, signal)
    }
    for (const { ear } of posts.values()) ear?.close()
    posts.clear()
  }

  return {
    name: 'rogues',
    async start (signal) {
      if (signal.aborted || every === 0 || watching !== undefined) return
      const { signal: end } = watching = new AbortController()
      work = work.then(() => watch(end))
    },
    async stop () {
      watching?.abort()
      watching = undefined
      await work
    },
    health (): Health {
      if (every === 0) return off('Nobody looks for foreign DHCP servers: dhcp.rogueProbeSeconds is 0.')
      if (watching === undefined) return off('not started')
      if (watched().length === 0) return off('This rack gives addresses on no VLAN.')
      const found = rogues.list(clock.monotonic())
      const problems = [...found.slice(0, 5).map(rogueSentence), ...found.length > 5 ? [`and ${found.length - 5} more`] : [], ...[...posts.values()].flatMap(({ problem }) => problem === undefined ? [] : [problem])]
      return problems.length === 0 ? running : degraded(problems.join('; '))
    }
  }
}
