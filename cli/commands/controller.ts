/** `bedplate controller`: the regions and racks, and tokens to enrol more. */
import { Option } from 'commander'
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
/** A region holds links to racks only. */
const linkOf = ({ linked, roles }: Controller): string => linked ? 'up' : roles.includes('rack') ? 'down' : '-'

export const controllerCommands: Noun = (program, on) => {
  const noun = program.command('controller').description('the regions and racks')

  on(noun.command('list').description('the regions and racks, oldest first'), async ({ client, output }) => {
    const [{ items }, { racks }] = [await client.get<{ readonly items: readonly Controller[] }>('/controllers'), await client.get<Status>('/status')]
    const problems = (id: string) => racks.filter(({ rack, error }) => rack === id && error !== null).map(({ plugin, error }) => `${plugin}: ${error}`)
    output.rows(items.map(item => ({ ...item, problems: problems(item.id) })), [['ID', row => row.id], ['HOSTNAME', row => row.hostname], ['ROLES', row => row.roles], ['VERSION', row => row.version], ['LINK', linkOf], ['SEEN', row => ago(row.seenAt)], ['PROBLEMS', row => row.problems]], 'No controllers.')
  })
  on(noun.command('show').description('one region or rack').argument('<controller>', 'id or hostname'), async ({ client, output }, [given = '']) => {
    output.item(await findController(client, given), [['ID', row => row.id], ['Hostname', row => row.hostname], ['Roles', row => row.roles], ['Version', row => row.version], ['Link', linkOf], ['Seen', row => ago(row.seenAt)],
      ['Runs since', row => row.startedAt], ['Addresses', row => row.addresses], ['API', row => row.api], ['Port for racks', row => row.rpcPort]])
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
