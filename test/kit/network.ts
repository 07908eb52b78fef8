/** Networks of their own for tests: namespaces, bridges, veth pairs and taps, gone when the test is. Needs root and iproute2. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Result { readonly code: number, readonly stdout: string, readonly stderr: string }
export interface Namespace {
  readonly name: string
  /** Runs a command to its end, whatever its exit code; at most `timeout` ms (default 30,000), then it is killed. */
  exec(command: readonly string[], options?: { readonly timeout?: number }): Promise<Result>
  /** Starts a command; it is killed with the network if it still runs then. */
  spawn(command: readonly string[], options?: SpawnOptions): ChildProcess
  /** Starts this Node on a file, with an IPC channel (`send`, `on('message')`). */
  node(file: string, args?: readonly string[], options?: SpawnOptions): ChildProcess
}
export interface End { readonly namespace: Namespace, readonly name: string, readonly addresses?: readonly string[], readonly bridge?: string, readonly mac?: string }
export interface TestNetwork {
  namespace(): Promise<Namespace>
  bridge(namespace: Namespace, name: string, addresses?: readonly string[]): Promise<void>
  /** A cable: two interfaces, up, each with addresses (`192.0.2.1/24`) or on a bridge of its namespace. */
  cable(one: End, other: End): Promise<void>
  /** A tap device on a bridge, for a virtual machine or a process with a file descriptor. */
  tap(namespace: Namespace, name: string, bridge: string): Promise<void>
  /** Kills what was started inside and removes the namespaces with all that is in them. */
  destroy(): Promise<void>
}

let counter = 0
const living = new Set<string>()
// A test process that ends early still leaves nothing behind.
process.once('exit', () => { for (const name of living) try { removeSync(name) } catch { /* gone already */ } })

function removeSync (name: string): void {
  for (const pid of execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).split('\n').filter(Boolean)) try { process.kill(Number(pid), 'SIGKILL') } catch { /* ended by itself */ }
  execFileSync('ip', ['netns', 'del', name])
}

const ip = (...args: string[]) => run('ip', args)
const inside = (name: string, command: readonly string[]): string[] => ['netns', 'exec', name, ...command]

function namespaceOf (name: string, children: Set<ChildProcess>): Namespace {
  const start = (command: readonly string[], options: SpawnOptions = {}) => {
    const child = spawn('ip', inside(name, command), options)
    children.add(child)
    child.once('exit', () => { children.delete(child) })
    return child
  }
  return {
    name,
    exec: async (command, { timeout = 30_000 } = {}) => {
      try {
        const { stdout, stderr } = await run('ip', inside(name, command), { timeout, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024 })
        return { code: 0, stdout, stderr }
      } catch (thrown) {
        const { code, stdout = '', stderr = String(thrown) } = thrown as { code?: unknown, stdout?: string, stderr?: string }
        return { code: typeof code === 'number' ? code : -1, stdout, stderr }
      }
    },
    spawn: start,
    node: (file, args = [], options = {}) => start([process.execPath, file, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], ...options })
  }
}

/** Throws a sentence naming the packages when a program of a system test is missing. */
export function requirePrograms (programs: Readonly<Record<string, string>>): void {
  const missing = Object.entries(programs).filter(([program]) => { try { execFileSync('sh', ['-c', `command -v ${program}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } }); return false } catch { return true } })
  if (missing.length > 0) throw new Error(`Missing programs: ${missing.map(([program]) => program).join(', ')}. Install: apt-get install ${[...new Set(missing.map(([, name]) => name))].join(' ')}`)
}

export async function createNetwork (): Promise<TestNetwork> {
  requirePrograms({ ip: 'iproute2' })
  const own = new Map<string, Set<ChildProcess>>()
  const place = async (end: End, made: string) => {
    await ip('link', 'set', made, 'netns', end.namespace.name)
    const link = (...args: string[]) => ip('-n', end.namespace.name, ...args)
    await link('link', 'set', made, 'name', end.name)
    if (end.mac !== undefined) await link('link', 'set', end.name, 'address', end.mac)
    if (end.bridge !== undefined) await link('link', 'set', end.name, 'master', end.bridge)
    for (const address of end.addresses ?? []) await link('addr', 'add', address, 'dev', end.name)
    await link('link', 'set', end.name, 'up')
  }
  return {
    async namespace () {
      const name = `bpt-${process.pid}-${++counter}`
      await ip('netns', 'add', name)
      living.add(name)
      const children = new Set<ChildProcess>()
      own.set(name, children)
      await ip('-n', name, 'link', 'set', 'lo', 'up')
      return namespaceOf(name, children)
    },
    async bridge (namespace, name, addresses = []) {
      await ip('-n', namespace.name, 'link', 'add', name, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0')
      for (const address of addresses) await ip('-n', namespace.name, 'addr', 'add', address, 'dev', name)
      await ip('-n', namespace.name, 'link', 'set', name, 'up')
    },
    async cable (one, other) {
      const [a, b] = [`bpt${process.pid % 100_000}a${++counter}`, `bpt${process.pid % 100_000}b${counter}`] // at most 15 characters
      await ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b)
      await place(one, a)
      await place(other, b)
    },
    async tap (namespace, name, bridge) {
      await ip('-n', namespace.name, 'tuntap', 'add', 'dev', name, 'mode', 'tap')
      await ip('-n', namespace.name, 'link', 'set', name, 'master', bridge, 'up')
    },
    async destroy () {
      for (const [name, children] of own) {
        const ending = [...children].map(child => once(child, 'exit'))
        const { stdout } = await ip('netns', 'pids', name)
        for (const pid of stdout.split('\n').filter(Boolean)) try { process.kill(Number(pid), 'SIGKILL') } catch { /* ended by itself */ }
        await Promise.all(ending)
        await ip('netns', 'del', name)
        living.delete(name)
        own.delete(name)
      }
    }
  }
}
