/** Racks and a client, each in a namespace of its own, on two VLANs, each a bridge; who has the boot addresses is seen from outside: by a client's requests and by samplers beside each rack. */
import type { ChildProcess } from 'node:child_process'
import type { FloatingEntry } from '../../../../plugins/boot/manifest.ts'
import { createNetwork } from '../../../kit/network.ts'
import type { Namespace, TestNetwork } from '../../../kit/network.ts'
import { onceEvent, until } from '../../../kit/wait.ts'
import type { Told } from './rack.ts'

export interface Answer { readonly url: string, readonly at: number, readonly by?: string }
export interface Stretch { readonly by: string, readonly address: string, readonly from: number, until?: number }
export interface Word { readonly of: string, readonly health: { readonly state: string, readonly reason?: string }, readonly held: readonly string[] }
export const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
/** On one VLAN both families; on the other an address whose virtual router has the same number. */
export const addresses = ['192.0.2.20', '2001:db8::14', '198.51.100.20'] as const
const url = (address: string): string => `http://${address.includes(':') ? `[${address}]` : address}/`

export interface Rack {
  readonly name: string, readonly number: number, readonly mac: string, readonly namespace: Namespace
  process: ChildProcess
  tell(told: Told): Promise<Word>
  /** Another process, which serves the same. */
  start(): Promise<void>
  /** Its cables: out of the bridges, with their carriers; or without. */
  cable(state: 'in' | 'out' | 'unplugged'): Promise<void>
  /** Whether any of the addresses is on its interfaces. */
  has(): boolean
}
export interface Room {
  readonly racks: readonly Rack[], readonly client: Namespace, readonly answers: readonly Answer[], readonly stretches: Stretch[]
  entries(rack: Rack, change?: (entry: FloatingEntry) => FloatingEntry): readonly (readonly [string, FloatingEntry])[]
  /** The rack that answers at an address since `since`. */
  holder(address: string, since?: number): Promise<Rack>
  /** The longest time (ms) within which an address gave no answer, from `since` on. */
  outage(address: string, since: number): number
  /** Stretches of two racks that overlap by more than `ms`. */
  overlaps(ms?: number): readonly string[]
  close(): Promise<void>
}

export async function createRoom (count: number): Promise<Room> {
  const network = await createNetwork()
  try { return await furnish(network, count) } catch (error) { await network.destroy(); throw error }
}

async function furnish (network: TestNetwork, count: number): Promise<Room> {
  const hub = await network.namespace()
  await network.bridge(hub, 'br0')
  await network.bridge(hub, 'br1')
  const macOf = (number: number): string => `02:00:00:00:00:${String(number).padStart(2, '0')}`
  const join = async (name: string, number: number): Promise<Namespace> => {
    const namespace = await network.namespace()
    await namespace.exec(['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0'])
    await network.cable({ namespace, name: 'eth0', addresses: [`192.0.2.${number}/24`, `2001:db8::${number}/64`], mac: macOf(number) }, { namespace: hub, name, bridge: 'br0' })
    await network.cable({ namespace, name: 'eth1', addresses: [`198.51.100.${number}/24`], mac: macOf(number) }, { namespace: hub, name: `${name}-1`, bridge: 'br1' })
    return namespace
  }
  const answers: Answer[] = []
  const stretches: Stretch[] = []
  const racks: Rack[] = []
  for (let index = 0; index < count; index++) racks.push(await makeRack(index))
  async function makeRack (index: number): Promise<Rack> {
    const [name, number] = [`rack-${'abc'[index]}`, 2 + index]
    const namespace = await join(name, number)
    namespace.node(`${import.meta.dirname}/watcher.ts`, [...addresses]).on('message', (seen: { readonly address?: string, readonly from?: number, readonly until?: number }) => {
      const { address, from } = seen
      if (address === undefined || from === undefined) return
      const open = stretches.find(one => one.by === name && one.address === address && one.from === from)
      if (open === undefined) stretches.push({ by: name, address, from })
      else if (seen.until !== undefined) open.until = seen.until
    })
    const spawn = (): ChildProcess => {
      const child = namespace.node(`${import.meta.dirname}/rack.ts`, [name, process.env.FLOATING_LOG ?? 'silent'])
      ready = onceEvent(child, 'message')
      return child
    }
    let ready: Promise<unknown>
    const rack: Rack = {
      name, number, mac: macOf(number), namespace, process: spawn(),
      tell: told => new Promise(resolve => {
        const heard = (word: Word): void => { if (word.of === told.what) { rack.process.off('message', heard); resolve(word) } }
        rack.process.on('message', heard)
        rack.process.send(told)
      }),
      async start () {
        if (rack.process.exitCode !== null || rack.process.signalCode !== null) rack.process = spawn()
        await ready
        await rack.tell({ what: 'want', entries: room.entries(rack) })
        await rack.tell({ what: 'start' })
      },
      async cable (state) { await Promise.all([[name, 'br0'], [`${name}-1`, 'br1']].map(([end = '', bridge = '']) => hub.exec(['ip', 'link', 'set', end, ...(state === 'in' ? ['master', bridge, 'up'] : state === 'out' ? ['nomaster'] : ['down'])]))) },
      has: () => stretches.some(one => one.by === name && one.until === undefined)
    }
    return rack
  }
  const client = await join('client', 99)
  client.node(`${import.meta.dirname}/../../../vip/client.ts`, addresses.map(url)).on('message', (answer: Answer) => { answers.push(answer) })

  const room: Room = {
    racks, client, answers, stretches,
    entries (rack, change = entry => entry) {
      const peers = racks.filter(one => one !== rack).map(({ name, mac }) => ({ rack: name, mac }))
      const about = { rank: racks.indexOf(rack), peers }
      return [
        ['1', change({ ...about, interface: 'eth0', addresses: [{ address: addresses[0], prefix: 24, vrid: 20 }, { address: addresses[1], prefix: 64, vrid: 20 }] })],
        ['2', change({ ...about, interface: 'eth1', addresses: [{ address: addresses[2], prefix: 24, vrid: 20 }] })]
      ]
    },
    holder: (address, since = 0) => until(() => {
      const last = answers.findLast(answer => answer.url === url(address) && answer.at > since)?.by
      return racks.find(({ name }) => name === last)
    }, { interval: 5, what: `a rack answers at ${address}` }),
    outage (address, since) {
      const own = answers.filter(answer => answer.url === url(address) && answer.by !== undefined)
      let before = own.findLast(({ at }) => at <= since)?.at ?? since
      let gap = 0
      for (const { at } of own) { if (at > since) { gap = Math.max(gap, at - before); before = at } }
      return gap
    },
    overlaps: (ms = 0) => stretches.flatMap((one, index) => stretches.slice(index + 1).flatMap(other => {
      const shared = Math.min(one.until ?? Infinity, other.until ?? Infinity) - Math.max(one.from, other.from)
      return one.address === other.address && one.by !== other.by && shared > ms ? [`${one.address} on ${one.by} and ${other.by} for ${Math.round(shared)} ms`] : []
    })),
    close: () => network.destroy()
  }
  await Promise.all(racks.map(rack => rack.start()))
  return room
}
