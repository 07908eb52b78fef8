/** The command line: `bedplate <noun> <verb>`. Everything it knows of the process comes in as arguments. */
import { Command, CommanderError, Option } from 'commander'
import { addressCommands } from './commands/address.ts'
import { bmcCommands } from './commands/bmc.ts'
import { caCommands } from './commands/ca.ts'
import { bootCommands } from './commands/boot.ts'
import { controllerCommands } from './commands/controller.ts'
import { dhcpCommands } from './commands/dhcp.ts'
import { eventCommands } from './commands/events.ts'
import { fabricCommands } from './commands/fabric.ts'
import { haCommands } from './commands/ha.ts'
import { hardwareCommands } from './commands/hardware.ts'
import { imageCommands } from './commands/image.ts'
import { iscsiCommands } from './commands/iscsi.ts'
import { joinCommands } from './commands/join.ts'
import { leaveCommands } from './commands/leave.ts'
import { lifecycleCommands } from './commands/lifecycle.ts'
import { machineCommands } from './commands/machine.ts'
import { powerCommands } from './commands/power.ts'
import { rangeCommands } from './commands/range.ts'
import { serviceCommands } from './commands/service.ts'
import { simCommands } from './commands/sim.ts'
import { statusCommands } from './commands/status.ts'
import { subnetCommands } from './commands/subnet.ts'
import { tokenCommands } from './commands/token.ts'
import { vlanCommands } from './commands/vlan.ts'
import { Failure } from './failure.ts'
import { formats } from './output.ts'
import { defaultUrl, openSession } from './session.ts'
import type { Environment, GlobalOptions, Io, Noun, On, Work } from './session.ts'

const nouns: readonly Noun[] = [statusCommands, machineCommands, lifecycleCommands, powerCommands, hardwareCommands, bmcCommands, imageCommands, bootCommands, fabricCommands, vlanCommands, subnetCommands, rangeCommands, addressCommands, dhcpCommands, iscsiCommands, simCommands, joinCommands, leaveCommands, controllerCommands, caCommands, serviceCommands, haCommands, tokenCommands, eventCommands]

/** What an accepted command is to do: `work`, with its arguments and options. */
export type Perform = (command: Command, work: Work<unknown>) => Promise<void>

/** The whole command line; what a command does is left to `perform`, so that lines can be checked without being run. */
export function createProgram (io: Pick<Io, 'stdout' | 'stderr'>, perform: Perform): Command {
  const program = new Command('bedplate')
    .description('Bare machines, ordered through an API.\n"bedplate run" runs the daemon; everything else talks to one.')
    .option('--url <url>', `where the region's API is (BEDPLATE_URL; ${defaultUrl})`)
    .option('--token <token>', 'API token (BEDPLATE_TOKEN; on the region itself, its admin.token); of join, the one-time token')
    .addOption(new Option('-o, --output <format>', 'how results are printed').choices(formats).default('table'))
  const settle = (command: Command) => {
    command.exitOverride()
      .configureOutput({ writeOut: text => { io.stdout.write(text) }, writeErr: text => { io.stderr.write(text) }, outputError: (text, write) => { write(text.replace(/^error: /, 'bedplate: ')) } })
      .configureHelp({ showGlobalOptions: command !== program })
      .showSuggestionAfterError()
    for (const part of command.commands) settle(part)
  }
  program.command('run').description('run the daemon; "bedplate run --help" lists its settings')
  const on: On = <O>(command: Command, work: Work<O>) => {
    command.action(async (...parameters: unknown[]) => {
      const self = parameters.at(-1)
      if (self instanceof Command) await perform(self, (session, args, options) => work(session, args, options as O))
    })
  }
  for (const noun of nouns) noun(program, on)
  settle(program)
  return program
}

/**
 * Runs one command. Results go to `stdout`, everything else to `stderr`.
 * Gives the exit code: 0 done, 1 not done (with one line why), 2 asked for wrongly.
 */
export async function runCli (argv: readonly string[], env: Environment, io: Io): Promise<number> {
  const program = createProgram(io, async (command, work) => { await work(await openSession(command.optsWithGlobals<GlobalOptions>(), env, io), command.args, command.opts()) })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // it has said what is wrong itself
    if (!(error instanceof Failure)) throw error
    io.stderr.write(`bedplate: ${error.message.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '?')}${error.code === undefined ? '' : ` [${error.code}]`}\n`)
    return error.exitCode
  }
}
