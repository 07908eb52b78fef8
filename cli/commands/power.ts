/** `bedplate machine set-power` and `bedplate machine power on|off|cycle|shutdown|state`. */
import { InvalidArgumentError } from 'commander'
import type { Noun } from '../session.ts'
import { path } from './machine.ts'

const pair = (text: string, before: Record<string, string> = {}): Record<string, string> => {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

export const powerCommands: Noun = (program, on) => {
  const machine = program.commands.find(command => command.name() === 'machine') ?? program.command('machine')

  on<{ driver?: string, parameter?: Record<string, string> }>(machine.command('set-power').description('say how a machine is powered').argument('<machine>', 'id or hostname').argument('[url]', 'its BMC, for example redfish+https://user:password@10.0.0.9')
    .option('--driver <name>', 'redfish, manual, …; the URL may begin with it').option('--parameter <name=value>', 'a parameter of the driver; may be repeated', pair), async ({ client, output }, [name = '', address], { driver, parameter }) => {
    const power = await client.send<{ readonly driver: string }>('PUT', path(name, '/power'), { ...driver === undefined ? {} : { driver }, ...address === undefined ? {} : { address }, ...parameter === undefined ? {} : { parameters: parameter } })
    output.done(`Machine ${name} is powered by ${power.driver}.`, power)
  })

  const noun = machine.command('power').description('switch a machine, or ask its BMC')
  for (const [action, description] of [['on', 'switch it on'], ['off', 'switch it off, hard'], ['cycle', 'off and on; on when it is off'], ['shutdown', 'ask its system to shut down']] as const) {
    on<{ boot?: string }>(noun.command(action).description(description).argument('<machine>', 'id or hostname').option('--boot <device>', 'network or disk, for this one boot'), async ({ client, output }, [name = ''], { boot }) => {
      output.done(`Power ${action} of ${name} is asked for.`, await client.send('POST', path(name, `/power/${action}`), boot === undefined ? {} : { boot }))
    })
  }
  on(noun.command('state').description('ask its BMC now').argument('<machine>', 'id or hostname'), async ({ client, output }, [name = '']) => {
    const answer = await client.get<{ readonly state: string }>(path(name, '/power/state'))
    output.done(answer.state, answer)
  })
}
