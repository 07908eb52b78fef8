/** The lab, assembled: network, virtual machines with BMCs, Bedplate as one process or as region and rack, and a segment to provision. */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BedplateError } from '../../core/errors.ts'
import { createApi, type Api } from './api.ts'
import { createController, node, project, type ControllerProcess } from './controller.ts'
import type { HypervisorLine, HypervisorSpec } from './hypervisor.ts'
import { backbone, createNetwork, segment } from './network.ts'
import { createRelay } from './relay.ts'
import { createSshKey } from './ssh.ts'
import type { Firmware } from '../../sim/machine/machine.ts'

/** By which of its BMC's protocols Bedplate powers a machine; the BMC speaks both. */
export type Protocol = 'redfish' | 'ipmi'
/** `bmc`: the address Bedplate gets; `redfish`: what a finger on the power button goes by. */
export interface LabMachine { readonly name: string, readonly firmware: Firmware, readonly mac: string, readonly bmc: string, readonly redfish: string, readonly directory: string }
export interface LabOptions {
  readonly firmware: readonly Firmware[] // one machine each
  readonly bmc?: Protocol // redfish
  readonly split: boolean // region and rack as two processes in two namespaces
  readonly image: string // the folder to import
  readonly apiPort: number
  readonly keep: boolean
  say (line: string): void
  /** What QEMU and the BMC of a machine did. */
  hear (machine: string, line: string): void
}
export interface Lab {
  readonly directory: string, readonly url: string, readonly token: string, readonly api: Api, readonly machines: readonly LabMachine[]
  readonly region: ControllerProcess, readonly rack: ControllerProcess, readonly namespace: string
  readonly key: { readonly privateFile: string, readonly publicKey: string }
  /** Presses the power button of a machine, as a person in front of it would: through its BMC, past Bedplate. */
  pressPower (machine: LabMachine): Promise<void>
  stop (): Promise<void>
}

/** Of every BMC here. */
export const account = { user: 'admin', password: 'lab-bmc' }
/** The first machine's; the others' follow. */
const ports = { redfish: 8001, ipmi: 6230 } as const

/** Runs a `bedplate` command as an operator would; rejects with what it printed. */
export function bedplate (args: readonly string[], env: Readonly<Record<string, string>>, say: (line: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [join(project, 'core/main.ts'), ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let last = ''
    child.stdout.on('data', chunk => { out += String(chunk) })
    createInterface({ input: child.stderr }).on('line', line => { last = line; say(line) })
    child.once('error', reject)
    child.once('close', code => { if (code === 0) resolve(out); else reject(new BedplateError('CONFLICT', { reason: `bedplate ${args.join(' ')} ended with ${code}: ${last || out}` })) })
  })
}

async function setUpSegment (api: Api, say: (line: string) => void): Promise<void> {
  say('describing the segment: subnet, dynamic range, DHCP')
  const vlans = await api.get<{ items: { id: string }[] }>('/api/v1/network/vlans')
  const vlan = vlans.items[0]
  if (!vlan) throw new BedplateError('NOT_FOUND', { what: 'VLAN', id: 'of the default fabric' })
  const subnet = await api.send<{ id: string }>('POST', '/api/v1/network/subnets', { vlanId: vlan.id, name: 'lab', cidr: segment.cidr, gateway: segment.rack, dnsServers: [segment.rack] })
  await api.send('POST', '/api/v1/network/ranges', { subnetId: subnet.id, kind: 'dynamic', ...segment.dynamic, comment: 'machines nobody knows yet' })
  await api.until<{ items: { vlanId: string }[] }>('/api/v1/network/attachments', 'the rack\'s interface on the segment', 60, value => value.items.some(item => item.vlanId === vlan.id))
  await api.send('PUT', `/api/v1/dhcp/vlans/${vlan.id}`, { enabled: true })
}

export async function createLab (options: LabOptions): Promise<Lab> {
  const { say } = options
  const id = `${process.pid}-${Math.floor(performance.now())}`
  const directory = await mkdtemp(join(tmpdir(), 'bedplate-lab-'))
  await chmod(directory, 0o755) // the database server runs as another user and has to get through
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step().catch(error => say(`while stopping: ${String(error)}`))
    if (options.keep) say(`kept: ${directory}`); else await rm(directory, { recursive: true, force: true })
  }
  try {
    const key = await createSshKey(directory)
    const network = await createNetwork(id, options.firmware.length, options.split)
    undo.push(() => network.remove())
    const machines = options.firmware.map((firmware, index): LabMachine => {
      const redfish = `redfish+http://${account.user}:${account.password}@${segment.rack}:${ports.redfish + index}/redfish/v1/Systems/1`
      const ipmi = `ipmi://${account.user}:${account.password}@${segment.rack}:${ports.ipmi + index}`
      return { name: `lab${index + 1}`, firmware, mac: `52:54:00:be:d0:${(index + 1).toString(16).padStart(2, '0')}`, bmc: options.bmc === 'ipmi' ? ipmi : redfish, redfish, directory: join(directory, `lab${index + 1}`) }
    })
    const spec: HypervisorSpec = {
      account,
      machines: machines.map((machine, index) => ({ name: machine.name, firmware: machine.firmware, mac: machine.mac, tap: network.taps[index] ?? '', directory: machine.directory, memory: 1536, diskGiB: 6, bmc: { host: segment.rack, redfish: ports.redfish + index, ipmi: ports.ipmi + index }, order: machine.firmware === 'bios' ? 'network' : 'disk' }))
    }
    undo.push(await startHypervisor(network.rackNamespace, spec, options))

    const died = (name: string, code: number | null) => say(`${name} ended by itself with ${code}; its log: ${join(directory, `${name}.log`)}`)
    const socket = join(directory, 'api.sock')
    const common = { log: { level: 'info' } }
    const region = await createController({
      name: options.split ? 'region' : 'bedplate', namespace: network.regionNamespace, directory, died,
      config: { ...common, roles: options.split ? ['region'] : ['region', 'rack'], dataDirectory: join(directory, 'region-data'), http: { socket }, rpc: { advertise: [options.split ? backbone.region : segment.rack] } }
    })
    undo.push(() => region.stop())
    region.start()
    const relay = await createRelay(socket, options.apiPort)
    undo.push(() => relay.close())
    let token = ''
    const api = createApi(relay.url, () => token)
    say(`starting ${options.split ? 'the region' : 'Bedplate as region and rack'}; API at ${relay.url}`)
    const ready = await waitReady(relay.url, region, 90)
    say(`ready after ${ready.toFixed(1)} s`)
    token = (await readFile(join(directory, 'region-data', 'admin.token'), 'utf8')).trim()

    let rack = region
    if (options.split) {
      const enrolment = await api.send<{ token: string }>('POST', '/api/v1/controllers/tokens', { roles: ['rack'] })
      rack = await createController({ name: 'rack', namespace: network.rackNamespace, directory, died, config: { ...common, roles: ['rack'], dataDirectory: join(directory, 'rack-data'), regions: [`${backbone.region}:5250`], enrolmentToken: enrolment.token } })
      undo.push(() => rack.stop())
      rack.start()
      say('starting the rack; it enrols with a one-time token')
    }
    await setUpSegment(api, say)
    say('importing the image')
    await bedplate(['image', 'import', options.image], { BEDPLATE_URL: relay.url, BEDPLATE_TOKEN: token }, say)
    return {
      directory, url: relay.url, token, api, machines, region, rack, namespace: network.rackNamespace, key, stop,
      pressPower: async machine => {
        // curl runs inside the namespace, where the BMC is
        const { user, password } = account
        const target = machine.redfish.replace(/^redfish\+http:\/\/[^@]*@/, 'http://')
        const child = spawn('ip', ['netns', 'exec', network.rackNamespace, 'curl', '-fsS', '-u', `${user}:${password}`, '-H', 'content-type: application/json', '-d', '{"ResetType":"On"}', `${target}/Actions/ComputerSystem.Reset`], { stdio: ['ignore', 'ignore', 'inherit'] })
        await new Promise<void>((resolve, reject) => child.once('close', code => { if (code === 0) resolve(); else reject(new BedplateError('POWER_FAILED', { action: 'on', reason: `curl ended with ${code}` })) }))
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Asks /readyz until it says so; the seconds it took. START_FAILED with the end of the log when the process ends, START_TIMEOUT. */
export async function waitReady (url: string, controller: ControllerProcess, seconds: number): Promise<number> {
  const begin = performance.now()
  for (let last = ''; ;) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) })
      if (response.ok) return (performance.now() - begin) / 1000
      last = await response.text()
    } catch (error) { last = String(error) }
    if (!controller.running()) throw new BedplateError('START_FAILED', { what: controller.name, reason: (await readFile(controller.logFile, 'utf8')).split('\n').slice(-8).join('\n') })
    if (performance.now() - begin > seconds * 1000) throw new BedplateError('START_TIMEOUT', { what: `${controller.name} (${last})`, seconds })
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

/** Starts the virtual machines' side in a namespace, machines off; resolves with what ends it. */
export async function startHypervisor (namespace: string, spec: HypervisorSpec, options: Pick<LabOptions, 'hear'>): Promise<() => Promise<void>> {
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, node, join(import.meta.dirname, 'hypervisor.ts'), JSON.stringify(spec)], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const errors: string[] = []
  if (child.stderr) createInterface({ input: child.stderr }).on('line', line => { errors.push(line); options.hear('', line) })
  await new Promise<void>((resolve, reject) => {
    if (child.stdout) {
      createInterface({ input: child.stdout }).on('line', text => {
        const { machine, line } = JSON.parse(text) as HypervisorLine
        if (machine === '' && line === 'ready') resolve(); else options.hear(machine, line)
      })
    }
    child.once('exit', code => reject(new BedplateError('START_FAILED', { what: 'the hypervisor', reason: `exit ${code}: ${errors.slice(-5).join(' | ')}` })))
  })
  return async () => { child.kill('SIGTERM'); await gone }
}
