/** The rack's conversation with the regions: one sync at a time, every 20 s and whenever there is something to tell; each second while nobody answers, or what is told is not taken. */
import { hasCode, reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import type { Alone } from './alone.ts'
import type { BootClock } from './boot-clock.ts'
import type { Journal } from './journal.ts'
import type { SyncParams, SyncResult } from '../manifest.ts'
import type { Memory } from '../rack/memory.ts'
import type { Reach } from './reach.ts'

export interface ConversationOptions {
  readonly alone: Alone, readonly memory: Memory, readonly reach: Reach, readonly clock: Clock, readonly boot: BootClock, readonly log: Logger
  readonly reserveSize: number
  readonly journal: () => Journal
  readonly sync: (params: SyncParams) => Promise<SyncResult>
}

const every = 20_000 // ms
const again = 1_000 // ms, after a failure, and after an answer that took nothing of what there was to tell
const most = 500 // journal entries at a time

export class Conversation {
  /** Why the regions do not take what this rack says, though they answer. */
  refused: string | undefined
  private readonly options: ConversationOptions
  private wakeUp = Promise.withResolvers<void>()
  private awake = false
  private life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined

  constructor (options: ConversationOptions) { this.options = options }

  start (): void {
    if (this.life !== undefined) return
    const controller = new AbortController()
    this.life = { controller, done: this.run(controller.signal) }
  }

  async stop (): Promise<void> {
    const { life } = this
    this.life = undefined
    life?.controller.abort()
    this.wakeUp.resolve()
    await life?.done
  }

  /** There is something to tell. Returns at once. */
  wake (): void {
    this.awake = true
    this.wakeUp.resolve()
  }

  private async run (signal: AbortSignal): Promise<void> {
    const { clock } = this.options
    while (!signal.aborted) {
      this.awake = false
      this.wakeUp = Promise.withResolvers()
      const more = await this.once(signal)
      if (more === undefined) await clock.sleep(again, signal)
      else if (!more && !this.awake) await this.rest(signal)
    }
  }

  private async rest (signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    await Promise.race([this.options.clock.sleep(every, AbortSignal.any([signal, over.signal])), this.wakeUp.promise])
    over.abort()
  }

  /** One exchange. True: there is more to tell; undefined: it failed, or none of it was taken, and so is not told again at once. */
  private async once (signal: AbortSignal): Promise<boolean | undefined> {
    const { alone, memory, reach, boot, log, journal, sync } = this.options
    if (!alone.ready(journal)) return undefined // one that could not be written is, when the answer is: so that a disk that is well again is found to be
    const entries = alone.oldest(most)
    const start = boot.now() // before the question: however long the answer takes, this rack stops first
    const returned = [...alone.reserve.all()].flatMap(({ text, grant, returning }) => returning ? [{ address: text, grant }] : [])
    // Nothing is said to be forgotten while a lease given by it may not have been delivered.
    let forgotten: SyncParams['forgotten'] = []
    let answer: SyncResult
    try {
      if (entries.length === alone.undelivered) forgotten = [...alone.forgetting(memory.forgotten().slice(0, 5000))]
    } catch (error) {
      log.error({ reason: reasonOf(error) }, 'the journal could not be written, so nothing is said to be forgotten')
    }
    const { tried } = alone
    alone.tried = Math.max(tried, entries.at(-1)?.seq ?? 0)
    try {
      answer = await sync({
        epoch: alone.epoch, last: alone.last,
        entries: entries.map(({ seq, from, address, subnet, client, clientId, hostname, seconds }) => ({ seq, from, address, subnet, client, clientId, hostname, seconds })),
        forgotten, returned: returned.slice(0, 5000), subnets: this.wanted()
      })
    } catch (error) {
      if (hasCode(error, 'LINK_DOWN')) alone.tried = tried // it was not sent
      if (signal.aborted) return undefined
      const answered = hasCode(error, 'CONFLICT')
      if (answered && this.refused === undefined) log.error({ reason: reasonOf(error) }, 'the regions refuse this rack\'s journal')
      this.refused = answered ? reasonOf(error) : this.refused
      reach.heard(answered ? undefined : error)
      return undefined
    }
    this.refused = undefined
    reach.heard(undefined)
    if (signal.aborted) return undefined
    try {
      alone.commit(alone.answered(answer, { boot: boot.id, start, standing: answer.standing, autonomySeconds: answer.autonomySeconds }))
    } catch (error) {
      log.error({ reason: reasonOf(error) }, 'the journal could not be written')
      return undefined
    }
    for (const seq of answer.refused) log.warn({ seq }, 'the regions do not take a lease this rack gave alone; their word stands')
    const left = new Set([...alone.reserve.all()].flatMap(({ text, grant, returning }) => returning ? [`${text} ${grant}`] : []))
    if (alone.undelivered === 0 && left.size === 0) return false
    const [first] = entries
    if (first === undefined && returned.length === 0) return true // what there is has come up since
    return (first !== undefined && answer.through >= first.seq) || returned.some(({ address, grant }) => !left.has(`${address} ${grant}`)) ? true : undefined
  }

  /** How many addresses of each subnet this rack would like to have for itself. */
  private wanted (): { subnet: string, count: number }[] {
    const { memory, reserveSize } = this.options
    return [...memory.segments.values()].flatMap(({ subnets }) => subnets.flatMap(({ id, dynamic }) => dynamic.length > 0 ? [{ subnet: id, count: reserveSize }] : []))
  }
}
