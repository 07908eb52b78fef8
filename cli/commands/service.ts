/** `bedplate service`: how every service of every controller is, why, and what became of it. */
import { InvalidArgumentError, Option } from 'commander'
import { ago } from '../output.ts'
import type { Noun } from '../session.ts'

interface Service { readonly controller: string, readonly hostname: string, readonly role: string | null, readonly plugin: string, readonly service: string, readonly leader: boolean, readonly state: string, readonly reason: string | null, readonly since: string, readonly restarts: number }
interface Event { readonly id: string, readonly at: string, readonly hostname: string, readonly role: string | null, readonly plugin: string | null, readonly service: string | null, readonly state: string, readonly reason: string | null }

const states = ['running', 'degraded', 'dead', 'off', 'unknown'] as const
/** What keeps somebody from sleeping comes first. */
const urgency = (state: string): number => ['dead', 'degraded', 'unknown', 'running', 'off'].indexOf(state)
const count = (text: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) > 1000) throw new InvalidArgumentError('Give a number from 1 to 1000.')
  return Number(text)
}
const part = (text: string): { plugin: string, service?: string } => {
  const [, plugin = '', service] = /^([^/]+)(?:\/([^/]+))?$/.exec(text) ?? []
  if (plugin === '') throw new InvalidArgumentError('Write it as plugin or plugin/service, for example dhcp/dhcp.')
  return { plugin, ...service === undefined ? {} : { service } }
}
const query = (values: Readonly<Record<string, string | undefined>>): string => {
  const given = new URLSearchParams(Object.entries(values).flatMap(([key, value]): [string, string][] => value === undefined ? [] : [[key, value]]))
  return given.size === 0 ? '' : `?${given}`
}

interface Filter { readonly controller?: string, readonly state?: string, readonly plugin?: string }

export const serviceCommands: Noun = (program, on) => {
  const noun = program.command('service').description('how the services of the regions and racks are, and why')
  const controller = () => new Option('--controller <controller>', 'of this one only: id or hostname')
  const state = () => new Option('--state <state>', 'in this state only').choices(states)

  on<Filter>(noun.command('list').description('every service with its state and why; what is wrong comes first').addOption(controller()).addOption(state()).option('--plugin <plugin>', 'of this plugin only'), async ({ client, output }, _, { controller, state, plugin }) => {
    const items = await client.list<Service>(`/tracking/services${query({ controller, state, plugin })}`)
    const sorted = items.toSorted((a, b) => urgency(a.state) - urgency(b.state))
    output.rows(sorted, [['CONTROLLER', row => row.hostname], ['SERVICE', row => `${row.plugin}/${row.service}`], ['ROLE', row => row.role], ['STATE', row => row.state], ['SINCE', row => ago(row.since)], ['RESTARTS', row => row.restarts], ['WHY', row => row.reason]], 'No such services.')
  })
  on<Filter & { service?: { plugin: string, service?: string }, limit?: number }>(noun.command('history').description('what became of controllers and services, newest first').addOption(controller()).addOption(state())
    .option('--service <plugin/service>', 'of this one only', part).option('--limit <number>', 'so many of the newest; by default 100', count), async ({ client, output }, _, { controller, state, service = {}, limit = 100 }) => {
    const { items } = await client.get<{ readonly items: readonly Event[] }>(`/tracking/history${query({ controller, state, ...service, limit: String(limit) })}`)
    output.rows(items, [['AT', row => row.at], ['CONTROLLER', row => row.hostname], ['SERVICE', row => row.plugin === null ? null : `${row.plugin}/${row.service}`], ['STATE', row => row.state], ['WHY', row => row.reason]], 'Nothing has changed.')
  })
}
