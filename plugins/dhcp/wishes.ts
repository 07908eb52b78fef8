/** Bindings on their way to the region: the next batch leaves when the previous call returns (group commit, no timer). */
import type { Answer, Wish } from './manifest.ts'

export interface WishesOptions {
  readonly call: (wishes: readonly Wish[]) => Promise<readonly Answer[]>
  readonly batched?: (count: number, seconds: number, failure: unknown) => void
  readonly monotonic: () => number
}
/** Gets the region's answer, or `undefined` when there was none and nothing may be promised. */
export type Settle = (answer: Answer | undefined) => void

interface Waiting { readonly wish: Wish, settle: Settle }

const largest = 500

export class Wishes {
  private readonly options: WishesOptions
  private waiting = new Map<string, Waiting>() // by address and client, so that a retransmission joins the wish it repeats
  private flying = new Map<string, Waiting>()

  constructor (options: WishesOptions) { this.options = options }

  /** Wishes for a binding. Repeated before it is answered, the newest `settle` alone hears the answer; one for a longer lease is stored itself, since the answer to the shorter would promise too much. */
  ask (wish: Wish, settle: Settle): void {
    const key = `${wish.address} ${wish.client}`
    const flying = this.flying.get(key)
    const known = flying !== undefined && flying.wish.seconds >= wish.seconds ? flying : this.waiting.get(key)
    if (known !== undefined && known.wish.seconds >= wish.seconds) { known.settle = settle; return }
    this.waiting.set(key, { wish, settle })
    if (this.flying.size === 0) void this.fly()
  }

  /** How many wait for an answer, sent or not. */
  get size (): number { return this.waiting.size + this.flying.size }

  private async fly (): Promise<void> {
    while (this.waiting.size > 0) {
      for (const [key, waiting] of this.waiting) {
        this.waiting.delete(key)
        this.flying.set(key, waiting)
        if (this.flying.size === largest) break
      }
      const batch = [...this.flying.values()]
      const begun = this.options.monotonic()
      let answers: readonly Answer[] = []
      let failure: unknown
      try {
        answers = await this.options.call(batch.map(({ wish }) => wish))
      } catch (error) {
        failure = error
      }
      this.flying.clear()
      this.options.batched?.(batch.length, (this.options.monotonic() - begun) / 1000, failure)
      batch.forEach(({ settle }, index) => { settle(answers[index]) })
    }
  }
}
