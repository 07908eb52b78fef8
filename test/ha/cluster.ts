/** The cluster of the availability run: a switch, three regions with a front door each, three racks, a database pair and a client, each in a namespace of its own. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createController, type ControllerProcess } from '../lab/controller.ts'
import type { Namespace, TestNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import type { Answer, Order, Read, Report, Write } from './client.ts'
import type { Promised } from './outcome.ts'
import { ledger } from './traffic/rack.ts'

const run = promisify(execFile)
const net = (host: number): string => `10.77.0.${host}`
export const vip = net(5)

/** A member: its process and its cable. */
export interface Member {
  readonly name: string
  readonly address: string
  readonly namespace: Namespace
  readonly directory: string
  /** The controller's id, once it was ready. */
  readonly id: string
  readonly process: ControllerProcess
  /** Resolves when its /readyz says so. */
  ready(): Promise<void>
  /** Takes its cable out of the switch, and puts it back. */
  cut(): Promise<void>
  mend(): Promise<void>
  /** What it may not reach any more, though its cable is in. */
  block(address: string): Promise<void>
  unblock(address: string): Promise<void>
}

export interface Cluster {
  readonly network: TestNetwork
  readonly regions: readonly Member[]
  readonly racks: readonly Member[]
  readonly reads: Read[]
  readonly writes: Write[]
  /** The admin token. */
  token(): string
  /** A request from the client's namespace; the admin token is sent. Rejects when there is no answer. */
  ask<T>(url: string, method?: string, body?: unknown): Promise<{ readonly status: number, readonly body: T }>
  /** Begins the load through `url`. */
  load(url: string): void
  /** Ends it; resolves when every write has come to its end. */
  unload(): Promise<void>
  /** What the racks' disks say they were promised. */
  promised(): Promise<Promised[]>
  close(): Promise<void>
}

const pace = { readEvery: 100, writeEvery: 200 } // ms
const traffic = join(import.meta.dirname, 'traffic')
const bedplate = join(import.meta.dirname, '../../bin/bedplate')

/** Settings as `--set` names them: `rpc.advertise`. */
const leaves = (values: object, above = ''): [key: string, value: unknown][] => Object.entries(values).flatMap(([key, value]) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? leaves(value, `${above}${key}.`) : [[`${above}${key}`, value] as [string, unknown]])

/** A namespace on the switch. */
export interface Port { readonly namespace: Namespace, cut(): Promise<void>, mend(): Promise<void> }
export async function createSwitch (network: TestNetwork): Promise<(name: string, host: number) => Promise<Port>> {
  const middle = await network.namespace()
  await network.bridge(middle, 'br0')
  return async (name, host) => {
    const namespace = await network.namespace()
    const port = `p-${name}`
    await network.cable({ namespace, name: 'eth0', addresses: [`${net(host)}/24`] }, { namespace: middle, name: port, bridge: 'br0' })
    const set = async (state: 'up' | 'down') => { await run('ip', ['-n', middle.name, 'link', 'set', port, state]) }
    return { namespace, cut: () => set('down'), mend: () => set('up') }
  }
}

export interface ClusterOptions {
  readonly network: TestNetwork
  readonly plug: Awaited<ReturnType<typeof createSwitch>>
  readonly directory: string
  /** The setting each region has. */
  readonly database: Readonly<Record<string, unknown>>
  /** How many of each kind there are; three when left out, at most that many. */
  readonly size?: number
  /** Settings of every member; the plugin of the load when left out. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** What a rack's namespace needs before the rack starts: further cables. */
  readonly wired?: (rack: string, namespace: Namespace) => Promise<void>
  readonly say: (line: string) => void
}

/** Starts everything but the load. */
export async function startCluster (o: ClusterOptions): Promise<Cluster> {
  const { network, plug, directory, say, settings = { plugins: [traffic] } } = o
  let token = ''
  const died = (name: string, code: number | null) => { say(`${name} ended by itself with ${code}; its log is ${join(directory, name)}.log`) }
  const reads: Read[] = []
  const writes: Write[] = []

  const clientPort = await plug('client', 100)
  const client = clientPort.namespace.node(join(import.meta.dirname, 'client.ts'))
  client.on('error', () => {}) // it was told something after its end
  const order = (what: Order): void => { client.send(what) }
  const waiting = new Map<number, (answer: Answer) => void>()
  let stopped = Promise.withResolvers<void>()
  client.on('message', (report: Report) => {
    if (report.t === 'read') reads.push(report)
    else if (report.t === 'write') writes.push(report)
    else if (report.t === 'stopped') stopped.resolve()
    else { waiting.get(report.id)?.(report); waiting.delete(report.id) }
  })
  let asked = 0
  const ask: Cluster['ask'] = async <T> (url: string, method = 'GET', body?: unknown) => {
    const id = ++asked
    const { promise, resolve } = Promise.withResolvers<Answer>()
    waiting.set(id, resolve)
    order({ t: 'ask', id, method, url, token: token === '' ? undefined : token, body })
    const answer = await promise
    if (answer.error !== undefined) throw new Error(`${method} ${url}: ${answer.error}`)
    return { status: answer.status, body: answer.body as T }
  }

  /** The settings of a member; the first region has them from here, the others from `bedplate join`. */
  const settingsOf = (address: string) => ({ rpc: { advertise: [address] }, ...settings })
  async function member (name: string, host: number, role: 'region' | 'rack', prepare: (namespace: Namespace, files: { readonly config: string, readonly data: string }) => Promise<void>): Promise<Member> {
    const port = await plug(name, host)
    const data = join(directory, `${name}.data`)
    await prepare(port.namespace, { config: join(directory, `${name}.yaml`), data })
    const process = await createController({ name, namespace: port.namespace.name, directory, died })
    const route = async (verb: string, address: string) => { await run('ip', ['-n', port.namespace.name, 'route', verb, 'blackhole', `${address}/32`]) }
    let id = ''
    const made: Member = {
      name, address: net(host), directory: data, process, ...port,
      get id () { return id },
      async ready () {
        await until(async () => (await ask(`http://${net(host)}:${role === 'region' ? 5240 : 5248}/readyz`)).status === 200, { timeout: 60_000, interval: 100, what: `the ${role} ${name} is ready` })
        id = (await readFile(join(data, 'controller.id'), 'utf8')).trim()
      },
      block: address => route('add', address), unblock: address => route('del', address)
    }
    say(`starting ${name}`)
    made.process.start()
    await made.ready()
    return made
  }
  async function joined (name: string, host: number, role: 'region' | 'rack'): Promise<Member> {
    const first = regions[0]?.address
    const { body } = await ask<{ token: string }>(`http://${first}:5240/api/v1/controllers/tokens`, 'POST', { roles: [role] })
    return await member(name, host, role, async (namespace, { config, data }) => {
      if (role === 'rack') await o.wired?.(name, namespace)
      const set = leaves(settingsOf(net(host))).flatMap(([key, value]) => ['--set', `${key}=${JSON.stringify(value)}`])
      const { code, stderr } = await namespace.exec([bedplate, 'join', String(first), '--token', body.token, '--hostname', name, '--config', config, '--data-directory', data, ...set, '--no-start'])
      if (code !== 0) throw new Error(`bedplate join of ${name}: ${stderr}`)
    })
  }

  const letters = ['a', 'b', 'c'].slice(0, o.size)
  const regions: Member[] = []
  const racks: Member[] = []
  for (const [index, letter] of letters.entries()) {
    const [name, host] = [`region-${letter}`, 11 + index]
    if (index > 0) { regions.push(await joined(name, host, 'region')); continue }
    const region = await member(name, host, 'region', async (_namespace, { config, data }) => {
      await writeFile(config, JSON.stringify({ roles: ['region'], hostname: name, dataDirectory: data, ...settingsOf(net(host)), database: o.database }))
    })
    token = (await readFile(join(region.directory, 'admin.token'), 'utf8')).trim()
    regions.push(region)
  }
  for (const [index, letter] of letters.entries()) racks.push(await joined(`rack-${letter}`, 21 + index, 'rack'))

  return {
    network, regions, racks, reads, writes, ask,
    token: () => token,
    load (url) { order({ t: 'start', url, token, ...pace }) },
    async unload () {
      order({ t: 'stop' })
      await stopped.promise
      stopped = Promise.withResolvers()
    },
    async promised () {
      const found: Promised[] = []
      for (const rack of racks) {
        const lives = new Map<string, number>()
        for (const line of (await readFile(join(rack.directory, ledger), 'utf8')).split('\n')) {
          const [, life, seq] = /^(\S+) (\d+)$/.exec(line) ?? []
          if (life !== undefined) lives.set(life, Number(seq))
        }
        for (const [life, last] of lives) found.push({ rack: rack.id, life, last })
      }
      return found
    },
    async close () {
      client.disconnect()
      for (const one of [...racks, ...regions]) { one.process.signal('SIGCONT'); await one.process.stop() }
    }
  }
}
