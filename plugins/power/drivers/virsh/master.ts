/** One SSH connection to a host, by the system's `ssh`: a master that stays, over which sessions are opened. Keys only, and only to the host that is known. */
import { spawn, type ChildProcess } from 'node:child_process'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BedplateError } from '../../../../core/errors.ts'
import { findProgram } from '../../../../core/program.ts'
import type { Options } from '../../driver.ts'
import { run } from './run.ts'
import { brief } from '../../redact.ts'

export interface Host {
  readonly host: string, readonly port: number, readonly user?: string
  /** A private key. Without it, the keys of the rack's own account. */
  readonly key?: string
  /** The host's public key, as in known_hosts without the names. Without it, the known_hosts of the rack's own account. */
  readonly hostKey?: string
}
/** `args`: what ssh is given for a session over it, up to the host. */
export interface Master { readonly ssh: string, readonly args: readonly string[], close(): Promise<void> }
type Bounds = Pick<Options, 'pace' | 'signal' | 'clock'>

const openssh = 'apt install openssh-client'

/** What ssh said when it could not: its exit code is 255. Pure. */
export function explained (stderr: string, host: string): BedplateError {
  const last = brief(stderr.trim().split('\n').map(line => line.trim()).filter(Boolean).at(-1) ?? 'ssh gave no reason')
  if (/host key verification failed|no .* host key is known|host identification has changed|matching host key type/i.test(stderr)) return new BedplateError('POWER_REFUSED', { reason: `${host} is not the host that is known, or none is known by that name (${last}). Set hostKey to its public key, or put it into the known_hosts of the rack's account` })
  if (/permission denied|too many authentication failures/i.test(stderr)) return new BedplateError('POWER_AUTHENTICATION', { reason: `${host}: ${last}` })
  return new BedplateError('POWER_FAILED', { action: 'action', reason: `${host} cannot be reached: ${last}` })
}

/** Resolves once sessions can be opened. POWER_AUTHENTICATION, POWER_REFUSED (not the known host), POWER_PARAMETERS_INVALID (the key), POWER_FAILED; nothing is left of it then. */
export async function openMaster ({ host, port, user, key, hostKey }: Host, bounds: Bounds): Promise<Master> {
  const { pace } = bounds
  const ssh = await findProgram('ssh', openssh)
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-ssh-')) // nobody else's: mode 0700
  const control = join(folder, 'control')
  const children: ChildProcess[] = []
  const close = async (): Promise<void> => {
    await Promise.all(children.splice(0).map(ended))
    await rm(folder, { recursive: true, force: true })
  }
  let agent: ChildProcess | undefined
  const settings: Record<string, string> = {
    BatchMode: 'yes', StrictHostKeyChecking: 'yes', UpdateHostKeys: 'no', ControlPath: control, ControlPersist: 'no', ConnectTimeout: String(Math.ceil(pace.request / 1000)), ServerAliveInterval: '5', ServerAliveCountMax: '3',
    ForwardAgent: 'no', ClearAllForwardings: 'yes', PermitLocalCommand: 'no', RequestTTY: 'no', LogLevel: 'ERROR', Port: String(port), ...(user === undefined ? {} : { User: user })
  }
  try {
    if (hostKey !== undefined) {
      await writeFile(join(folder, 'known'), `bedplate ${hostKey}\n`)
      Object.assign(settings, { HostKeyAlias: 'bedplate', UserKnownHostsFile: join(folder, 'known'), GlobalKnownHostsFile: '/dev/null' })
    }
    if (key !== undefined) {
      const socket = join(folder, 'agent')
      agent = await begin(children, await findProgram('ssh-agent', openssh), ['-D', '-a', socket])
      await there(socket, 'ssh-agent did not start', bounds)
      await addKey(socket, key, bounds)
      Object.assign(settings, { IdentityAgent: socket, IdentityFile: 'none', IdentitiesOnly: 'no' })
    }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    let said = ''
    const child = await begin(children, ssh, [...args, '-o', 'ControlMaster=yes', '-N', '--', host])
    child.stderr?.setEncoding('utf8').on('data', (part: string) => { said = (said + part).slice(-4_000) })
    const over = new Promise<never>((_, reject) => { child.once('close', () => { reject(explained(said, host)) }) })
    await Promise.race([over, there(control, `${host} did not answer within ${pace.request / 1000} s`, bounds)])
    over.catch(() => {}) // when it ends later, the sessions tell
    if (agent !== undefined) await ended(agent) // the host knows us by now
    return { ssh, args: [...args, '-o', 'ControlMaster=no', '--', host], close }
  } catch (error) {
    await close()
    throw error
  }
}

/** An agent has the key while the host is logged in to, in memory alone: a file would outlive a rack that is killed. It forgets it after a minute if this process dies meanwhile. */
async function addKey (socket: string, key: string, { pace, signal }: Bounds): Promise<void> {
  const added = await run('env', [`SSH_AUTH_SOCK=${socket}`, 'SSH_ASKPASS_REQUIRE=never', await findProgram('ssh-add', openssh), '-q', '-t', '60', '-'], { input: `${key.trim()}\n`, limit: pace.request, signal })
  if (added.code !== 0) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'virsh', reason: 'the private key cannot be read; it must be a whole one in OpenSSH\'s or PEM\'s form, without a passphrase' })
}

/** Waits for a path. */
async function there (path: string, otherwise: string, { pace, signal, clock }: Bounds): Promise<void> {
  const end = clock.monotonic() + pace.request
  while (!await access(path).then(() => true, () => false)) {
    if (signal.aborted || clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action: 'action', reason: signal.aborted ? `the time for it was over: ${otherwise}` : otherwise })
    await clock.sleep(5, signal)
  }
}

/** The kernel ends it with this process, however that dies; but not ssh-agent, whose set-group-ID makes it forget that. */
async function begin (children: ChildProcess[], command: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(await findProgram('setpriv', 'apt install util-linux'), ['--pdeathsig', 'TERM', '--', command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  child.on('error', () => {}) // 'close' follows
  children.push(child)
  return child
}

async function ended (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  await new Promise(resolve => { child.once('close', resolve); child.kill() })
}
