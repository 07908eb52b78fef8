/** `bedplate machine set-power`, `machine add-chassis`, and `machine power on|off|cycle|shutdown|state|cancel`. */
import { InvalidArgumentError } from 'commander'
import { Failure } from '../failure.ts'
import { findDriver, readParameters, schemeOf, sortOut, withSecrets } from '../parameters.ts'
import type { Noun, Session } from '../session.ts'
import { path } from './machine.ts'

type Pairs = Readonly<Record<string, string>>
const pair = (text: string, before: Pairs = {}): Pairs => {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
const hint = `
Every parameter of the driver is an option as well: --user root --password -
("bedplate bmc driver <name>" lists them). A secret given as "-" is asked for; the
password may also be in BEDPLATE_BMC_PASSWORD. Names that are options of every
command (--url, --token) are given as --parameter token=….`

interface Given { readonly driver?: string | undefined, readonly parameter?: Pairs | undefined, readonly address?: string | undefined, readonly words: readonly string[] }
/** What PUT /power and POST /chassis take. `before`: the driver that is meant when none is named. */
async function powerFrom (session: Session, { driver, parameter = {}, address, words }: Given, before: () => Promise<string | null>): Promise<Record<string, unknown>> {
  const { plain, options } = sortOut(words)
  if (plain[0] !== undefined) throw new Failure(`There is one word too many: ${plain[0]}`, { exitCode: 2 })
  const all = [...Object.entries(parameter), ...options]
  const named = { ...driver === undefined ? {} : { driver }, ...address === undefined ? {} : { address } }
  if (all.length === 0 && !session.env.BEDPLATE_BMC_PASSWORD) return named
  const name = driver ?? schemeOf(address ?? parameter.address ?? options.find(([option]) => option === '--address')?.[1]) ?? await before()
  if (name === null) throw new Failure('Which driver? Name it with --driver, or begin the address with it: ipmi://10.0.0.9', { exitCode: 2 })
  const known = await findDriver(session.client, name)
  const parameters = await withSecrets(session, known, readParameters(known, all))
  return { driver: name, ...named, ...Object.keys(parameters).length === 0 ? {} : { parameters } }
}

interface Chassis { readonly driver: string, readonly added: readonly Member[], readonly known: readonly Member[], readonly failed: readonly { readonly member: string, readonly reason: string }[] }
interface Member { readonly member: string, readonly id: string, readonly hostname: string, readonly configured: boolean }

export const powerCommands: Noun = (program, on) => {
  const machine = program.commands.find(command => command.name() === 'machine') ?? program.command('machine')

  on<Given>(machine.command('set-power').description('say how a machine is powered').usage('<machine> [url] [--driver <name>] [--<parameter> <value> …]').argument('<machine>', 'id or hostname').argument('[url]', 'its BMC, for example redfish+https://user:password@10.0.0.9')
    .option('--driver <name>', 'ipmi, redfish, manual, …; the URL may begin with it').option('--parameter <name=value>', 'a parameter of the driver; may be repeated', pair).allowUnknownOption().allowExcessArguments().addHelpText('after', hint), async (session, words, { driver, parameter }) => {
    const [name = '', ...rest] = words
    if (name.startsWith('--')) throw new Failure('Name the machine first: bedplate machine set-power <machine> …', { exitCode: 2 })
    const address = rest[0]?.startsWith('--') === false ? rest.shift() : undefined
    const body = await powerFrom(session, { driver, parameter, address, words: rest }, async () => (await session.client.get<{ readonly driver: string | null }>(path(name, '/power'))).driver)
    const power = await session.client.send<{ readonly driver: string }>('PUT', path(name, '/power'), body)
    session.output.done(`Machine ${name} is powered by ${power.driver}.`, power)
  })

  on<Given & { architecture?: string }>(machine.command('add-chassis').description('add all machines of a chassis or hypervisor').usage('[url] [--driver <name>] [--<parameter> <value> …]').argument('[url]', 'where it is, for example virsh+ssh://root@10.0.0.5')
    .option('--driver <name>', 'redfish, virsh, proxmox, …; the URL may begin with it').option('--parameter <name=value>', 'a parameter of the driver; may be repeated', pair).option('--architecture <name>', 'of the machines; by default amd64').allowUnknownOption().allowExcessArguments().addHelpText('after', hint), async (session, words, { driver, parameter, architecture }) => {
    const rest = [...words]
    const address = rest[0]?.startsWith('--') === false ? rest.shift() : undefined
    const body = await powerFrom(session, { driver, parameter, address, words: rest }, async () => null)
    const chassis = await session.client.send<Chassis>('POST', '/machines/chassis', { ...body, ...architecture === undefined ? {} : { architecture } })
    const rows = [...chassis.added.map(one => ({ ...one, became: 'added' })), ...chassis.known.map(one => ({ ...one, became: one.configured ? 'known; powered by it now' : 'known; keeps its power' })), ...chassis.failed.map(one => ({ ...one, became: 'failed', hostname: null, id: null }))]
    if (session.options.output === 'table') session.output.rows(rows, [['NAME', one => one.member], ['BECAME', one => one.became], ['HOSTNAME', one => one.hostname], ['ID', one => one.id], ['REASON', one => 'reason' in one ? one.reason : null]], 'There is no machine behind it.')
    else session.output.done('', chassis)
    if (chassis.failed.length > 0) throw new Failure(`${chassis.failed.length} of ${rows.length} could not be added.`)
  })

  const noun = machine.command('power').description('switch a machine, or ask its BMC')
  for (const [action, description] of [['on', 'switch it on'], ['off', 'switch it off, hard'], ['cycle', 'off and on; on when it is off'], ['shutdown', 'ask its system to shut down']] as const) {
    on<{ boot?: string }>(noun.command(action).description(description).argument('<machine>', 'id or hostname').option('--boot <device>', 'network or disk, for this one boot'), async ({ client, output }, [name = ''], { boot }) => {
      output.done(`Power ${action} of ${name} is asked for.`, await client.send('POST', path(name, `/power/${action}`), boot === undefined ? {} : { boot }))
    })
  }
  on(noun.command('cancel').description('call off what waits or runs; what runs is stopped where it is').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    const { id } = await client.get<{ readonly id: string }>(path(name))
    const { actions } = await client.get<{ readonly actions: readonly { readonly id: string, readonly state: string }[] }>(`/power/machines/${id}`)
    const open = actions.filter(({ state }) => state === 'queued' || state === 'running') // the newest first: what waits does not begin when what runs has ended
    const ended = []
    for (const one of open) ended.push(await client.send('DELETE', `/power/machines/${id}/actions/${one.id}`))
    output.done(open.length === 0 ? `Nothing waits or runs for ${name}.` : `${open.length === 1 ? 'What was under way' : 'What ran and what waited'} for ${name} is called off.`, ended)
  })
  on(noun.command('state').description('ask its BMC now').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    const answer = await client.get<{ readonly state: string }>(path(name, '/power/state'))
    output.done(answer.state, answer)
  })
}
