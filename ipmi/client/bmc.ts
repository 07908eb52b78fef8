/** One BMC: a queue of commands, one at a time, and the session they go over, opened when it is needed and again, once, when the BMC has forgotten it. */
import { closeSession } from '../commands/session.ts'
import { IpmiError } from '../error.ts'
import { isAnswerTo, request, type Message } from '../message.ts'
import type { Job } from './job.ts'
import { patienceFor } from './job.ts'
import { Opening, type Known, type Step } from './opening.ts'
import type { Session } from './session.ts'
import type { Terms } from './terms.ts'

/** What a BMC needs of the client it belongs to. Times are in ms. */
export interface Surroundings {
  now(): number
  after(ms: number, run: () => void): void
  random(bytes: number): Buffer
  send(datagram: Buffer, address: string, port: number): void
  resolve(host: string): string | Promise<string>
  /** A number no other session has, under which its packets are brought here until `release`. */
  register(bmc: Bmc): number
  release(id: number): void
  /** A session was opened, used, or ended (undefined). */
  opened(bmc: Bmc): void
  used(bmc: Bmc): void
  ended(bmc: Bmc): void
}

const forgottenAfter = 2 // transmissions over a kept session without an answer: then it is opened anew

export class Bmc {
  readonly host: string
  readonly terms: Terms
  address: string | undefined
  session: Session | undefined
  lastUsed: number
  lastHeard = 0
  private readonly around: Surroundings
  private readonly known: Known = {}
  private readonly queue: Job[] = []
  private job: Job | undefined
  private asked: Message | undefined
  private opening: Opening | undefined
  private openingId = 0
  private step: (Step & { readonly kind: 'send' }) | undefined
  private stepSent = 0
  private sequence = 0
  private turn = 0 // counts what was waited for, so that a deadline knows whether it still matters

  constructor (host: string, terms: Terms, around: Surroundings) {
    this.host = host
    this.terms = terms
    this.around = around
    this.lastUsed = around.now()
  }

  get busy (): boolean { return this.job !== undefined }

  add (job: Job): void {
    if (this.job === undefined) { this.run(job); return }
    this.queue.push(job)
    this.around.after(job.timeout, () => { if (job !== this.job) job.fail(new IpmiError('timeout', `${job.name}: the commands before it took all the time there was`)) })
  }

  /** A datagram from this BMC's address, for its session or the one being opened. */
  take (datagram: Buffer): void {
    if (this.opening !== undefined) {
      const step = this.opening.take(datagram)
      if (step !== undefined) this.go(step)
      return
    }
    const answer = this.session?.open(datagram)
    if (answer === undefined || this.job === undefined || this.asked === undefined || !isAnswerTo(this.asked, answer)) return
    const { job } = this
    this.lastHeard = this.around.now()
    this.done()
    job.finish(answer.data)
    this.next()
  }

  /** Says goodbye to the BMC, which has few sessions, and ends what was being asked. */
  close (error?: IpmiError): void {
    const jobs = [...(this.job === undefined ? [] : [this.job]), ...this.queue.splice(0)]
    this.done()
    this.abandonOpening()
    this.end(true)
    if (error !== undefined) for (const job of jobs) job.fail(error)
  }

  private run (job: Job): void {
    this.job = job
    job.abandoned = () => { if (job === this.job) this.fail(undefined) }
    this.lastUsed = this.around.now()
    if (this.session === undefined) this.open()
    else this.transmit()
  }

  private next (): void {
    for (;;) {
      const job = this.queue.shift()
      if (job === undefined) return
      if (!job.over) { this.run(job); return }
    }
  }

  private done (): void { this.job = this.asked = undefined; this.turn++ }

  private transmit (): void {
    const { job, session, address } = this
    if (job === undefined || session === undefined || address === undefined || this.dropped(job)) return
    // A repetition has the number of the first, so that an answer to either is one.
    if (job.sent === 0 || this.asked === undefined) this.asked = request(job.netFn, job.command, job.data, this.sequence = this.sequence + 1 & 0x3f, job.lun)
    job.sent++
    this.around.used(this)
    this.around.send(session.seal(this.asked), address, this.terms.port)
    this.wait(patienceFor(job.sent, job.timeout))
  }

  /** Whether the job's caller gave it up; it is ended then, and nothing more goes out for it. */
  private dropped (job: Job): boolean {
    if (job.wanted()) return false
    if (job === this.job) this.fail(undefined)
    return true
  }

  private wait (ms: number): void {
    const { job } = this
    const turn = ++this.turn
    const left = (job?.deadline ?? 0) - this.around.now()
    this.around.after(Math.min(ms, left), () => { if (turn === this.turn) this.due() })
  }

  /** Nothing came in time. */
  private due (): void {
    const { job } = this
    if (job === undefined) return
    if (this.dropped(job)) return
    if (this.around.now() >= job.deadline) { this.fail(this.step?.silence ?? new IpmiError('timeout', `${this.host} does not answer ${this.step === undefined ? job.name : 'the attempt to open a session'}`)); return }
    if (this.step?.otherwise !== undefined && this.stepSent >= 2) { this.go(this.step.otherwise()); return }
    if (this.step !== undefined) { this.sendStep(); return }
    if (!job.reopened && job.sent >= forgottenAfter) {
      this.end(false)
      this.open()
      return
    }
    this.transmit()
  }

  private open (): void {
    const { job } = this
    if (job === undefined) return
    job.reopened = true
    job.sent = 0
    const turn = ++this.turn
    const found = this.around.resolve(this.host)
    const begin = (address: string): void => {
      if (turn !== this.turn) return
      this.address = address
      this.openingId = this.around.register(this)
      this.opening = new Opening(this.terms, this.known, this.openingId, this.around.random)
      this.go(this.opening.begin())
    }
    if (typeof found === 'string') { begin(found); return }
    this.around.after(job.timeout, () => { if (turn === this.turn && this.step === undefined) this.due() })
    found.then(begin, (error: unknown) => { if (turn === this.turn) this.fail(error instanceof IpmiError ? error : new IpmiError('unreachable', `no address is known for the name ${this.host}`)) })
  }

  private go (step: Step): void {
    if (step.kind === 'send') {
      this.step = step
      this.stepSent = 0
      this.sendStep()
      return
    }
    const id = this.openingId
    this.opening = this.step = undefined
    if (step.kind === 'open') {
      this.session = step.session
      this.lastHeard = this.around.now()
      if (step.session.version === '1.5') this.around.release(id)
      this.around.opened(this)
      this.transmit()
      return
    }
    this.around.release(id)
    if (step.tell !== undefined && this.address !== undefined) this.around.send(step.tell, this.address, this.terms.port)
    this.fail(step.error)
  }

  private sendStep (): void {
    const { step, address, job } = this
    if (step === undefined || address === undefined || (job !== undefined && this.dropped(job))) return
    this.stepSent++
    this.around.send(step.packet(), address, this.terms.port)
    this.wait(patienceFor(this.stepSent, job?.timeout ?? 0))
  }

  /** Ends the job there is; undefined: its caller knows. The session is doubtful where nothing came. */
  private fail (error: IpmiError | undefined): void {
    const { job } = this
    this.abandonOpening()
    if (error?.kind === 'timeout') { this.end(true); delete this.known.capabilities; delete this.known.suites } // whoever answers next may be another
    this.done()
    if (error !== undefined) job?.fail(error)
    this.next()
  }

  private abandonOpening (): void {
    if (this.opening === undefined) return
    this.around.release(this.openingId)
    this.opening = this.step = undefined
  }

  private end (tell: boolean): void {
    const { session, address } = this
    if (session === undefined) return
    if (tell && address !== undefined) this.around.send(session.seal(request(closeSession.netFn, closeSession.command, closeSession.request.encode(session.systemId), this.sequence = this.sequence + 1 & 0x3f)), address, this.terms.port)
    this.session = undefined
    if (session.version === '2.0') this.around.release(session.id)
    this.around.ended(this)
  }
}
