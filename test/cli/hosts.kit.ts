/** Hosts for tests of join and leave: daemons and commands as child processes, each with a folder of its own, on one loopback and one database. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { until } from '../kit/wait.ts'

const root = join(import.meta.dirname, '../..')

export interface Done { readonly code: number | null, readonly out: string, readonly err: string }
/** A command that runs, or has run. */
export interface Child { readonly child: ChildProcess, output(): string, readonly ended: Promise<Done> }

/** A TCP port that was free a moment ago. */
export const freePort = (): Promise<number> => new Promise((resolve, reject) => {
  const server = createServer()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', () => { const { port } = server.address() as AddressInfo; server.close(() => { resolve(port) }) })
})

export class Host {
  readonly name: string
  readonly folder: string
  readonly config: string
  readonly rpcPort: number
  readonly children: Set<ChildProcess>
  daemon: Child | undefined

  constructor (name: string, folder: string, rpcPort: number, children: Set<ChildProcess>) {
    this.name = name
    this.folder = folder
    this.config = join(folder, 'bedplate.yaml')
    this.rpcPort = rpcPort
    this.children = children
  }

  get data (): string { return join(this.folder, 'data') }
  get region (): string { return `127.0.0.1:${this.rpcPort}` }

  start (...args: readonly string[]): Child {
    const child = spawn(join(root, 'bin/bedplate'), [...args], { env: { PATH: process.env.PATH ?? '', HOME: this.folder }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.children.add(child)
    let [out, err] = ['', '']
    child.stdout.on('data', part => { out += String(part) })
    child.stderr.on('data', part => { err += String(part) })
    const ended = new Promise<Done>(resolve => { child.on('close', code => { this.children.delete(child); resolve({ code, out, err }) }) })
    return { child, output: () => out + err, ended }
  }

  /** Settings that keep every host on loopback and out of each other's way. */
  settings (): string[] {
    return ['http.host=127.0.0.1', 'http.port=0', 'rackHttp.host=127.0.0.1', 'rackHttp.port=0', 'rpc.host=127.0.0.1', `rpc.port=${this.rpcPort}`, 'rpc.advertise=127.0.0.1', `boot.tftpPort=${this.rpcPort}`, 'boot.iscsiPort=0', 'boot.httpsPort=0'].flatMap(text => ['--set', text])
  }

  joining (region: string, token: string, ...more: readonly string[]): Child {
    return this.start('join', region, '--token', token, '--config', this.config, '--data-directory', this.data, '--hostname', this.name, ...this.settings(), ...more)
  }

  /** Joins and goes on as the daemon. */
  async join (region: string, token: string, ...more: readonly string[]): Promise<void> {
    this.daemon = this.joining(region, token, ...more)
    await this.started()
  }

  async run (): Promise<void> {
    this.daemon = this.start('run', '--config', this.config)
    await this.started()
  }

  async started (): Promise<void> {
    const { child, output } = this.daemon ?? this.missing()
    await until(() => output().includes('"msg":"started as') || child.exitCode !== null, { timeout: 45_000, what: `${this.name} to start` })
    if (child.exitCode !== null) throw new TypeError(`${this.name} ended: ${output()}`)
  }

  /** Ends the daemon with that signal. */
  async end (signal: NodeJS.Signals): Promise<Done> {
    const { child, ended } = this.daemon ?? this.missing()
    child.kill(signal)
    return await ended
  }

  /** Runs a command on this host to its end. */
  command (...args: readonly string[]): Promise<Done> { return this.start(...args).ended }

  get url (): string {
    const line = this.daemon?.output().split('\n').find(text => text.includes('api listens at')) ?? ''
    return `http://127.0.0.1:${(JSON.parse(line) as { address: { port: number } }).address.port}`
  }

  async id (): Promise<string> { return (await readFile(join(this.data, 'controller.id'), 'utf8')).trim() }
  missing (): never { throw new TypeError(`${this.name} has no daemon`) }
}

/** Makes hosts, and ends and removes all of them. */
export class Hosts {
  readonly #children = new Set<ChildProcess>()
  readonly #folders: string[] = []

  async host (name: string): Promise<Host> {
    const folder = await mkdtemp(join(tmpdir(), 'bedplate-host-'))
    this.#folders.push(folder)
    await chmod(folder, 0o711) // an embedded server's account passes through to its data, which goes with the folder
    return new Host(name, folder, await freePort(), this.#children)
  }

  /** A region that was not joined but is the first, with its file written by hand. */
  async first (name: string, database: object): Promise<Host> {
    const host = await this.host(name)
    const where = { host: '127.0.0.1', port: 0 }
    await mkdir(host.data)
    await writeFile(host.config, stringify({ roles: ['region'], hostname: name, dataDirectory: host.data, http: where, rpc: { host: '127.0.0.1', port: host.rpcPort, advertise: ['127.0.0.1'] }, database }))
    await host.run()
    return host
  }

  async end (): Promise<void> {
    const ended = [...this.#children].map(child => new Promise(resolve => { child.once('close', resolve); child.kill('SIGKILL') }))
    await Promise.all(ended)
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
  }
}
