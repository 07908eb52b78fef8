/** Whether any region answers, as this rack's own calls tell: cut off since the last one failed, until one succeeds. */
import { reasonOf } from '../../../core/errors.ts'

export class Reach {
  private failedAt: number | undefined
  /** Why the last call had no answer, while none has one. */
  reason: string | undefined
  private readonly now: () => number
  private readonly turned: (cut: boolean, reason: string | undefined) => void

  /** `now`: ms since the epoch, for what is shown; `turned` hears when it changes. */
  constructor (now: () => number, turned: (cut: boolean, reason: string | undefined) => void = () => {}) {
    this.now = now
    this.turned = turned
  }

  get cut (): boolean { return this.failedAt !== undefined }
  /** Since when, in ms since the epoch. */
  get since (): number | undefined { return this.failedAt }

  heard (failure: unknown): void {
    const before = this.cut
    if (failure === undefined) this.failedAt = this.reason = undefined
    else {
      this.failedAt ??= this.now()
      this.reason = reasonOf(failure)
    }
    if (before !== this.cut) this.turned(this.cut, this.reason)
  }
}
