/** An external program as a supervised service: started in the foreground, watched, stopped, and never left behind. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { connect } from 'node:net'
import { isAbsolute, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Clock } from './clock.ts'
import { withDeadline } from './deadline.ts'
import { BedplateError, reasonOf } from './errors.ts'
import { dead, degraded, off, running } from './health.ts'
import type { Health } from './health.ts'
import type { Logger } from './log.ts'
import type { Service } from './plugin.ts'

export interface ProgramOptions {
  readonly name: string // of the service
  readonly command: string // a path, or a name that is looked for where programs are installed
  readonly args: readonly string[] // must keep it in the foreground
  readonly install: string // what installs it, for example "apt install nginx"
  readonly clock: Clock
  readonly log: Logger
  /** Before each start: writes its configuration. */
  readonly prepare?: (signal: AbortSignal) => Promise<void>
  /** Whether it serves by now; asked again until it does. A throw means no. */
  readonly ready: (signal: AbortSignal) => Promise<boolean> | boolean
  readonly readyWithin?: number // ms, default 15,000
  /** Whether it does what it is there for, asked every `probeEvery` ms (default 5,000). A throw, or no answer within that time, degrades it; `dead` has it started again. */
  readonly probe?: (signal: AbortSignal) => Promise<Health>
  readonly probeEvery?: number
  /** Has it read its configuration again; without it, it is sent SIGHUP. */
  readonly reload?: (pid: number) => Promise<void>
  readonly stopWithin?: number // ms from SIGTERM to SIGKILL, default 5,000
  /** Account and group it runs as. A program that changes its account by itself cannot be kept from outliving a daemon that is killed: let it be done here. */
  readonly runAs?: { readonly user: string, readonly group: string }
  readonly directory?: string // it works in; default /
}

export interface Program extends Service {
  pid(): number | undefined
  /** Rejects with UNAVAILABLE while it does not run. */
  reload(): Promise<void>
}

const keptLines = 5 // of its output, for the reason it died
const askEvery = 50 // ms between two questions whether it is ready
const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** The program's path. Throws PROGRAM_MISSING with what installs it. */
export async function findProgram (command: string, install: string): Promise<string> {
  for (const path of isAbsolute(command) ? [command] : folders.map(folder => join(folder, command))) {
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
  throw new BedplateError('PROGRAM_MISSING', { program: command, remedy: install })
}

/** For `ready`: whether something takes connections there. */
export const accepts = (host: string, port: number) => (signal: AbortSignal): Promise<boolean> => new Promise(resolve => {
  const socket = connect({ host, port, signal })
  const answer = (yes: boolean) => { socket.destroy(); resolve(yes) }
  socket.once('connect', () => { answer(true) })
  socket.once('error', () => { answer(false) })
})

interface Life { readonly child: ChildProcess, readonly pid: number, readonly ended: Promise<void>, readonly over: AbortController, readonly lines: string[], fate: string | undefined, serving: boolean, probed: Health }

/** Makes the service. Starts reject with PROGRAM_MISSING, START_FAILED (with its last lines) or START_TIMEOUT. */
export function createProgram (o: ProgramOptions): Program {
  const { name, clock, log, readyWithin = 15_000, probeEvery = 5_000, stopWithin = 5_000 } = o
  let life: Life | undefined
  let idle: Health = off('Not started.')
  let halting = new AbortController()
  let last: Promise<unknown> = Promise.resolve()
  const turn = (work: () => Promise<void>): Promise<void> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  async function launch (): Promise<Life> {
    const path = await findProgram(o.command, o.install)
    const setpriv = await findProgram('setpriv', 'apt install util-linux')
    // The kernel ends it when this process dies, however it dies. A group of its own: a terminal's ^C is for the daemon, which stops it in its turn.
    const account = o.runAs === undefined ? [] : ['--reuid', o.runAs.user, '--regid', o.runAs.group, '--init-groups']
    const child = spawn(setpriv, [...account, '--pdeathsig', 'TERM', '--', path, ...o.args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: o.directory ?? '/' })
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const over = new AbortController()
    const lines: string[] = []
    const heed = (stream: Readable) => createInterface({ input: stream }).on('line', line => {
      lines.push(line.slice(0, 500))
      if (lines.length > keptLines) lines.shift()
      log.info({ program: name }, line)
    })
    heed(child.stdout)
    heed(child.stderr)
    const born: Life = { child, pid: child.pid ?? 0, ended, over, lines, fate: undefined, serving: false, probed: running }
    const end = (fate: string) => { born.fate ??= fate; over.abort(); resolve() }
    child.once('error', error => { end(`it could not be run: ${error.message}`) })
    child.once('close', (code, signal) => { end(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`) }) // its output is read to the end
    child.once('exit', () => { if (born.pid > 0) strike(-born.pid, 'SIGKILL') }) // what it left in its group, which may hold its output open
    return born
  }

  async function begin (signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw calledOff(name)
    if (life !== undefined && life.fate === undefined) return
    try {
      await o.prepare?.(signal)
      if (signal.aborted) throw calledOff(name)
      const born = life = await launch()
      const until = AbortSignal.any([signal, born.over.signal])
      const deadline = clock.monotonic() + readyWithin
      while (!await withDeadline(clock, Math.max(1, deadline - clock.monotonic()), 'START_TIMEOUT', name, async inner => await o.ready(AbortSignal.any([inner, until])), until).catch((error: unknown) => late(error, until))) {
        if (until.aborted) break
        if (clock.monotonic() >= deadline) throw new BedplateError('START_TIMEOUT', { what: name, seconds: readyWithin / 1000 })
        await clock.sleep(askEvery, until)
      }
      if (born.fate !== undefined) throw new BedplateError('START_FAILED', { what: name, reason: obituary(born) })
      if (signal.aborted) throw calledOff(name)
      born.serving = true
      if (o.probe !== undefined) void watch(born, o.probe)
    } catch (error) {
      await end()
      idle = dead(reasonOf(error))
      throw error instanceof BedplateError ? error : new BedplateError('START_FAILED', { what: name, reason: reasonOf(error) }, error)
    }
  }
  /** A question that failed is a no; one that outlasts the deadline is the end of it. */
  const late = (error: unknown, until: AbortSignal): false => {
    if (!until.aborted && error instanceof BedplateError && error.code === 'START_TIMEOUT') throw new BedplateError('START_TIMEOUT', { what: name, seconds: readyWithin / 1000 })
    return false
  }

  async function watch (of: Life, probe: NonNullable<ProgramOptions['probe']>): Promise<void> {
    const { signal } = of.over
    while (!signal.aborted) {
      try {
        of.probed = await withDeadline(clock, probeEvery, 'START_TIMEOUT', name, inner => probe(AbortSignal.any([inner, signal])), signal)
      } catch (error) {
        of.probed = degraded(error instanceof BedplateError && error.code === 'START_TIMEOUT' ? `It runs, but does not answer within ${probeEvery / 1000} s.` : `It runs, but does not do its work: ${reasonOf(error)}`)
      }
      await clock.sleep(probeEvery, signal)
    }
  }

  async function end (): Promise<void> {
    const ending = life
    if (ending !== undefined) {
      if (ending.fate === undefined) strike(ending.pid, 'SIGTERM')
      const patience = new AbortController()
      void clock.sleep(stopWithin, patience.signal).then(() => {
        if (patience.signal.aborted) return
        log.warn(`${name} did not stop within ${stopWithin / 1000} s; it was killed`)
        strike(-ending.pid, 'SIGKILL')
      })
      await ending.ended
      patience.abort()
      life = undefined
    }
    idle = off('Stopped.')
  }

  return {
    name,
    start (signal) { const either = AbortSignal.any([signal, halting.signal]); return turn(() => begin(either)) },
    stop () { halting.abort(); halting = new AbortController(); return turn(end) },
    health () {
      if (life === undefined || !life.serving) return idle
      return life.fate === undefined ? life.probed : dead(obituary(life))
    },
    pid: () => life?.fate === undefined ? life?.pid : undefined,
    async reload () {
      const pid = life?.fate === undefined ? life?.pid : undefined
      if (pid === undefined) throw new BedplateError('UNAVAILABLE', { reason: `${name} does not run` })
      if (o.reload === undefined) strike(pid, 'SIGHUP')
      else await o.reload(pid)
    }
  }
}

const calledOff = (name: string): BedplateError => new BedplateError('START_FAILED', { what: name, reason: 'the start was called off' })
const obituary = ({ fate = '', lines }: Life): string => `${fate}${lines.length === 0 ? ' and said nothing' : `; the last it said: ${lines.join(' / ')}`}`

/** Sends a signal to a process, or to a group by its negative id; one that is gone already has what it needs. */
function strike (pid: number, signal: NodeJS.Signals): void {
  if (pid === 0) return
  try { process.kill(pid, signal) } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
