/** One command on its way: asked by a caller, carried out when its BMC is free. */
import { answerOf, type Command } from '../commands/command.ts'
import { IpmiError } from '../error.ts'

/** `timeout`: ms for all of it, waiting, opening and repetitions included. `lun`: of the BMC's units. */
export interface RequestOptions { readonly timeout?: number, readonly signal?: AbortSignal | undefined, readonly lun?: number }

export interface Job {
  readonly netFn: number, readonly command: number, readonly name: string, readonly lun: number, readonly data: Uint8Array
  readonly deadline: number // on the client's clock, in ms
  readonly timeout: number
  /** How often it went out over this session, and whether the session was opened for it. */
  sent: number
  reopened: boolean
  over: boolean
  /** Whether its caller still wants it. Looked at before each datagram, and the signal is asked itself: it may know before it tells. */
  wanted(): boolean
  /** Called when its caller gave it up. */
  abandoned: () => void
  finish(data: Buffer): void
  fail(error: IpmiError): void
}

/** The job, and what comes of it. A signal that fires ends it at once. */
export function createJob<Q, A> (command: Command<Q, A>, value: Q, { timeout = 10_000, signal, lun = 0 }: RequestOptions, now: number): { readonly job: Job, readonly answer: Promise<A> } {
  const { promise, resolve, reject } = Promise.withResolvers<A>()
  const abort = (): void => {
    job.fail(new IpmiError('aborted', `${command.name}: given up`))
    job.abandoned()
  }
  const end = (): boolean => {
    if (job.over) return false
    signal?.removeEventListener('abort', abort)
    return job.over = true
  }
  const job: Job = {
    netFn: command.netFn, command: command.command, name: command.name, lun, data: command.request.encode(value), deadline: now + timeout, timeout, sent: 0, reopened: false, over: false, wanted: () => signal?.aborted !== true && !job.over, abandoned: () => undefined,
    finish (data) {
      if (!end()) return
      try { resolve(answerOf(command, data)) } catch (error) { reject(error) }
    },
    fail (error) { if (end()) reject(error) }
  }
  if (signal?.aborted === true) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  return { job, answer: promise }
}

/**
 * How long to wait for the answer to transmission number `sent`, of ms in all: a tenth of the time, then half as long again each time. A BMC that is busy takes seconds, and
 * everything that comes twice makes it busier.
 */
export const patienceFor = (sent: number, timeout: number): number => Math.min(timeout / 10, 1_000) * 1.5 ** (sent - 1)
