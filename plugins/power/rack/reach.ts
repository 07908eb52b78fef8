/** Looks at every place where there is a BMC whether this rack reaches it, one look an interval each, and tells the region what changed. */
import { running, off } from '../../../core/health.ts'
import type { Clock, Health, Logger, Reported, Service } from '../../../core/plugin.ts'
import type { Endpoint } from '../driver.ts'
import { endpointText } from '../endpoint.ts'
import type { BmcEntry, BmcListener } from './bmcs.ts'
import type { Hello } from './hello.ts'
import { after, news, unknown, type Look, type Reach } from './reaching.ts'
import { createSchedule } from './schedule.ts'
import { createTelling } from './telling.ts'

export interface RouteTold { readonly endpoint: string, readonly reachable: boolean, readonly rtt: number | null }
export interface ReachOptions {
  readonly clock: Clock, readonly log: Logger, readonly hello: Hello, readonly rack: string
  readonly seconds: number
  report(routes: readonly RouteTold[]): Reported
  readonly random?: () => number
}
export interface Reaching extends BmcListener {
  readonly service: Service
  /** A poll was answered there: as good as a look. */
  answered(endpoint: string): void
  /** A poll was not: look soon. */
  doubt(endpoint: string): void
}

const beat = 250 // ms
const most = 128 // looks at once
const fresh = 10 // intervals after which the time is measured again though polls are answered
const soon = 8 // this part of an interval after a look that failed, there is another

interface Place { readonly endpoint: Endpoint, readonly machines: Set<string>, reach: Reach, looking: boolean, answeredAt: number, measuredAt: number }

export function createReach ({ clock, log, hello, rack, seconds, report, random = Math.random }: ReachOptions): Reaching {
  const interval = seconds * 1000
  const places = new Map<string, Place>()
  const of = new Map<string, string>() // machine → place
  const schedule = createSchedule({ interval, beat, salt: rack, atOnce: 200 })
  const telling = createTelling<RouteTold>({ clock, log, soon: 250, late: interval, report })
  const ready = new Set<string>() // where more is due than can be looked at, each waits once
  const looks = new Set<Promise<void>>()
  let health: Health = off('not started')

  function learn (text: string, place: Place, look: Look): void {
    const now = clock.monotonic()
    place.reach = after(place.reach, look)
    if (look.rtt !== null) place.measuredAt = now
    const tell = news(place.reach, now)
    if (tell === undefined) return
    place.reach = { ...place.reach, told: { ...tell, at: now } }
    telling.tell(text, { endpoint: text, ...tell }, true)
  }

  async function look (text: string, place: Place, signal: AbortSignal): Promise<void> {
    place.looking = true
    const seen = await hello(place.endpoint, signal).catch((error: unknown): Look => { log.warn({ err: error, endpoint: text }, 'a look at a BMC failed in an unforeseen way'); return { reachable: false, rtt: null } })
    place.looking = false
    if (signal.aborted || places.get(text) !== place) return
    learn(text, place, seen)
    if (seen.reachable) return
    // Soon once more, for a packet may be lost; then at its place, a little beside it each time.
    const now = clock.monotonic()
    if (place.reach.failures === 1) schedule.again(text, interval / soon * (0.5 + 0.5 * random()), now)
    else schedule.again(text, interval * (0.75 + 0.25 * random()), now)
  }

  async function run (signal: AbortSignal): Promise<void> {
    const told = telling.run(signal)
    while (!signal.aborted) {
      const now = clock.monotonic()
      for (const text of schedule.due(now)) {
        const place = places.get(text)
        if (place === undefined || place.looking) continue
        if (place.reach.reachable === true && place.reach.failures === 0 && now - place.answeredAt < interval && now - place.measuredAt < fresh * interval) {
          learn(text, place, { reachable: true, rtt: null })
          continue
        }
        ready.add(text)
      }
      for (const text of ready) {
        if (looks.size >= most) break
        ready.delete(text)
        const place = places.get(text)
        if (place === undefined || place.looking) continue
        const one = look(text, place, signal).finally(() => { looks.delete(one) })
        looks.add(one)
      }
      await clock.sleep(beat, signal)
    }
    await Promise.all([told, ...looks])
  }

  let life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  const service: Service = {
    name: 'reach',
    async start (signal) {
      if (life !== undefined || signal.aborted) return
      const controller = new AbortController()
      health = running
      for (const place of places.values()) place.reach = { ...place.reach, told: null }
      life = { controller, done: ended.then(() => run(controller.signal)) } // never two at once
    },
    async stop () {
      life?.controller.abort()
      ended = life?.done ?? ended
      life = undefined
      await ended
      if (life === undefined) health = off('Stopped.')
    },
    health: () => health
  }

  function remove (machine: string): void {
    const text = of.get(machine)
    of.delete(machine)
    const place = text === undefined ? undefined : places.get(text)
    if (text === undefined || place === undefined) return
    place.machines.delete(machine)
    if (place.machines.size > 0) return
    places.delete(text)
    schedule.remove(text)
    telling.drop(text)
  }

  return {
    service,
    put (machine: string, { endpoint }: BmcEntry) {
      const text = endpoint === null ? undefined : endpointText(endpoint)
      if (of.get(machine) === text) return
      remove(machine)
      if (text === undefined || endpoint === null) return
      of.set(machine, text)
      const place = places.get(text)
      if (place !== undefined) { place.machines.add(machine); return }
      places.set(text, { endpoint, machines: new Set([machine]), reach: unknown, looking: false, answeredAt: -Infinity, measuredAt: -Infinity })
      schedule.add(text, clock.monotonic())
    },
    remove,
    answered (text) {
      const place = places.get(text)
      if (place !== undefined) place.answeredAt = clock.monotonic()
    },
    doubt (text) {
      const place = places.get(text)
      if (place === undefined) return
      place.answeredAt = -Infinity
      if (!place.looking && place.reach.failures === 0) schedule.again(text, 0, clock.monotonic())
    }
  }
}
