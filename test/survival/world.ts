/** The world of the survival run: a region and two racks, each in a namespace of its own, the segment both racks serve, and one virtual machine with its BMC in it. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bootOwner } from '../../plugins/boot/manifest.ts'
import { createSwitch } from '../ha/cluster.ts'
import type { RegionStatus } from '../ha/watch.ts'
import { createNetwork, type Namespace } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import { createApi, type Api } from '../lab/api.ts'
import { createController, type ControllerProcess } from '../lab/controller.ts'
import { account, bedplate, startHypervisor, waitReady } from '../lab/lab.ts'
import { createRelay } from '../lab/relay.ts'
import { createSshKey } from '../lab/ssh.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import { watchCable, type Seen } from './cable.ts'
import { roots, type Root } from './point.ts'

const run = promisify(execFile)
const prefix = '10.99.0.'
const regionAddress = '10.77.0.11'
/** On the segment, of the place where the machine and its BMC are. */
export const host = `${prefix}10`
export const machine = { name: 'survivor', mac: '52:54:00:be:d0:01' } as const
export const bmc = `redfish+http://${account.user}:${account.password}@${host}:8001/redfish/v1/Systems/1`

/** The same files twice: what differs is how a system that runs from memory gets its root. */
export const imageName = (root: Root): string => `debian-${root}`

export interface Rack {
  readonly name: string
  readonly namespace: Namespace
  readonly process: ControllerProcess
  /** The controller's id, once it was linked. */
  id(): Promise<string>
  /** Takes its cable out of the machines' segment, and puts it back. */
  unplug(): Promise<void>
  plug(): Promise<void>
  /** SIGKILL to the daemon alone; resolves when it and what it had started are gone, rejects when some of that outlives it by 10 s. */
  kill(): Promise<void>
  /** Stops the daemon and everything it started as a host does that hangs, and lets them go on. */
  pause(): Promise<void>
  resume(): Promise<void>
}
export interface World {
  readonly directory: string
  readonly api: Api
  readonly region: ControllerProcess
  /** Ranked: the first is the primary. */
  readonly racks: readonly Rack[]
  /** The segment's namespace. */
  readonly wire: Namespace
  readonly key: { readonly privateFile: string, readonly publicKey: string }
  /** Tells of every frame with content between a rack and the machine from now on. */
  watch(heard: (seen: Seen) => void): Promise<void>
  /** Resolves when everything is up and linked, and both racks serve the segment. */
  whole(): Promise<void>
}
export interface WorldOptions {
  readonly firmware: Firmware
  /** The folder of the image to import; without it the world is what `from` holds. */
  readonly image?: string
  /** A folder as `keep` made it. */
  readonly from?: string
  say(line: string): void
  /** What QEMU and the BMC did. */
  hear(line: string): void
}
/** What has to be undone, whether the world was finished or not. */
export interface Remains { readonly undo: (() => Promise<unknown>)[], directory?: string }

/** Stops everything; the directory stays. */
export async function halt ({ undo }: Remains, say: (line: string) => void): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => { say(`while stopping: ${String(error)}`) })
}
/** Stops everything and leaves nothing behind. */
export async function clean (remains: Remains, say: (line: string) => void): Promise<void> {
  await halt(remains, say)
  if (remains.directory !== undefined) await rm(remains.directory, { recursive: true, force: true })
}

/** What makes a world of the same state again: disks, databases, keys, identities. `names` are those within the folder. */
const lasting = ['region.data', 'rack-a.data', 'rack-b.data', 'machine', 'key']
/** Copies a halted world's state; ownership is kept, for the database server insists on its own. */
export async function copyState (from: string, to: string): Promise<void> {
  for (const name of lasting) await run('cp', ['-a', '--reflink=auto', join(from, name), to])
}

/** Builds it. What `remains` says is to be cleaned by the caller, also when this rejects or is given up. */
export async function createWorld (remains: Remains, o: WorldOptions): Promise<World> {
  const { undo } = remains
  const { say } = o
  const directory = remains.directory = await mkdtemp(join(tmpdir(), 'bedplate-survival-'))
  await chmod(directory, 0o755) // the database server runs as another user and has to get through
  const keys = join(directory, 'key')
  if (o.from !== undefined) await copyState(o.from, directory)
  const key = o.from === undefined ? (await run('mkdir', [keys]), await createSshKey(keys)) : { privateFile: join(keys, 'id_ed25519'), publicKey: (await readFile(join(keys, 'id_ed25519.pub'), 'utf8')).trim() }

  const network = await createNetwork()
  undo.push(() => network.destroy())
  const plug = await createSwitch(network)
  const wire = await network.namespace()
  await network.bridge(wire, 'br0', [`${host}/24`])
  await network.tap(wire, 'tap0', 'br0')
  undo.push(await startHypervisor(wire.name, {
    account,
    machines: [{ ...machine, firmware: o.firmware, tap: 'tap0', directory: join(directory, 'machine'), memory: 1536, diskGiB: 6, bmc: { host, redfish: 8001 }, order: o.firmware === 'bios' ? 'network' : 'disk' }]
  }, { hear: (_, line) => o.hear(line) }))

  const died = (name: string, code: number | null): void => { say(`${name} ended by itself with ${code}`) }
  const common = { log: { level: 'info' }, network: { scanSeconds: 2 } }
  const socket = join(directory, 'api.sock')
  const region = await createController({
    name: 'region', namespace: (await plug('region', 11)).namespace.name, directory, died,
    config: { ...common, roles: ['region'], hostname: 'region', dataDirectory: join(directory, 'region.data'), http: { socket }, rpc: { advertise: [regionAddress] } }
  })
  undo.push(() => region.stop())
  region.start()
  const relay = await createRelay(socket, 0)
  undo.push(() => relay.close())
  say(`the region is ready after ${(await waitReady(relay.url, region, 120)).toFixed(1)} s`)
  const token = (await readFile(join(directory, 'region.data', 'admin.token'), 'utf8')).trim()
  const api = createApi(relay.url, () => token)

  const racks: Rack[] = []
  for (const [index, letter] of ['a', 'b'].entries()) {
    const name = `rack-${letter}`
    const { namespace } = await plug(name, 21 + index)
    const cable = `s-${name}`
    await network.cable({ namespace, name: 'eth1', addresses: [`${prefix}${2 + index}/24`], mac: `02:be:d0:00:00:0${2 + index}` }, { namespace: wire, name: cable, bridge: 'br0' })
    const enrolment = o.from === undefined ? (await api.send<{ token: string }>('POST', '/api/v1/controllers/tokens', { roles: ['rack'] })).token : undefined
    const data = join(directory, `${name}.data`)
    const process = await createController({
      name, namespace: namespace.name, directory, died,
      config: { ...common, roles: ['rack'], hostname: name, dataDirectory: data, regions: [`${regionAddress}:5250`], ...enrolment === undefined ? {} : { enrolmentToken: enrolment } }
    })
    const pids = async (): Promise<number[]> => (await run('ip', ['netns', 'pids', namespace.name])).stdout.split('\n').filter(Boolean).map(Number)
    const signal = async (what: NodeJS.Signals): Promise<void> => { for (const pid of await pids()) globalThis.process.kill(pid, what) }
    const link = async (state: 'up' | 'down'): Promise<void> => { await run('ip', ['-n', wire.name, 'link', 'set', cable, state]) }
    undo.push(async () => { await signal('SIGCONT'); await process.stop() })
    process.start()
    racks.push({
      name, namespace, process, id: async () => (await readFile(join(data, 'controller.id'), 'utf8')).trim(),
      async kill () {
        await process.kill()
        await until(async () => (await pids()).length === 0, { timeout: 10_000, interval: 100, what: `what ${name} had started ends with it` })
      },
      unplug: () => link('down'), plug: () => link('up'), pause: () => signal('SIGSTOP'), resume: () => signal('SIGCONT')
    })
  }

  if (o.image !== undefined) await describe(api, racks, o.image, { BEDPLATE_URL: relay.url, BEDPLATE_TOKEN: token }, say)
  return {
    directory, api, region, racks, wire, key,
    watch: async heard => { for (const { name } of racks) await watchCable(wire, `s-${name}`, name, machine.mac, heard) },
    async whole () {
      const processes = [region, ...racks.map(({ process }) => process)]
      await until(async () => {
        if (processes.some(process => !process.running())) return true
        return (await api.get<RegionStatus>('/api/v1/status')).linkedRacks.length === racks.length
      }, { timeout: 120_000, interval: 200, what: 'both racks are linked' })
      const ended = processes.find(process => !process.running())
      if (ended !== undefined) throw new Error(`${ended.name} ended: ${(await readFile(ended.logFile, 'utf8')).trim().split('\n').at(-1)}`)
      for (const { name, namespace } of racks) {
        await until(async () => (await namespace.exec(['ss', '-Huln', 'sport', '=', ':67'])).stdout !== '', { timeout: 60_000, interval: 200, what: `${name} serves the segment` })
        await until(async () => (await readdir(join(directory, `${name}.data`, 'images'))).filter(file => /^[0-9a-f]{64}$/.test(file)).length >= 3, { timeout: 120_000, interval: 200, what: `${name} has the image's files` })
      }
      const vlan = (await api.get<{ items: { id: string }[] }>('/api/v1/network/vlans')).items[0]?.id ?? ''
      await until(async () => {
        const [boot] = (await api.get<{ items: { address: string }[] }>(`/api/v1/network/addresses?owner=${bootOwner(vlan)}`)).items
        const held = await Promise.all(racks.map(async ({ namespace }) => (await namespace.exec(['ip', '-o', 'address', 'show', 'dev', 'eth1'])).stdout.includes(` ${boot?.address}/`)))
        if (held.filter(Boolean).length !== 1) throw new Error(boot === undefined ? 'there is none' : `${boot.address} is on ${held.filter(Boolean).length} racks`)
        return true
      }, { timeout: 60_000, interval: 200, what: 'a rack has the boot address' })
    }
  }
}

/** Says what the segment is, and gives the installation its image. */
async function describe (api: Api, racks: readonly Rack[], image: string, env: Readonly<Record<string, string>>, say: (line: string) => void): Promise<void> {
  say('describing the segment')
  const vlan = (await api.get<{ items: { id: string }[] }>('/api/v1/network/vlans')).items[0]?.id
  const subnet = await api.send<{ id: string }>('POST', '/api/v1/network/subnets', { vlanId: vlan, name: 'segment', cidr: `${prefix}0/24`, gateway: host, dnsServers: [host] })
  await api.send('POST', '/api/v1/network/ranges', { subnetId: subnet.id, kind: 'reserved', start: `${prefix}1`, end: host, comment: 'racks and the host of the machine' })
  await api.send('POST', '/api/v1/network/ranges', { subnetId: subnet.id, kind: 'dynamic', start: `${prefix}100`, end: `${prefix}199`, comment: 'machines that boot' })
  await api.until<{ items: { vlanId: string }[] }>('/api/v1/network/attachments', 'both racks\' interfaces on the segment', 60, ({ items }) => items.filter(item => item.vlanId === vlan).length === racks.length)
  await api.send('PUT', `/api/v1/dhcp/vlans/${vlan}`, { enabled: true, racks: await Promise.all(racks.map(rack => rack.id())) })
  for (const root of [...roots].reverse()) { // the first last: what commissions a machine is the newest image
    say(`importing the image with its root over ${root}`)
    const folder = await mkdtemp(join(tmpdir(), 'bedplate-image-'))
    try {
      const about = JSON.parse(await readFile(join(image, 'image.json'), 'utf8')) as Record<string, string>
      await writeFile(join(folder, 'image.json'), JSON.stringify({ ...about, name: imageName(root), way: root }))
      for (const part of ['kernel', 'initrd', 'root']) await symlink(join(image, about[part] ?? ''), join(folder, about[part] ?? ''))
      await bedplate(['image', 'import', folder], env, say)
    } finally { await rm(folder, { recursive: true, force: true }) }
  }
}
