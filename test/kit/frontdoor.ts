/** HAProxy and keepalived as children in a namespace, from the configuration our commands print. Needs root. */
import type { ChildProcess } from 'node:child_process'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { requirePrograms } from './network.ts'
import type { Namespace, Result } from './network.ts'
import { until } from './wait.ts'

const root = join(import.meta.dirname, '../..')
export const requireFrontDoor = (): void => requirePrograms({ haproxy: 'haproxy', keepalived: 'keepalived', curl: 'curl', dig: 'bind9-dnsutils' })

export interface Program {
  readonly child: ChildProcess
  /** What it has written so far. */
  output(): string
  /** It and its children, as they are now. */
  pids(): Promise<number[]>
  /** Sends a signal to it and its children at once: after SIGKILL nothing of it can clean up. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Ends it in order; SIGKILL after 5 s. */
  stop(): Promise<void>
  readonly ended: Promise<void>
}
export interface Haproxy extends Program {
  /** The state of each server of the backend that takes requests: `{ 'region-1': 'UP' }`; NOLB is not ready, DOWN does not answer. */
  servers(): Promise<Record<string, string>>
}

/** `bedplate <line>` in a namespace, as an operator there runs it; rejects with standard error when it fails. */
export async function print (namespace: Namespace, line: readonly string[], env: { readonly url: string, readonly token: string }): Promise<string> {
  const { code, stdout, stderr } = await namespace.exec([join(root, 'bin/bedplate'), ...line, '--url', env.url, '--token', env.token])
  if (code !== 0) throw new Error(`bedplate ${line.join(' ')}: ${stderr}`)
  return stdout
}

/** `haproxy -c`; the exit code and what it said. */
export const checkHaproxy = (namespace: Namespace, file: string): Promise<Result> => namespace.exec(['haproxy', '-c', '-f', file])
/** `keepalived -t`. Any complaint ends it with another code than 0. */
export const checkKeepalived = (namespace: Namespace, file: string): Promise<Result> => namespace.exec(['keepalived', '-t', '--vrrp', '-f', file])

/**
 * Starts HAProxy with the text that `bedplate ha haproxy --run-directory <folder>` printed, once its own checker accepts it.
 * Resolves when it answers on the health port of the namespace's loopback. `folder` is made, one for each node.
 */
export async function startHaproxy (namespace: Namespace, folder: string, text: string): Promise<Haproxy> {
  requireFrontDoor()
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o755)
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, text)
  await accepted('haproxy', await checkHaproxy(namespace, file))
  const program = start(namespace, ['haproxy', '-db', '-f', file])
  const port = /bind 127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? ''
  await running(program, 'haproxy', async () => (await namespace.exec(['curl', '-sf', '-m', '1', `http://127.0.0.1:${port}/`])).code === 0)
  return { ...program, servers: () => states(join(folder, 'admin.sock')) }
}

/** Starts keepalived (VRRP alone) with the text that `bedplate ha keepalived` printed for this node, once its own checker accepts it. Resolves when it has begun to listen to the others. */
export async function startKeepalived (namespace: Namespace, folder: string, text: string): Promise<Program> {
  requireFrontDoor()
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'keepalived.conf')
  await writeFile(file, text)
  await accepted('keepalived', await checkKeepalived(namespace, file))
  // one that was killed leaves them, and their numbers may be other processes' by now; on a host, /run is empty after a start
  for (const name of ['keepalived.pid', 'vrrp.pid']) await rm(join(folder, name), { force: true })
  const program = start(namespace, ['keepalived', '--vrrp', '--dont-fork', '--log-console', '--log-detail', '--use-file', file, '--pid', join(folder, 'keepalived.pid'), '--vrrp_pid', join(folder, 'vrrp.pid')])
  await running(program, 'keepalived', () => /Entering BACKUP STATE/.test(program.output()))
  return program
}

/** Whether the address stands on an interface of the namespace. */
export async function holds (namespace: Namespace, address: string): Promise<boolean> {
  const { stdout } = await namespace.exec(['ip', '-o', 'addr', 'show'])
  return stdout.split('\n').some(line => line.includes(` ${address}/`))
}

async function accepted (name: string, { code, stdout, stderr }: Result): Promise<void> {
  if (code !== 0) throw new Error(`${name} refuses its configuration (${code}): ${stdout}${stderr}`)
}

async function running (program: Program, name: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  let over = false
  void program.ended.then(() => { over = true })
  await until(async () => over || await condition(), { timeout: 15_000, interval: 50, what: `${name} to run` }).catch((error: unknown) => { throw new Error(`${String(error)}\n${program.output()}`) })
  if (over) throw new Error(`${name} ended at once: ${program.output()}`)
}

/** "ip netns exec" becomes the program, so the child's number is the program's. */
function start (namespace: Namespace, command: readonly string[]): Program {
  const child = namespace.spawn(command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', part => { text += String(part) })
  const ended = new Promise<void>(resolve => { child.once('exit', () => resolve()); child.once('error', error => { text += String(error); resolve() }) })
  const pids = async (): Promise<number[]> => child.pid === undefined || child.exitCode !== null || child.signalCode !== null ? [] : [child.pid, ...await childrenOf(child.pid)]
  const kill = async (signal: NodeJS.Signals): Promise<void> => { for (const pid of await pids()) try { process.kill(pid, signal) } catch { /* ended meanwhile */ } }
  return {
    child, output: () => text, pids, kill, ended,
    async stop () {
      child.kill('SIGTERM')
      const late = setTimeout(() => { void kill('SIGKILL') }, 5_000)
      await ended
      clearTimeout(late)
    }
  }
}

async function childrenOf (pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

/** What HAProxy's administration socket says of the servers. A socket in the file system is reached from every namespace. */
async function states (socket: string): Promise<Record<string, string>> {
  const text = await new Promise<string>((resolve, reject) => {
    let answer = ''
    connect(socket).setEncoding('utf8').on('data', part => { answer += String(part) }).on('end', () => resolve(answer)).on('error', reject).write('show stat\n')
  })
  const rows = text.split('\n').map(line => line.split(','))
  const column = (rows[0] ?? []).indexOf('status')
  return Object.fromEntries(rows.filter(([proxy, server]) => proxy === 'bedplate-ready' && server !== 'BACKEND').map(row => [row[1] ?? '', (row[column] ?? '').split(' ')[0] ?? '']))
}
