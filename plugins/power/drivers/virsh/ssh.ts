/** One SSH connection to a host, by the system's `ssh`: a master that is kept, and sessions over it. Keys only, and only to the host that is known. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BedplateError } from '../../../../core/errors.ts'
import { findProgram } from '../../../../core/program.ts'
import type { Options } from '../../driver.ts'
import type { Closable } from '../../kept.ts'
import { run, type Ran } from './run.ts'

export interface Host {
  readonly host: string, readonly port: number, readonly user?: string
  /** A private key. Without it, the keys of the rack's own account. */
  readonly key?: string
  /** The host's public key, as in known_hosts without the names. Without it, the known_hosts of the rack's own account. */
  readonly hostKey?: string
}

const idle = 300_000 // ms a connection is kept for the next look
const openssh = 'apt install openssh-client'

/** A word for a POSIX shell, whatever is in it. */
export const quoted = (word: string): string => `'${word.replaceAll('\'', '\'\\\'\'')}'`

/** What ssh said when it could not: its exit code is 255. */
export function explained (stderr: string, host: string): BedplateError {
  const last = stderr.trim().split('\n').map(line => line.trim()).filter(Boolean).at(-1)?.slice(0, 300) ?? 'ssh gave no reason'
  if (/host key verification failed|no .* host key is known|host identification has changed|matching host key type/i.test(stderr)) return new BedplateError('POWER_REFUSED', { reason: `${host} is not the host that is known, or none is known by that name (${last}). Set hostKey to its public key, or put it into the known_hosts of the rack's account` })
  if (/permission denied|too many authentication failures|no such identity/i.test(stderr)) return new BedplateError('POWER_AUTHENTICATION', { reason: `${host}: ${last}` })
  return new BedplateError('POWER_FAILED', { action: 'action', reason: `${host} cannot be reached: ${last}` })
}

class Connection {
  readonly #host: Host
  readonly #children: ChildProcess[] = []
  #opening: Promise<readonly string[]> | undefined
  #folder: string | undefined
  #uses = 0
  #idling = new AbortController()

  constructor (host: Host) { this.#host = host }

  /** Runs a command line of the host's shell. POWER_AUTHENTICATION, POWER_REFUSED (not the known host), POWER_FAILED. */
  async exec (command: string, input: string, options: Options): Promise<Ran> {
    this.#uses++
    this.#idling.abort()
    try {
      const ssh = await findProgram('ssh', openssh)
      const args = await (this.#opening ??= this.#open(ssh, options))
      const ran = await run(ssh, [...args, '-o', 'ControlMaster=no', '--', this.#host.host, command], { input, limit: options.pace.request, signal: options.signal })
      if (ran.code === 255) throw explained(ran.stderr, this.#host.host)
      return ran
    } catch (error) {
      await this.close() // whatever is wrong with it, the next one begins anew
      throw error
    } finally {
      this.#uses--
      this.#idling = new AbortController()
      const { signal } = this.#idling
      void options.clock.sleep(idle, signal).then(async () => { if (!signal.aborted && this.#uses === 0) await this.close() })
    }
  }

  /** Starts the master; resolves with the arguments of a session over it. */
  async #open (ssh: string, { pace, signal, clock }: Options): Promise<readonly string[]> {
    const { host, port, user, key, hostKey } = this.#host
    const folder = this.#folder = await mkdtemp(join(tmpdir(), 'bedplate-ssh-')) // nobody else's: mode 0700
    const control = join(folder, 'control')
    const set: Record<string, string> = {
      BatchMode: 'yes', StrictHostKeyChecking: 'yes', UpdateHostKeys: 'no', ControlPath: control, ControlPersist: 'no', ConnectTimeout: String(Math.ceil(pace.request / 1000)), ServerAliveInterval: '5', ServerAliveCountMax: '3',
      ForwardAgent: 'no', ClearAllForwardings: 'yes', PermitLocalCommand: 'no', RequestTTY: 'no', LogLevel: 'ERROR', Port: String(port), ...(user === undefined ? {} : { User: user })
    }
    if (hostKey !== undefined) {
      await writeFile(join(folder, 'known'), `bedplate ${hostKey}\n`)
      Object.assign(set, { HostKeyAlias: 'bedplate', UserKnownHostsFile: join(folder, 'known'), GlobalKnownHostsFile: '/dev/null' })
    }
    if (key !== undefined) Object.assign(set, { IdentityAgent: await this.#agent(folder, key, { pace, signal, clock }), IdentityFile: 'none', IdentitiesOnly: 'no' })
    const args = Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    let said = ''
    const master = await this.#start(ssh, [...args, '-o', 'ControlMaster=yes', '-N', '--', host])
    master.stderr?.setEncoding('utf8').on('data', (part: string) => { said = (said + part).slice(-4_000) })
    const gone = new Promise<void>(resolve => { master.once('close', () => { resolve() }) })
    let ended = false
    void gone.then(() => { ended = true })
    const end = clock.monotonic() + pace.request
    while (!await exists(control)) {
      if (ended) throw explained(said, host)
      if (signal.aborted || clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action: 'action', reason: signal.aborted ? `the time for it was over before ${host} answered` : `${host} did not answer within ${pace.request / 1000} s` })
      await clock.sleep(5, signal)
    }
    return args
  }

  /** An agent of its own has the key, in memory alone: a file would outlive a rack that is killed. */
  async #agent (folder: string, key: string, { pace, signal, clock }: Pick<Options, 'pace' | 'signal' | 'clock'>): Promise<string> {
    const socket = join(folder, 'agent')
    await this.#start(await findProgram('ssh-agent', openssh), ['-D', '-a', socket])
    const end = clock.monotonic() + pace.request
    while (!await exists(socket)) {
      if (signal.aborted || clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action: 'action', reason: 'ssh-agent did not start' })
      await clock.sleep(5, signal)
    }
    const added = await run('env', [`SSH_AUTH_SOCK=${socket}`, 'SSH_ASKPASS_REQUIRE=never', await findProgram('ssh-add', openssh), '-q', '-'], { input: key.endsWith('\n') ? key : `${key}\n`, limit: pace.request, signal })
    if (added.code !== 0) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'virsh', reason: 'the private key cannot be read; it must be a whole one in OpenSSH\'s or PEM\'s form, without a passphrase' })
    return socket
  }

  /** The kernel ends it with this process, however that dies. */
  async #start (command: string, args: readonly string[]): Promise<ChildProcess> {
    const child = spawn(await findProgram('setpriv', 'apt install util-linux'), ['--pdeathsig', 'TERM', '--', command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    child.on('error', () => {}) // 'close' follows
    this.#children.push(child)
    return child
  }

  async close (): Promise<void> {
    this.#idling.abort()
    this.#opening = undefined
    const folder = this.#folder
    this.#folder = undefined
    await Promise.all(this.#children.splice(0).map(child => child.exitCode !== null || child.signalCode !== null || child.pid === undefined ? undefined : new Promise(resolve => { child.once('close', resolve); child.kill() })))
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false)

/** Connections by host, user and keys, for `kept`. */
export interface Connections extends Closable { to(host: Host): Pick<Connection, 'exec'> }
export function createConnections (): Connections {
  const all = new Map<string, Connection>()
  return {
    to (host) {
      const name = createHash('sha256').update(JSON.stringify(host)).digest('hex') // the key is in it
      const connection = all.get(name) ?? new Connection(host)
      all.set(name, connection)
      return connection
    },
    async close () { await Promise.all([...all.values()].map(connection => connection.close())) }
  }
}
