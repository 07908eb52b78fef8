/** `npm run test:ha`: breaks every part of a running cluster in turn under a steady load, and tells what each fault cost. Root; Debian's postgresql, haproxy and keepalived. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reasonOf } from '../../core/errors.ts'
import { createNetwork } from '../kit/network.ts'
import { createServers } from '../kit/servers.ts'
import { until } from '../kit/wait.ts'
import { ensurePackages, packages } from '../lab/packages.ts'
import { createSwitch, startCluster, vip, type Cluster } from './cluster.ts'
import { faults, type Fault, type Scene } from './faults.ts'
import { startFront } from './front.ts'
import { compareFacts, markdown, readsFailed, requestsFailed, shortcomings, table, type Outcome, type Stored } from './outcome.ts'
import { page } from './page.ts'
import { watch, whole } from './watch.ts'

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false }, only: { type: 'string' }, keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
if (options.help) {
  process.stdout.write(`npm run test:ha -- [--json] [--only <text>] [--keep]\n\n--json   one object per fault on standard output instead of the table\n--only   the faults whose name has this text\n--keep   leave the logs where they are\n\n${faults.map(({ name }) => `  ${name}\n`).join('')}`)
  process.exit(0)
}
const began = performance.now()
const say = (line: string): void => { process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`) }

/** Losses so far, since each fault is charged with what it added. */
interface Losses { readonly writes: number, readonly facts: number, readonly doubled: number }

/** Compares what was promised with what is there. Facts are given half a minute to arrive. */
async function account (cluster: Cluster): Promise<Losses> {
  const promised = await cluster.promised()
  const region = `http://${cluster.regions[0]?.address}:5240/api/v1`
  const stored = async () => (await cluster.ask<{ items: Stored[] }>(`${region}/traffic/facts`)).body.items
  const arrived = async (): Promise<Stored[] | undefined> => { const now = await stored(); return promised.every(({ rack, life, last }) => now.some(row => row.rack === rack && row.life === life && row.last >= last)) ? now : undefined }
  const facts = compareFacts(promised, await until(arrived, { timeout: 30_000, interval: 250, what: 'the facts to arrive' }).catch(stored))
  const acknowledged = cluster.writes.filter(write => write.acknowledged).map(({ name }) => name)
  const there = new Set<string>()
  for (let path: string | null = '/network/fabrics?limit=500'; path !== null;) {
    const { body }: { body: { items: { name: string }[], next?: string | null } } = await cluster.ask(`${region}${path}`)
    for (const { name } of body.items) there.add(name)
    path = body.next == null ? null : `/network/fabrics?limit=500&after=${body.next}`
  }
  return { writes: acknowledged.filter(name => !there.has(name)).length, facts: facts.lost, doubled: facts.doubled }
}

const seconds = (ms: number): number => Math.round(ms / 10) / 100

async function suffer (scene: Scene, fault: Fault, before: Losses): Promise<{ readonly outcome: Outcome, readonly losses: Losses }> {
  const { cluster } = scene
  await whole(cluster)
  await until(() => cluster.writes.some(write => write.acknowledged && write.done > Date.now() - 500), { what: 'writes to go through' })
  const failedCalls = async () => (await Promise.all(cluster.racks.map(async rack => (await cluster.ask<{ calls: { failed: number } }>(`http://${rack.address}:5248/traffic`).catch(() => undefined))?.body.calls.failed ?? 0))).reduce((sum, count) => sum + count, 0)
  const callsBefore = await failedCalls()
  const standing = await fault.begin(scene)
  const { healAfter, at: begin } = standing
  let broken = standing.broken
  const healing = healAfter === undefined ? undefined : new Promise(resolve => { setTimeout(resolve, healAfter) }).then(async () => { await standing.heal(); broken = [] })
  const seen = await watch(cluster, begin, () => [...cluster.regions, ...cluster.racks].filter(member => !broken.includes(member)), sample => standing.noticed(sample))
  await (healing ?? standing.heal())
  await whole(cluster)
  const end = Date.now()
  const reads = cluster.reads.filter(({ at }) => at >= begin && at < end)
  const writes = cluster.writes.filter(({ done }) => done >= begin && done < end)
  const losses = await account(cluster)
  const calls = Math.max(0, await failedCalls() - callsBefore)
  const dark = standing.back === undefined ? 0 : standing.back() - begin
  const gone = Math.max(healAfter ?? 0, dark)
  const outcome: Outcome = {
    fault: fault.name,
    detectSeconds: seconds(seen.noticed),
    recoverSeconds: seconds(Math.max(0, seen.recovered - gone)),
    readsFailedSeconds: seconds(Math.max(0, readsFailed(reads, end) - dark)),
    requestsFailed: requestsFailed(reads, writes) + calls,
    lostWrites: losses.writes - before.writes,
    lostFacts: losses.facts - before.facts,
    doubledFacts: losses.doubled - before.doubled
  }
  say(`${fault.name}: noticed ${outcome.detectSeconds} s, recovered ${outcome.recoverSeconds} s, reads failed ${outcome.readsFailedSeconds} s, ${outcome.requestsFailed} requests failed${seen.last === '' ? '' : ` (last trouble: ${seen.last})`}`)
  return { outcome, losses }
}

await ensurePackages([...packages.network, ...packages.database, ...packages.frontdoor], say)
const directory = await mkdtemp(join(tmpdir(), 'bedplate-ha-'))
const network = await createNetwork()
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted.abort() })
let servers: Awaited<ReturnType<typeof createServers>> | undefined
let cluster: Cluster | undefined
let front: Awaited<ReturnType<typeof startFront>> | undefined
const outcomes: Outcome[] = []
let failures: string[] = []
try {
  const plug = await createSwitch(network)
  const [first, second] = [await plug('pg-a', 31), await plug('pg-b', 32)]
  say('starting the database pair')
  servers = await createServers()
  const primary = await servers.primary('pg_a', { namespace: first.namespace.name, address: '10.77.0.31' })
  const standby = await servers.standby('pg_b', primary, { namespace: second.namespace.name, address: '10.77.0.32' })
  await primary.synchronous(standby.name)
  cluster = await startCluster({ network, plug, directory, say, database: { hosts: [primary.at, standby.at], name: servers.database, user: servers.user, password: servers.password } })
  say('starting haproxy and keepalived beside each region')
  front = await startFront(cluster, directory)
  cluster.load(`http://${vip}`)
  const scene: Scene = { cluster, front, pair: { primary, standby } }
  await whole(cluster)
  say('the cluster is whole, the load is on')
  let losses: Losses = { writes: 0, facts: 0, doubled: 0 }
  for (const fault of faults) {
    if (options.only !== undefined && !fault.name.includes(options.only)) continue
    if (interrupted.signal.aborted) throw new Error('interrupted')
    const done = await suffer(scene, fault, losses)
    losses = done.losses
    outcomes.push(done.outcome)
    if (options.json) process.stdout.write(`${JSON.stringify(done.outcome)}\n`)
  }
  await cluster.unload()
  await whole(cluster)
  const last = await account(cluster)
  const given = cluster.writes.filter(write => !write.acknowledged)
  failures = [...outcomes.flatMap(outcome => shortcomings(outcome)), ...given.length > 0 ? [`${given.length} writes were given up: ${given[0]?.failures.at(-1)}`] : [], ...last.writes + last.facts + last.doubled > 0 ? [`at the end: ${last.writes} writes lost, ${last.facts} facts lost, ${last.doubled} doubled`] : []]
  say(`${cluster.reads.length} reads, ${cluster.writes.length} writes, ${(await cluster.promised()).reduce((sum, { last: count }) => sum + count, 0)} facts`)
} catch (error) {
  failures.push(reasonOf(error))
} finally {
  await front?.close().catch((error: unknown) => { say(reasonOf(error)) })
  await cluster?.close().catch((error: unknown) => { say(reasonOf(error)) })
  await servers?.destroy()
  await network.destroy()
  if (!options.keep && failures.length === 0) await rm(directory, { recursive: true, force: true })
  else say(`logs: ${directory}`)
}
(options.json ? process.stderr : process.stdout).write(`${table(outcomes)}\n`)
if (options.only === undefined && outcomes.length === faults.length) await writeFile(new URL('../../docs/availability.md', import.meta.url), page(markdown(outcomes)))
for (const failure of failures) process.stderr.write(`✗ ${failure}\n`)
process.exit(failures.length === 0 && outcomes.length > 0 ? 0 : 1)
