/** The network of the DHCP bench: one bridge, a namespace for each server and for the clients, all of them in 10.64.0.0/12. Nothing leaves the machine. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { promisify } from 'node:util'
import { BedplateError } from '../../core/errors.ts'
import { createNetwork } from '../../test/kit/network.ts'
import type { Namespace } from '../../test/kit/network.ts'

const run = promisify(execFile)

/** Which processors each side may use. `server` and `load` are one each, so that they do not take each other's. */
export const cores = { server: '0', load: '1', all: '0,1' } as const
export const prefix = { cidr: '10.64.0.0/12', length: 12, pool: { start: '10.65.0.0', end: '10.72.255.255' } } as const
/** Where relays are: dhcpload binds port 67 of the first. */
export const relays = ['10.64.0.2', '10.64.0.3', '10.64.0.4', '10.64.0.5', '10.64.0.6'] as const

export interface Spawned { readonly child: ChildProcess, readonly pid: number, readonly gone: Promise<void>, end(signal?: NodeJS.Signals): Promise<void> }
export interface Host { readonly namespace: Namespace, readonly address: string, readonly device: string, readonly name: string }
export interface Segment {
  readonly clients: Host
  /** A host on the bridge; the same one for the same name. */
  host(name: string, address: string): Promise<Host>
  close(): Promise<void>
}

/** Throws CONFLICT when somebody serves a port there already: figures of another server under this one's name are worse than none. */
export async function refuseTaken (host: Host, ports: readonly number[]): Promise<void> {
  const { stdout } = await host.namespace.exec(['ss', '-lunH'])
  for (const port of ports) if (stdout.split('\n').some(line => new RegExp(`:${port}\\s`).test(line))) throw new BedplateError('CONFLICT', { reason: `UDP port ${port} of ${host.name} (${host.address}) is served already` })
}

/** Starts a program on a host, on these processors; what it says goes to a file. The pid is the program's own, for all the wrappers exec. */
export function start (host: Host, cpus: string, command: readonly string[], options: { readonly log: string, readonly env?: Readonly<Record<string, string>>, readonly cwd?: string }): Spawned {
  const log = createWriteStream(options.log, { flags: 'a' })
  const child = spawn('ip', ['netns', 'exec', host.namespace.name, 'taskset', '-c', cpus, ...command], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env }, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const gone = new Promise<void>(resolve => { child.once('exit', () => { resolve() }); child.once('error', () => { resolve() }) })
  return {
    child, gone, pid: child.pid ?? 0,
    async end (signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      const patience = setTimeout(() => { child.kill('SIGKILL') }, 20_000)
      await gone
      clearTimeout(patience)
    }
  }
}

export async function createSegment (): Promise<Segment> {
  const network = await createNetwork()
  const hosts = new Map<string, Promise<Host>>()
  const middle = await network.namespace()
  await network.bridge(middle, 'br0')
  const make = async (name: string, addresses: readonly string[]): Promise<Host> => {
    const namespace = await network.namespace()
    await network.cable({ namespace, name: 'srv0', addresses: addresses.map(address => `${address}/${prefix.length}`) }, { namespace: middle, name: `p-${name}`.slice(0, 15), bridge: 'br0' })
    await run('ip', ['-n', namespace.name, 'route', 'add', '255.255.255.255', 'dev', 'srv0'])
    return { namespace, name, device: 'srv0', address: addresses[0] ?? '' }
  }
  return {
    clients: await make('clients', relays),
    host (name, address) {
      const known = hosts.get(name)
      if (known !== undefined) return known
      const made = make(name, [address])
      hosts.set(name, made)
      return made
    },
    close: () => network.destroy()
  }
}
