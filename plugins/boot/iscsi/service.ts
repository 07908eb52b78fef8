/** iSCSI as a service of the rack: a child process that is told its roots, watched, and started again when it dies. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { dead, degraded, off, running } from '../../../core/health.ts'
import type { Clock, Health, Logger, Service } from '../../../core/plugin.ts'
import type { FileStore } from '../../images/manifest.ts'
import { targetName } from './message.ts'
import type { FromProcess, Root, ToProcess } from './message.ts'
import { createRetries } from './retries.ts'

export interface Served { readonly address: string, readonly what: string, readonly bytes: number, readonly milliseconds: number, readonly failure: string | null, readonly retries: number }
export interface IscsiOptions {
  readonly port: number // 0: any that is free
  readonly hosts?: readonly string[] // the first that can be had
  readonly files: FileStore
  readonly log: Logger
  readonly clock: Clock
  /** A login (no bytes), and the end of a session. */
  served(what: Served): void
  readonly askEvery?: number // ms between two questions whether it is alive
}
export interface IscsiService extends Service {
  /** What is offered from now on; sessions that have another go on. Files that are not here yet are pulled. */
  offer(roots: readonly string[]): void
  /** Where it listens; undefined while it does not. */
  port(): number | undefined
  pid(): number | undefined
}

const startWithin = 15_000 // ms
const stopWithin = 5_000 // ms: then it is killed
const pullAgain = 5_000 // ms
const look = 1_000 // ms between two looks whether a file has come by itself, or whether it may be asked for
const keptLines = 5 // of what it said last, for the reason it died

interface Life { readonly child: ChildProcess, readonly over: Promise<void>, readonly ending: AbortController, fate: string | undefined, port: number | undefined, answered: number, readonly unusable: Map<string, string>, readonly lines: string[] }

export function createIscsiService ({ port, hosts = ['::', '0.0.0.0'], files, log, clock, served, askEvery = 5_000 }: IscsiOptions): IscsiService {
  let life: Life | undefined
  let idle: Health = off('Not started.')
  let wanted: readonly string[] = []
  const here = new Map<string, string>() // content → path
  const pulls = new Map<string, AbortController>()
  const missing = new Map<string, string>() // content → why it is not here
  let asking = false // one question at a time for what is not here: each takes one of the few places kept for files that machines wait for
  const retries = createRetries()
  let halting = new AbortController()
  let last: Promise<unknown> = Promise.resolve()
  const turn = (work: () => Promise<void>): Promise<void> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  const roots = (): Root[] => wanted.flatMap(sha256 => { const path = here.get(sha256); return path === undefined ? [] : [{ sha256, path }] })
  const send = (to: Life, message: ToProcess): void => { if (to.child.connected) to.child.send(message, () => {}) } // one that has just died is seen by its exit
  const tell = (): void => {
    if (life?.port === undefined) return
    life.unusable.clear()
    send(life, { kind: 'offer', roots: roots() })
  }

  /** Has the file brought here, and again until it is or nobody wants it. */
  async function pull (sha256: string, { signal }: AbortController): Promise<void> {
    while (!signal.aborted) {
      while (asking && !files.has(sha256) && !signal.aborted) await clock.sleep(look, signal)
      if (signal.aborted) return
      const mine = !files.has(sha256)
      if (mine) asking = true
      try {
        const path = await files.path(sha256, signal).finally(() => { if (mine) asking = false })
        if (signal.aborted) return
        missing.delete(sha256)
        here.set(sha256, path)
        tell()
        return
      } catch (error) {
        if (signal.aborted) return
        missing.set(sha256, reasonOf(error))
        await clock.sleep(pullAgain, signal)
      }
    }
  }
  function pullMissing (): void {
    for (const sha256 of wanted) {
      if (here.has(sha256) || pulls.has(sha256)) continue
      const stop = new AbortController()
      pulls.set(sha256, stop)
      void pull(sha256, stop).finally(() => { if (pulls.get(sha256) === stop) pulls.delete(sha256) })
    }
  }
  const stopPulls = (keep: ReadonlySet<string>): void => {
    for (const [sha256, stop] of pulls) if (!keep.has(sha256)) { pulls.delete(sha256); stop.abort() }
  }

  function launch (): Life {
    const child = fork(new URL('./process.ts', import.meta.url), [], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'], cwd: '/' })
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const born: Life = { child, over, ending: new AbortController(), fate: undefined, port: undefined, answered: clock.monotonic(), unusable: new Map(), lines: [] }
    const end = (fate: string): void => { born.fate ??= fate; born.ending.abort(); resolve() }
    const outputs = [child.stdout, child.stderr].filter(stream => stream !== null)
    for (const stream of outputs) {
      createInterface(stream).on('line', line => {
        born.lines.push(line.slice(0, 500))
        if (born.lines.length > keptLines) born.lines.shift()
        log.warn({ program: 'iscsi' }, line)
      })
    }
    const read = Promise.all(outputs.map(stream => new Promise<void>(done => { stream.once('close', done) }))) // to the end; the child's own "close" never comes once this side has disconnected
    child.on('message', (message: FromProcess) => { heed(born, message) })
    child.once('error', error => { end(`it could not be run: ${error.message}`) })
    child.once('exit', (code, signal) => { void read.then(() => { end(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`) }) })
    return born
  }

  function heed (from: Life, message: FromProcess): void {
    switch (message.kind) {
      case 'serving': from.port = message.port; break
      case 'refused': from.fate ??= message.reason; from.ending.abort(); break
      case 'unusable': {
        from.unusable.set(message.sha256, message.reason)
        here.delete(message.sha256) // its path is asked for anew: it may have been removed and come again
        log.warn({ sha256: message.sha256 }, `A root file system cannot be served over iSCSI: ${message.reason}`)
        break
      }
      case 'log': log[message.level]({ program: 'iscsi', ...message.words }, message.message); break
      case 'alive': from.answered = clock.monotonic(); break
      case 'session': {
        const { event } = message
        const { address, target: what } = event
        const tries = retries.of(`${event.initiator} ${what}`, event.kind === 'begun')
        if (event.kind === 'begun') served({ address, what: `${what} (login)`, bytes: 0, milliseconds: 0, failure: null, retries: tries })
        else served({ address, what, bytes: event.read, milliseconds: event.milliseconds, failure: event.why, retries: tries })
      }
    }
  }

  async function begin (signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw calledOff()
    if (life !== undefined && life.fate === undefined) return
    const born = life = launch()
    try {
      send(born, { kind: 'serve', portals: hosts.map(host => ({ host, port })), roots: roots() })
      const deadline = clock.monotonic() + startWithin
      const until = AbortSignal.any([signal, born.ending.signal])
      while (born.port === undefined && !until.aborted) {
        if (clock.monotonic() >= deadline) throw new BedplateError('START_TIMEOUT', { what: 'iscsi', seconds: startWithin / 1000 })
        await clock.sleep(20, until)
      }
      if (signal.aborted) throw calledOff()
      if (born.fate !== undefined) throw new BedplateError('START_FAILED', { what: 'iscsi', reason: obituary(born) })
    } catch (error) {
      await end()
      idle = dead(reasonOf(error))
      throw error
    }
    tell() // what came meanwhile
    pullMissing()
    void watch(born)
  }

  async function watch (of: Life): Promise<void> {
    for (let number = 0; !of.ending.signal.aborted; number++) {
      send(of, { kind: 'ask', number })
      if (of.unusable.size > 0) pullMissing()
      await clock.sleep(askEvery, of.ending.signal)
    }
  }

  async function end (): Promise<void> {
    const ending = life
    stopPulls(new Set())
    idle = off('Stopped.')
    if (ending === undefined) return
    ending.ending.abort()
    if (ending.child.connected) ending.child.disconnect()
    const patience = new AbortController()
    void clock.sleep(stopWithin, patience.signal).then(() => { if (!patience.signal.aborted) ending.child.kill('SIGKILL') })
    await ending.over
    patience.abort()
    life = undefined
  }

  return {
    name: 'iscsi',
    start (signal) { const either = AbortSignal.any([signal, halting.signal]); return turn(() => begin(either)) },
    stop () { halting.abort(); halting = new AbortController(); return turn(end) },
    health () {
      if (life?.port === undefined) return idle
      if (life.fate !== undefined) return dead(obituary(life))
      const silent = clock.monotonic() - life.answered
      if (silent > 2 * askEvery + 1000) return degraded(`It has not answered for ${Math.round(silent / 1000)} s: the disk of the image cache may be stalled.`)
      const [sha256, why] = [...life.unusable, ...missing][0] ?? []
      return sha256 === undefined ? running : degraded(`${targetName(sha256)} is not served: ${why}`)
    },
    offer (next) {
      wanted = [...next]
      const named = new Set(wanted)
      for (const known of [here, missing]) for (const sha256 of known.keys()) if (!named.has(sha256)) known.delete(sha256)
      stopPulls(named)
      tell()
      if (life !== undefined) pullMissing()
    },
    port: () => life?.fate === undefined ? life?.port : undefined,
    pid: () => life?.fate === undefined ? life?.child.pid : undefined
  }
}

const calledOff = (): BedplateError => new BedplateError('START_FAILED', { what: 'iscsi', reason: 'the start was called off' })
const obituary = ({ fate = '', lines }: Life): string => lines.length === 0 ? fate : `${fate}; the last it said: ${lines.join(' / ')}`
