/** `bedplate status`: how the region is, what does not run and why, the racks, the machines, and what is left to be set up; on a rack, how that is. */
import type { Client } from '../client.ts'
import { Failure } from '../failure.ts'
import { controllerNames } from '../names.ts'
import { ago } from '../output.ts'
import type { Noun } from '../session.ts'
import type { Image } from '../import.ts'
import type { Machine } from './machine.ts'

interface Trouble { readonly part: string, readonly state: string, readonly reason: string }
interface ServiceStatus { readonly plugin: string, readonly role?: string, readonly service: string, readonly state: string, readonly reason?: string, readonly since: string, readonly restarts: number }
interface LinkState { readonly controller: string, readonly url: string, readonly up: boolean, readonly since?: string, readonly reason?: string }
interface RackState { readonly rack: string, readonly plugin: string, readonly acknowledgedAt: string, readonly error: string | null, readonly linked: boolean }
export interface Status {
  readonly controller: { readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly version: string }
  readonly phase: string, readonly ready: boolean, readonly notReady: readonly Trouble[], readonly degraded: readonly Trouble[], readonly services: readonly ServiceStatus[]
  readonly leading?: { readonly term: string }, readonly links?: readonly LinkState[], readonly linkedRacks?: readonly string[], readonly racks: readonly RackState[]
}
interface Attachments { readonly unattached: readonly { readonly rack: string, readonly interface: string, readonly hint: string }[] }

/** What is wanted of a machine by somebody who looks at the whole. */
const troubled = ({ status, power }: Machine): boolean => /^(Failed|Broken)/.test(status) || power.state === 'error'

/** What a new installation still lacks, each with the command that does it. */
async function undone (client: Client, racks: number, nameOf: (id: string) => string): Promise<string[][]> {
  const [images, served, { unattached }] = await Promise.all([client.list<Image>('/images'), client.list<{ enabled: boolean, serving: readonly string[] }>('/dhcp/vlans'), client.get<Attachments>('/network/attachments')])
  const enabled = served.filter(vlan => vlan.enabled)
  return [
    ...racks > 0 ? [] : [['No rack is linked: nothing reaches the machines.', 'bedplate controller token']],
    ...enabled.length > 0 ? [] : unattached.map(({ rack, interface: name, hint }) => [`Rack ${nameOf(rack)}, ${name}: ${hint.replace(/ To use this interface, add its subnet: .*/, '')}`, /bedplate .*/.exec(hint)?.[0] ?? '']),
    ...enabled.length > 0 ? [] : [['DHCP is on nowhere: machines get no address and do not boot.', 'bedplate vlan enable-dhcp <vlan>']],
    ...enabled.every(vlan => vlan.serving.length > 0) ? [] : [['A VLAN has DHCP on, but no rack serves it.', 'bedplate vlan list']],
    ...images.length > 0 ? [] : [['No image: machines have nothing to boot.', 'bedplate image build --import']]
  ]
}

interface Ready { readonly status: string, readonly notReady: readonly Trouble[], readonly degraded: readonly Trouble[] }

const rackPort = '5248' // where a rack answers unless it is told otherwise

/** What a rack says of itself, which has no API: at the address given, or at its usual port there. Undefined when nothing of the kind answers. */
async function rackAt (url: string): Promise<{ readonly at: string, readonly ready: Ready } | undefined> {
  const usual = Object.assign(new URL(url), { port: rackPort }).origin
  for (const at of new Set([new URL(url).origin, usual])) {
    try {
      const ready = await (await fetch(`${at}/readyz`, { redirect: 'error', signal: AbortSignal.timeout(5000) })).json() as Partial<Ready>
      if (Array.isArray(ready.notReady) && Array.isArray(ready.degraded)) return { at, ready: ready as Ready }
    } catch { /* nothing there, or something else */ }
  }
  return undefined
}

/** A link as a row of what does not run: down, or up to a region that says of itself that it is not well. */
const linkRow = ({ controller, url, up, since, reason }: LinkState, nameOf: (id: string) => string): string[] =>
  ['link', up ? 'up' : 'down', `to ${controller === '' ? 'a region' : nameOf(controller)} at ${url}${since === undefined ? '' : `, ${up ? 'came' : 'went'} ${ago(since)}`}${reason === undefined ? '' : `: ${reason}`}`]

export const statusCommands: Noun = (program, on) => {
  on(program.command('status').description('how the region, its racks and its machines are, and what to do; fails when the region is not ready'), async ({ client, output }) => {
    const answer = await client.get<Status>('/status').catch(async (error: unknown) => {
      const rack = error instanceof Failure && ['UNREACHABLE', 'NOT_FOUND'].includes(error.code ?? '') ? await rackAt(client.url) : undefined
      if (rack === undefined) throw error
      return rack
    })
    if ('ready' in answer && typeof answer.ready === 'object') {
      const { at, ready } = answer
      output.item(ready, [['Rack', () => `at ${at}; the whole is told by a region: "bedplate status --url http://<region>:5240"`], ['Ready', ({ status }) => status === 'ready' ? 'yes' : 'no']],
        [{ title: 'Does not run as it should', rows: [...ready.notReady, ...ready.degraded].map(({ part, state, reason }) => [part, state, reason]) }])
      if (ready.status !== 'ready') throw new Failure(`The rack at ${at} is not ready.`)
      return
    }
    const status = answer as Status
    const { controller, services, racks, leading, linkedRacks = [], links = [] } = status
    const broken = [...status.notReady, ...status.degraded]
    const stopped = services.filter(({ state, plugin, service }) => state !== 'running' && !broken.some(({ part }) => part === `${plugin}/${service}`))
    const optional = async <T>(ask: () => Promise<T>, otherwise: T): Promise<T> => await ask().catch((error: unknown) => { if (error instanceof Failure) return otherwise; throw error }) // a region that is not well still tells what it can
    const nameOf = await optional(() => controllerNames(client), id => id)
    const machines = await optional<readonly Machine[] | undefined>(() => client.list<Machine>('/machines'), undefined)
    const counts = Map.groupBy(machines ?? [], machine => machine.status)
    output.item(status, [
      ['Region', () => `${controller.hostname} (${controller.id}), ${controller.roles.join(' and ')}, version ${controller.version}`],
      ['Ready', ({ ready, phase }) => ready ? 'yes' : phase === 'ready' ? 'no' : `no, ${phase}`],
      ['Leader', () => leading === undefined ? 'another region' : `this region, term ${leading.term}`],
      ['Racks', () => [...new Set([...racks.map(({ rack }) => rack), ...linkedRacks])].sort().map(id => `${nameOf(id)} (${linkedRacks.includes(id) ? 'linked' : 'NOT LINKED'})`)],
      ['Machines', () => machines === undefined ? 'unknown' : machines.length === 0 ? 'none' : [...counts].map(([state, some]) => `${some.length} ${state}`)]
    ], [
      { title: 'Does not run as it should', rows: [...broken.map(({ part, state, reason }) => [part, state, reason]), ...links.filter(({ up, reason }) => !up || reason !== undefined).map(link => linkRow(link, nameOf))] },
      { title: 'Racks that could not take their orders', rows: racks.filter(({ error }) => error !== null).map(({ rack, plugin, error }) => [nameOf(rack), plugin, error]) },
      { title: 'Off, as it is meant to be', rows: stopped.map(({ plugin, service, reason }) => [`${plugin}/${service}`, reason]) },
      { title: 'Machines in trouble (more: bedplate machine show <name>)', rows: (machines ?? []).filter(troubled).map(machine => [machine.hostname, machine.status, machine.reason ?? machine.power.error, ago(machine.since)]) },
      { title: 'Left to do', rows: await optional(() => undone(client, linkedRacks.length, nameOf), []) }
    ])
    if (!status.ready) throw new Failure(`${controller.hostname} is not ready.`)
  })
}
