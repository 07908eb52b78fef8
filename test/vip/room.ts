/** Three regions, a database and a client on one bridge, each in a namespace of its own; who holds the floating addresses is seen from outside. */
import type { ChildProcess } from 'node:child_process'
import { server } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { createNetwork } from '../kit/network.ts'
import type { Namespace, TestNetwork } from '../kit/network.ts'
import { onceEvent, until } from '../kit/wait.ts'

export const floating = ['10.77.0.10/24', 'fd77::10/64'] as const
const hosts = floating.map(text => text.slice(0, text.indexOf('/')))
export interface Answer { readonly url: string, readonly at: number, readonly by?: string }
export interface Stretch { readonly by: string, readonly from: number, until?: number }
export const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

export interface Region {
  readonly name: string
  readonly namespace: Namespace
  readonly mac: string
  process: ChildProcess
  start(): Promise<void>
  signal(name: NodeJS.Signals): void
  tell(what: 'stop' | 'ready' | 'unready'): void
  health(): Promise<{ readonly health: { readonly state: string, readonly reason?: string }, readonly held: boolean }>
  /** Its cable: out of the bridge, with its carrier; or without. */
  cable(state: 'in' | 'out' | 'unplugged'): Promise<void>
}
export interface Room {
  readonly regions: readonly Region[]
  readonly client: Namespace
  readonly answers: Answer[]
  readonly stretches: Stretch[]
  late(ms: number): void
  /** The region that answers at every address since `since`. */
  holder(since?: number, timeout?: number): Promise<Region>
  /** The longest time (ms) within which an address gave no answer, since `since` until both were answered by `by`. */
  outage(since: number, by: string): number
  /** Pairs of stretches of two regions that overlap. */
  overlaps(): readonly string[]
  close(): Promise<void>
}

/** What runs in the three namespaces: by default `region.ts`, whose answer is its name. */
export interface Program {
  /** The file to run, and its arguments. */
  command (name: string): Promise<readonly [file: string, ...args: string[]]>
  /** What the client asks at each address: `:5240/livez`. */
  readonly asked: string
  started (region: Region): Promise<unknown>
}
const local = (file: string): string => `${import.meta.dirname}/${file}.ts`
const alone = (db: TestDatabase): Program => ({
  asked: ':80/',
  command: async name => [local('region'), JSON.stringify({ name, host: '10.77.0.2', port: 5432, database: db.options.database, user: db.options.user, addresses: floating })],
  started: region => onceEvent(region.process, 'message')
})

export async function createRoom (db: TestDatabase, program = alone(db)): Promise<Room> {
  const network = await createNetwork()
  try { return await furnish(network, program) } catch (error) { await network.destroy(); throw error }
}

async function furnish (network: TestNetwork, program: Program): Promise<Room> {
  const hub = await network.namespace()
  await network.bridge(hub, 'br0')
  const join = async (name: string, number: number): Promise<Namespace> => {
    const namespace = await network.namespace()
    await namespace.exec(['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0'])
    await network.cable({ namespace, name: 'eth0', addresses: [`10.77.0.${number}/24`, `fd77::${number}/64`], mac: mac(number) }, { namespace: hub, name, bridge: 'br0' })
    return namespace
  }
  const mac = (number: number): string => `02:00:00:00:00:${String(number).padStart(2, '0')}`
  const answers: Answer[] = []
  const stretches: Stretch[] = []
  const urls = hosts.map(host => `http://${host.includes(':') ? `[${host}]` : host}${program.asked}`)

  const database = await join('db', 2)
  const { host, port } = server()
  const relay = database.node(local('relay'), ['10.77.0.2', '5432', `${host}/.s.PGSQL.${port}`])
  await onceEvent(relay, 'message')

  const regions = await Promise.all(['one', 'two', 'three'].map(async (name, index): Promise<Region> => {
    const namespace = await join(name, 11 + index)
    const watcher = namespace.node(local('watcher'), hosts)
    await onceEvent(watcher, 'message')
    watcher.on('message', (seen: { readonly from: number, readonly until?: number }) => {
      const open = stretches.find(one => one.by === name && one.from === seen.from)
      if (open === undefined) stretches.push({ by: name, ...seen })
      else if (seen.until !== undefined) open.until = seen.until
    })
    const [file, ...args] = await program.command(name)
    const spawn = (): ChildProcess => namespace.node(file, args, { stdio: ['ignore', process.env.VIP_LOG === undefined ? 'ignore' : 'inherit', 'inherit', 'ipc'] })
    const region: Region = {
      name,
      namespace,
      mac: mac(11 + index),
      process: spawn(),
      async start () {
        if (region.process.exitCode !== null || region.process.signalCode !== null) region.process = spawn()
        await program.started(region)
      },
      signal: which => { region.process.kill(which) },
      tell: what => { region.process.send({ what }) },
      async health () {
        const answer = onceEvent(region.process, 'message')
        region.process.send({ what: 'health' })
        return (await answer)[0] as Awaited<ReturnType<Region['health']>>
      },
      async cable (state) {
        await hub.exec(['ip', 'link', 'set', name, ...(state === 'in' ? ['master', 'br0', 'up'] : state === 'out' ? ['nomaster'] : ['down'])])
      }
    }
    return region
  }))
  await Promise.all(regions.map(region => region.start()))
  const client = await join('client', 99)
  client.node(local('client'), urls).on('message', (answer: Answer) => { answers.push(answer) })

  return {
    regions,
    client,
    answers,
    stretches,
    late: ms => { relay.send({ late: ms }) },
    holder: (since = 0, timeout = 15_000) => until(() => {
      const last = urls.map(one => answers.findLast(({ url, at }) => url === one && at > since)?.by)
      return last.every(by => by === last[0]) ? regions.find(({ name }) => name === last[0]) : undefined
    }, { timeout, interval: 5, what: 'one region answers at every address' }),
    outage: (since, by) => Math.max(...urls.map(one => {
      const own = answers.filter(({ url }) => url === one)
      const last = own.findLast(answer => answer.at <= since && answer.by !== undefined)?.at ?? since
      let gap = 0
      let before = last
      for (const answer of own) {
        if (answer.at <= since || answer.by === undefined) continue
        gap = Math.max(gap, answer.at - before)
        before = answer.at
        if (answer.by === by) break
      }
      return gap
    })),
    overlaps: () => stretches.flatMap((one, index) => stretches.slice(index + 1).flatMap(other => {
      const shared = Math.min(one.until ?? Infinity, other.until ?? Infinity) - Math.max(one.from, other.from)
      return one.by !== other.by && shared > 0 ? [`${one.by} and ${other.by} for ${Math.round(shared)} ms`] : []
    })),
    close: () => network.destroy()
  }
}
