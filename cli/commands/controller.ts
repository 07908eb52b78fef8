/** `bedplate controller`: the regions and racks, and tokens to enrol more. */
import { Option } from 'commander'
import type { Client } from '../client.ts'
import { Failure } from '../failure.ts'
import { findController } from '../names.ts'
import type { Controller } from '../names.ts'
import { ago } from '../output.ts'
import type { Noun } from '../session.ts'
import type { Status } from './status.ts'
import { span } from './token.ts'

/** Where this region is reached, as far as this command knows: by loopback only the region itself does. */
const regionHost = (url: string): string => {
  const host = URL.parse(url)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.') ? '<this host>' : host
}
interface Link { readonly id: string, readonly hostname: string, readonly up: boolean, readonly since: string | null, readonly reason: string | null }
interface Tracked {
  readonly id: string, readonly state: string, readonly reason: string | null, readonly regions: readonly Link[], readonly racks: readonly Link[], readonly services: Readonly<Record<string, number>>
  readonly interfaces: readonly { readonly name: string, readonly mac: string, readonly up: boolean, readonly addresses: readonly string[], readonly vlans: readonly { readonly vid: number, readonly name: string }[] }[]
}
/** What the tracking makes of each controller, by id; nothing where it is left out. */
async function trackedControllers (client: Client): Promise<Map<string, Tracked>> {
  try {
    return new Map((await client.get<{ readonly items: readonly Tracked[] }>('/tracking/controllers')).items.map(one => [one.id, one]))
  } catch (error) {
    if (error instanceof Failure && error.code === 'NOT_FOUND') return new Map()
    throw error
  }
}

/** A region holds links to racks only. */
const linkOf = ({ linked, roles }: Controller): string => linked ? 'up' : roles.includes('rack') ? 'down' : '-'

export const controllerCommands: Noun = (program, on) => {
  const noun = program.command('controller').description('the regions and racks')

  on(noun.command('list').description('the regions and racks, oldest first'), async ({ client, output }) => {
    const [{ items }, { racks }] = [await client.get<{ readonly items: readonly Controller[] }>('/controllers'), await client.get<Status>('/status')]
    const problems = (id: string) => racks.filter(({ rack, error }) => rack === id && error !== null).map(({ plugin, error }) => `${plugin}: ${error}`)
    const tracked = await trackedControllers(client)
    const rows = items.map(item => {
      const { state = null, reason = null } = tracked.get(item.id) ?? {}
      return { ...item, state, reason, problems: problems(item.id) }
    })
    output.rows(rows, [['ID', row => row.id], ['HOSTNAME', row => row.hostname], ['ROLES', row => row.roles], ['VERSION', row => row.version], ['STATE', row => row.state], ['LINK', linkOf], ['SEEN', row => ago(row.seenAt)], ['WHY', row => [...row.reason === null ? [] : [row.reason], ...row.problems].join('; ')]], 'No controllers.')
  })
  on(noun.command('show').description('one region or rack').argument('<controller>', 'id or hostname'), async ({ client, output }, [given = '']) => {
    const found = await findController(client, given)
    const tracked = (await trackedControllers(client)).get(found.id)
    const links = [...tracked?.regions ?? [], ...tracked?.racks ?? []].filter(({ id }) => id !== found.id)
    output.item({ ...found, ...tracked }, [['ID', row => row.id], ['Hostname', row => row.hostname], ['Roles', row => row.roles], ['Version', row => row.version], ['State', () => tracked?.state], ['Why', () => tracked?.reason], ['Link', linkOf], ['Seen', row => ago(row.seenAt)],
      ['Runs since', row => row.startedAt], ['Addresses', row => row.addresses], ['API', row => row.api], ['Port for racks', row => row.rpcPort]], [
      { title: 'Links', rows: links.map(({ hostname, up, since, reason }) => [hostname, up ? 'up' : 'DOWN', since === null ? '' : ago(since), reason]) },
      { title: 'Interfaces', rows: (tracked?.interfaces ?? []).map(({ name, mac, up, addresses, vlans }) => [name, mac, up ? 'up' : 'down', addresses, vlans.map(({ vid, name }) => `VLAN ${vid} (${name})`)]) },
      { title: `Services (more: bedplate service list --controller ${found.hostname})`, rows: Object.entries(tracked?.services ?? {}).filter(([, count]) => count > 0).map(([state, count]) => [state, count]) }
    ])
  })
  on<{ force?: true }>(noun.command('remove').description('remove a controller that is gone for good; one that is there leaves with "bedplate leave"').argument('<controller>', 'id or hostname')
    .option('--force', 'also one that is alive: it stops, and what it has not delivered is lost'), async ({ client, output }, [given = ''], { force }) => {
    const found = await findController(client, given)
    await client.send('DELETE', `/controllers/${encodeURIComponent(found.id)}${force === true ? '?force=true' : ''}`)
    output.done(`Controller ${found.hostname} (${found.id}) is removed.`, found)
  })
  on<{ role?: string[], expires?: number }>(noun.command('token').description('make a one-time token that a new controller enrols with')
    .addOption(new Option('--role <role...>', 'roles it may enrol with; by default rack').choices(['region', 'rack'])).option('--expires <span>', '1h (the default) to 1w', span), async ({ client, output }, _, { role, expires }) => {
    const made = await client.send<{ readonly token: string, readonly expiresAt: string }>('POST', '/controllers/tokens', { ...role === undefined ? {} : { roles: role }, ...expires === undefined ? {} : { ttlSeconds: expires / 1000 } })
    output.done(made.token, made)
    output.note(`It works once, until ${made.expiresAt}. On the new host, as root: bedplate join ${regionHost(client.url)} --token <token>`)
  })
}
