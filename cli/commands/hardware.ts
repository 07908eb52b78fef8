/** `bedplate machine power identity|sensors|log|firmware` and `machine media show|insert|eject`: what a machine's BMC tells besides power. */
import type { Client } from '../client.ts'
import type { Noun } from '../session.ts'
import { path } from './machine.ts'

interface Identity { readonly uuid: string | null, readonly manufacturer: string | null, readonly model: string | null, readonly serial: string | null, readonly bmcVersion: string | null }
interface Sensor { readonly name: string, readonly kind: string, readonly value: number | null, readonly unit: string, readonly status: string }
interface Entry { readonly id: string, readonly at: string | null, readonly severity: string, readonly message: string }
interface Item { readonly name: string, readonly version: string | null, readonly updateable: boolean | null }
interface Media { readonly image: string | null }

/** Power knows machines by their ids alone. */
const at = async (client: Client, name: string, what: string): Promise<string> => `/power/machines/${encodeURIComponent((await client.get<{ readonly id: string }>(path(name))).id)}/${what}`
const yes = (value: boolean | null): string | null => value === null ? null : value ? 'yes' : 'no'

export const hardwareCommands: Noun = (program, on) => {
  const machine = program.commands.find(command => command.name() === 'machine') ?? program.command('machine')
  const power = machine.commands.find(command => command.name() === 'power') ?? machine.command('power')
  const named = (verb: string, description: string) => power.command(verb).description(description).argument('<machine>', 'id or hostname')

  on(named('identity', 'what its BMC says it is'), async ({ client, output }, [name = '']) => {
    output.item(await client.get<Identity>(await at(client, name, 'identity')), [['UUID', one => one.uuid], ['Manufacturer', one => one.manufacturer], ['Model', one => one.model], ['Serial', one => one.serial], ['BMC version', one => one.bmcVersion]])
  })
  on<{ bad?: boolean }>(named('sensors', 'temperatures, fans, voltages, as its BMC measures them').option('--bad', 'only what is not in order'), async ({ client, output }, [name = ''], { bad }) => {
    const { items } = await client.get<{ readonly items: readonly Sensor[] }>(await at(client, name, 'sensors'))
    output.rows(items.filter(({ status }) => bad !== true || status === 'warning' || status === 'critical'), [['SENSOR', one => one.name], ['KIND', one => one.kind], ['VALUE', one => one.value === null ? null : `${one.value} ${one.unit}`.trim()], ['STATUS', one => one.status]], bad === true ? 'All sensors are in order.' : 'Its BMC has no sensors.')
  })
  on(named('log', 'its BMC\'s own log, newest first'), async ({ client, output }, [name = '']) => {
    const { items } = await client.get<{ readonly items: readonly Entry[] }>(await at(client, name, 'log'))
    output.rows(items, [['AT', one => one.at], ['SEVERITY', one => one.severity], ['MESSAGE', one => one.message], ['ID', one => one.id]], 'The log is empty.')
  })
  on(named('firmware', 'the firmware that is installed'), async ({ client, output }, [name = '']) => {
    const { items } = await client.get<{ readonly items: readonly Item[] }>(await at(client, name, 'firmware'))
    output.rows(items, [['NAME', one => one.name], ['VERSION', one => one.version], ['UPDATEABLE', one => yes(one.updateable)]], 'Its BMC tells of no firmware.')
  })

  const media = machine.command('media').description('the virtual drive of its BMC')
  on(media.command('show').description('what is in it').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    output.item(await client.get<Media>(await at(client, name, 'media')), [['Image', one => one.image ?? 'none']])
  })
  on(media.command('insert').description('put an image into it').argument('<machine>', 'id or hostname').argument('<url>', 'where the BMC fetches the image from'), async ({ client, output }, [name = '', image]) => {
    const now = await client.send<Media>('PUT', await at(client, name, 'media'), { image })
    output.done(`The virtual drive of ${name} has ${now.image}.`, now)
  })
  on(media.command('eject').description('take out what is in it').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    output.done(`The virtual drive of ${name} is empty.`, await client.send<Media>('DELETE', await at(client, name, 'media')))
  })
}
