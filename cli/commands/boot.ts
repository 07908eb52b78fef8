/** `bedplate boot options`: kernel options of what boots over the network. */
import type { Client } from '../client.ts'
import type { Noun } from '../session.ts'
import { path, type Machine } from './machine.ts'

interface Options { readonly scope: string, readonly options: string }
const whose = 'global, tag:<tag>, or machine:<id or hostname>'
/** The scope as the API has it: a machine by its id. */
async function scopeOf (client: Client, given: string): Promise<string> {
  const [, name] = /^machine:(.+)$/.exec(given) ?? []
  return name === undefined ? given : `machine:${(await client.get<Machine>(path(name))).id}`
}
const at = (scope: string): string => `/boot/options/${encodeURIComponent(scope)}`

export const bootCommands: Noun = (program, on) => {
  const options = program.command('boot').description('what machines are given when they boot over the network').command('options').description('kernel options, for every machine, by tag, or for one; of the same name the one nearest to the machine wins')

  on(options.command('list').description('all that are kept'), async ({ client, output }) => {
    const [kept, machines] = [await client.list<Options>('/boot/options'), await client.list<Machine>('/machines')]
    const named = ({ scope }: Options): string => { const host = machines.find(({ id }) => scope === `machine:${id}`)?.hostname; return host === undefined ? scope : `machine:${host}` }
    output.rows(kept, [['FOR', named], ['OPTIONS', one => one.options]], 'No kernel options are kept. Set some: bedplate boot options set global console=ttyS1,115200')
  })
  on(options.command('show').description('those of one').argument('<for>', whose), async ({ client, output }, [given = '']) => {
    output.item(await client.get<Options & { readonly scope: string }>(at(await scopeOf(client, given))), [['For', () => given], ['Options', one => one.options]])
  })
  on(options.command('set').description('keep these instead of what was kept').argument('<for>', whose).argument('<option...>', 'as on a kernel command line; after -- where one begins with a dash'), async ({ client, output }, [given = '', ...words]) => {
    const kept = await client.send<Options & { readonly scope: string }>('PUT', at(await scopeOf(client, given)), { options: words.join(' ') })
    output.done(`For ${given}: ${kept.options}`, kept)
  })
  on(options.command('remove').description('keep none').argument('<for>', whose), async ({ client, output }, [given = '']) => {
    await client.send('DELETE', at(await scopeOf(client, given)))
    output.done(`No kernel options are kept for ${given}.`, { scope: given })
  })
}
