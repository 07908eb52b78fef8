/** Three regions on one database, each a namespace with HAProxy and keepalived as the CLI prints them, and a client on the switch between. */
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plugins } from '../../core/plugins.ts'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { holds, print, requireFrontDoor, startHaproxy, startKeepalived } from '../kit/frontdoor.ts'
import type { Haproxy, Program } from '../kit/frontdoor.ts'
import { createNetwork, requirePrograms } from '../kit/network.ts'
import type { Namespace, TestNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import { createController } from '../lab/controller.ts'
import type { ControllerProcess } from '../lab/controller.ts'
import type { Read } from './reader.ts'

export const vip = '10.78.0.10'
export interface Node { readonly name: string, readonly namespace: Namespace, readonly folder: string, readonly daemon: ControllerProcess, door: string, vrrp: string, haproxy: Haproxy, keepalived: Program }

let network: TestNetwork
export let middle: Namespace // the switch, and the client on it
export let db: TestDatabase
let folder: string
export let token: string
export const nodes: Node[] = []
export const wait = { timeout: 30_000, interval: 50 }

/** Runs in a namespace, as the client there does. */
export const get = async (path: string, args: readonly string[] = []) => await middle.exec(['curl', '-s', '-m', '3', '-H', `Authorization: Bearer ${token}`, ...args, `http://${vip}${path}`])
export const holders = async (): Promise<Node[]> => {
  const held = await Promise.all(nodes.map(({ namespace }) => holds(namespace, vip)))
  return nodes.filter((_, index) => held[index])
}
export const oneHolder = () => until(async () => { const [one, another] = await holders(); return another === undefined ? one : undefined }, { ...wait, what: 'one node to hold the address' })
export const printed = async (node: Node, line: readonly string[]) => await print(node.namespace, ['ha', ...line], { url: 'http://127.0.0.1:5240', token })
export const startDoor = async (node: Node) => { node.haproxy = await startHaproxy(node.namespace, node.folder, node.door) }
export const startVrrp = async (node: Node) => { node.keepalived = await startKeepalived(node.namespace, node.folder, node.vrrp) }
export const allUp = () => until(async () => (await Promise.all(nodes.map(({ haproxy }) => haproxy.servers()))).every(servers => Object.values(servers).every(state => state === 'UP')), { ...wait, what: 'every front door to see every region ready' })

/** What readers at the front door see while `work` goes on, until its promise and twenty more answers from whoever is to answer then. */
export async function reading (work: () => Promise<unknown>): Promise<{ readonly reads: readonly Read[], readonly failing: number, readonly slowest: number, readonly why: readonly string[] }> {
  const reads: Read[] = []
  const reader = middle.node(join(import.meta.dirname, 'reader.ts'), [`http://${vip}/api/v1/status`, token])
  reader.on('message', read => { reads.push(read as Read) })
  try {
    await until(() => reads.filter(({ ok }) => ok).length >= 5, { ...wait, what: 'the reader to read' })
    await work()
    const from = Date.now()
    await until(() => reads.filter(({ ok, began }) => ok && began > from).length >= 20, { ...wait, what: 'reads to succeed again' })
  } finally { reader.disconnect() }
  const failed = reads.filter(({ ok }) => !ok)
  const times = failed.map(({ began }) => began)
  return { reads, failing: failed.length === 0 ? 0 : (Math.max(...times) - Math.min(...times)) / 1000, slowest: Math.max(...reads.map(({ began, ended }) => ended - began)), why: [...new Set(failed.map(({ why }) => why))] }
}
/** What keepalived said, for a test that fails. */
export const logs = () => nodes.map(({ name, keepalived }) => `${name}: ${keepalived.output().slice(-3000)}`).join('\n')
export const say = (what: string, { reads, failing, slowest, why }: Awaited<ReturnType<typeof reading>>) =>
  console.log(`${what}: ${reads.filter(({ ok }) => !ok).length} of ${reads.length} reads failed, within ${failing.toFixed(2)} s; the slowest took ${slowest} ms. ${why.join(' | ')}`)

/** Takes some 10 s; every region is ready afterwards, and one has the address. */
export async function openHouse (): Promise<void> {
  requireFrontDoor()
  requirePrograms({ openssl: 'openssl' })
  network = await createNetwork()
  folder = await mkdtemp(join(tmpdir(), 'bedplate-door-'))
  await chmod(folder, 0o755)
  db = await testDatabase({ migrations: plugins.filter(({ manifest }) => manifest.name === 'access').map(({ manifest }) => manifest) })
  middle = await network.namespace()
  await network.bridge(middle, 'br0', ['10.78.0.1/24'])
  for (const number of [1, 2, 3]) {
    const name = `region-${number}`
    const namespace = await network.namespace()
    await network.cable({ namespace, name: 'eth0', addresses: [`10.78.0.1${number}/24`] }, { namespace: middle, name: name, bridge: 'br0' })
    const dataDirectory = join(folder, `${name}.data`)
    const daemon = await createController({
      name, namespace: namespace.name, directory: folder, died: (name, code) => console.log(`${name} ended with ${code}`),
      config: {
        roles: ['region'], hostname: name, dataDirectory, rpc: { advertise: [`10.78.0.1${number}`] }, without: plugins.map(({ manifest }) => manifest.name).filter(name => name !== 'access'),
        database: { hosts: [server().host], name: db.options.database, user: db.options.user }
      }
    })
    const [first] = nodes
    if (first !== undefined) {
      await mkdir(dataDirectory, { recursive: true })
      await copyFile(join(folder, `${first.name}.data`, 'secret.key'), join(dataDirectory, 'secret.key'))
    }
    daemon.start()
    await until(async () => (await namespace.exec(['curl', '-sf', '-m', '1', 'http://127.0.0.1:5240/readyz'])).code === 0, { ...wait, timeout: 60_000, what: `${name} to be ready` })
    if (first === undefined) token = (await readFile(join(dataDirectory, 'admin.token'), 'utf8')).trim()
    nodes.push({ name, namespace, folder: join(folder, name), daemon } as Node)
  }
  const [first] = nodes
  if (first === undefined) return
  await until(async () => (JSON.parse(await print(first.namespace, ['controller', 'list', '-o', 'json'], { url: 'http://127.0.0.1:5240', token })) as { httpPort: number | null }[]).filter(({ httpPort }) => httpPort === 5240).length === 3, { ...wait, what: 'the regions to have told where they are' })
  for (const node of nodes) {
    node.door = await printed(node, ['haproxy', '--vip', `${vip}/24`, '--run-directory', node.folder])
    node.vrrp = await printed(node, ['keepalived', '--vip', `${vip}/24`, '--node', node.name]) // the interface is found: it is the node itself
    await startDoor(node)
    await startVrrp(node)
  }
  await oneHolder()
  await allUp()
}

export async function closeHouse (): Promise<void> {
  for (const node of nodes) {
    node.daemon.signal('SIGCONT')
    await node.keepalived?.stop()
    await node.haproxy?.stop()
    await node.daemon.stop()
  }
  await network.destroy()
  await db.drop()
  await rm(folder, { recursive: true, force: true })
}
