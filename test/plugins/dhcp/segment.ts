/** A segment for tests with real clients: a switch, racks and clients, each in a namespace of its own. */
import type { ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageName, option } from '../../../plugins/dhcp/options/codes.ts'
import type { MessageType } from '../../../plugins/dhcp/options/codes.ts'
import { readU8 } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import type { Answer, SyncParams, SyncResult, WantedEntry, WantedKey, Wish } from '../../../plugins/dhcp/manifest.ts'
import { createNetwork } from '../../kit/network.ts'
import type { Namespace, TestNetwork } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import type { Down, Up } from './rack-process.ts'

/** What stands in for the region: everything beyond the RPC boundary. */
export interface FakeRegion {
  bind(wishes: readonly Wish[]): Promise<readonly Answer[]> | readonly Answer[]
  grant(subnet: string): Promise<readonly string[]> | readonly string[]
  /** By default all is stored, and nothing set aside. */
  sync?(params: SyncParams): Promise<SyncResult> | SyncResult
  report?(kind: string, body: { address: string, subnet: string, client: string }): void
}
export interface RackProcess {
  readonly namespace: Namespace
  readonly child: ChildProcess
  apply(put: readonly WantedEntry[], whole?: boolean, remove?: readonly WantedKey[]): Promise<void>
  ask(type: 'start' | 'stop' | 'reconcile' | 'health' | 'health6' | 'healths' | 'metrics'): Promise<unknown>
}
export interface TestClient {
  readonly namespace: Namespace
  /** One line per event, as the client's own script was told: `bound 192.0.2.100 …`. */
  events(): Promise<string[]>
  udhcpc(...args: string[]): ChildProcess
  dhclient(...args: string[]): ChildProcess
  /** A port 68 that sends and hears what the test wants. */
  raw(): Promise<RawClient>
}
export interface RawClient {
  send(packet: Packet | Buffer, address?: string, port?: number): void
  readonly heard: readonly Packet[]
  /** Sends, and waits for a reply of that type to it. */
  exchange(packet: Packet, type: MessageType): Promise<Packet>
}
export interface TestSegment {
  readonly network: TestNetwork
  readonly folder: string
  readonly wire: Namespace // the switch, `br0`
  /** Starts a rack process, in a namespace of its own or in one that is there. */
  rack(address: string, region: FakeRegion, options?: { namespace?: Namespace, as?: readonly string[], config?: object }): Promise<RackProcess>
  client(mac?: string): Promise<TestClient>
  destroy(): Promise<void>
}

const script = `#!/bin/sh
# Told by udhcpc in $1 and by dhclient in $reason.
event=\${1:-$reason}; address=\${ip:-$new_ip_address}
case "$event" in
  bound|renew|BOUND|RENEW|REBIND|REBOOT) ip addr flush dev eth0; ip addr add "$address/24" dev eth0;;
  deconfig|EXPIRE|RELEASE|STOP) ip addr flush dev eth0;;
esac
echo "$event $address server=\${serverid:-$new_dhcp_server_identifier} mask=\${subnet:-$new_subnet_mask} router=\${router:-$new_routers} dns=\${dns:-$new_domain_name_servers} hostname=\${hostname:-$new_host_name}" >> "$LOG"
`

const settled = ({ last }: SyncParams): SyncResult => ({ standing: '1', autonomySeconds: 3600, through: last, refused: [], reserves: [], surplus: [] })

export async function createSegment (): Promise<TestSegment> {
  const network = await createNetwork()
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-dhcp-'))
  await writeFile(join(folder, 'script'), script, { mode: 0o755 })
  const wire = await network.namespace()
  await network.bridge(wire, 'br0')
  let ports = 0
  const plug = async (addresses: readonly string[], mac?: string) => {
    const namespace = await network.namespace()
    await network.cable({ namespace, name: 'eth0', addresses, ...(mac === undefined ? {} : { mac }) }, { namespace: wire, name: `port${++ports}`, bridge: 'br0' })
    return namespace
  }
  return {
    network,
    folder,
    wire,
    async rack (address, region, options = {}) {
      const namespace = options.namespace ?? await plug([address])
      const file = join(import.meta.dirname, 'rack-process.ts')
      const directory = join(folder, `rack-${namespace.name}`)
      await mkdir(directory, { recursive: true })
      const args = [JSON.stringify(options.config ?? {}), directory] // its journal stays with the namespace: a rack that starts again finds it
      const child = options.as === undefined ? namespace.node(file, args) : namespace.spawn([...options.as, process.execPath, file, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      const done = new Map<string, unknown[]>()
      child.on('message', (message: Up) => {
        if (message.type === 'done') done.set(message.of, [...done.get(message.of) ?? [], message.value])
        else if (message.type === 'report') region.report?.(message.kind, message.body as { address: string, subnet: string, client: string })
        else {
          const answer = (body: Pick<Extract<Down, { type: 'answer' }>, 'result' | 'failure'>) => { if (child.connected) child.send({ type: 'answer', id: message.id, ...body } satisfies Down, () => {}) } // it may be killed between the question and the answer
          const { id: _, method, params } = message
          const call = async () => method === 'bind' ? { answers: await region.bind((params as { wishes: Wish[] }).wishes) } : method === 'sync' ? await region.sync?.(params as SyncParams) ?? settled(params as SyncParams) : { addresses: await region.grant((params as { subnet: string }).subnet) }
          call().then(result => { answer({ result }) }, (error: unknown) => { answer({ failure: String(error) }) })
        }
      })
      await until(() => done.has('ready'), { what: 'the rack process runs', timeout: 15_000 })
      const act = async (message: Down) => {
        done.delete(message.type)
        child.send(message, () => {}) // a rack that was killed answers nothing
        return (await until(() => done.get(message.type) ?? (child.connected ? undefined : [undefined]), { what: `the rack has done: ${message.type}` }))[0]
      }
      return { namespace, child, apply: async (put, whole = false, remove = []) => { await act({ type: 'apply', change: { put, remove }, whole }) }, ask: type => act({ type }) }
    },
    async client (mac) {
      const namespace = await plug([], mac)
      const log = join(folder, `${namespace.name}.log`)
      await writeFile(log, '')
      const env = { ...process.env, LOG: log }
      return {
        namespace,
        events: async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean),
        udhcpc: (...args) => namespace.spawn(['busybox', 'udhcpc', '-f', '-i', 'eth0', '-s', join(folder, 'script'), '-t', '10', '-T', '1', ...args], { env, stdio: 'ignore' }),
        async raw () {
          const child = namespace.node(join(import.meta.dirname, 'client-process.ts'))
          const heard: Packet[] = []
          let ready = false
          child.on('message', (message: string) => { if (message === 'ready') ready = true; else heard.push(decode(Buffer.from(message, 'hex'))) })
          await until(() => ready, { what: 'the raw client runs', timeout: 15_000 })
          const send = (packet: Packet | Buffer, address = '255.255.255.255', port = 67) => { child.send({ data: (Buffer.isBuffer(packet) ? packet : encode(packet as Packet)).toString('hex'), address, port }) }
          return {
            send,
            heard,
            async exchange (packet, type) {
              const before = heard.length
              send(packet)
              return await until(() => heard.slice(before).find(reply => reply.xid === packet.xid && messageName(readU8(reply.options.get(option.messageType))) === type), { what: `a reply ${type}` })
            }
          }
        },
        dhclient: (...args) => namespace.spawn(['dhclient', '-d', '-sf', join(folder, 'script'), '-e', `LOG=${log}`, '-lf', join(folder, `${namespace.name}.leases`), '-pf', join(folder, `${namespace.name}.pid`), '-cf', '/dev/null', ...args, 'eth0'], { env, stdio: 'ignore' })
      }
    },
    async destroy () {
      await network.destroy()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** A region that keeps bindings in memory, as the real one keeps them in PostgreSQL. */
export function memoryRegion (options: { readonly pool?: readonly string[], readonly seconds?: number } = {}): FakeRegion & { readonly bindings: Map<string, Wish>, readonly reports: { kind: string, address: string, client: string }[], down: boolean, readonly batches: number[] } {
  const bindings = new Map<string, Wish>()
  let numbers = 0
  const free = [...options.pool ?? Array.from({ length: 50 }, (_, index) => `192.0.2.${100 + index}`)]
  const region = {
    bindings,
    reports: [] as { kind: string, address: string, client: string }[],
    batches: [] as number[],
    down: false,
    bind (wishes: readonly Wish[]) {
      if (region.down) throw new Error('no region answers')
      region.batches.push(wishes.length)
      return wishes.map((wish): Answer => {
        const holder = bindings.get(wish.address)
        if (holder !== undefined && holder.client !== wish.client) return { stored: false, expires: null, number: null, reason: 'taken', quiet: false }
        bindings.set(wish.address, wish)
        return { stored: true, expires: new Date(Date.now() + wish.seconds * 1000).toISOString(), number: String(++numbers), reason: null, quiet: false }
      })
    },
    grant: () => free.splice(0, 8),
    sync (params: SyncParams) {
      if (region.down) throw new Error('no region answers')
      return settled(params)
    },
    report (kind: string, { address, client }: { address: string, client: string }) {
      region.reports.push({ kind, address, client })
      bindings.delete(address)
    }
  }
  return region
}

/** The wanted entry of the segment these tests run on. */
export const segmentEntry = (address: string, changes: { rank?: number, leaseSeconds?: number, interface?: string } = {}): WantedEntry => ({
  kind: 'segment',
  id: '1',
  value: {
    interface: changes.interface ?? 'eth0', address, rank: changes.rank ?? 0, mtu: 1500,
    subnets: [{ id: 's1', cidr: '192.0.2.0/24', gateway: '192.0.2.1', dnsServers: ['192.0.2.53'], dynamic: [{ start: '192.0.2.100', end: '192.0.2.199' }], leaseSeconds: changes.leaseSeconds ?? 600 }]
  }
})
