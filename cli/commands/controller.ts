/** `bedplate controller`: the regions and racks, and tokens to enrol more. */
import { Option } from 'commander'
import type { Noun } from '../session.ts'
import type { Status } from './status.ts'
import { span } from './token.ts'

interface Controller { readonly id: string, readonly hostname: string | null, readonly roles: readonly string[], readonly linked: boolean, readonly errors: readonly string[] }

/** The region that answers, and every rack it knows of. */
function controllersOf ({ controller, racks, linkedRacks = [] }: Status): Controller[] {
  const others = [...new Set([...racks.map(({ rack }) => rack), ...linkedRacks])].filter(id => id !== controller.id).sort()
  const errorsOf = (id: string) => racks.filter(({ rack, error }) => rack === id && error !== null).map(({ plugin, error }) => `${plugin}: ${error}`)
  return [
    { id: controller.id, hostname: controller.hostname, roles: controller.roles, linked: true, errors: errorsOf(controller.id) },
    ...others.map(id => ({ id, hostname: null, roles: ['rack'], linked: linkedRacks.includes(id) || racks.some(({ rack, linked }) => rack === id && linked), errors: errorsOf(id) }))
  ]
}

export const controllerCommands: Noun = (program, on) => {
  const noun = program.command('controller').description('the regions and racks')

  on(noun.command('list').description('the region that answers, and the racks it knows of'), async ({ client, output }) => {
    output.rows(controllersOf(await client.get<Status>('/status')), [['ID', row => row.id], ['HOSTNAME', row => row.hostname], ['ROLES', row => row.roles], ['LINK', row => row.linked ? 'up' : 'down'], ['ERRORS', row => row.errors]], 'No controllers.')
  })
  on<{ role?: string[], expires?: number }>(noun.command('token').description('make a one-time token that a new controller enrols with')
    .addOption(new Option('--role <role...>', 'roles it may enrol with; by default rack').choices(['region', 'rack'])).option('--expires <span>', '1h (the default) to 1w', span), async ({ client, output }, _, { role, expires }) => {
    const made = await client.send<{ readonly token: string, readonly expiresAt: string }>('POST', '/controllers/tokens', { ...role === undefined ? {} : { roles: role }, ...expires === undefined ? {} : { ttlSeconds: expires / 1000 } })
    output.done(made.token, made)
    output.note(`It works once, until ${made.expiresAt}. On the new controller: bedplate run --roles ${(role ?? ['rack']).join(',')} --regions <this region> --token <token>`)
  })
}
