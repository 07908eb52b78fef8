/** The program: the only file that reads arguments and environment, takes signals, or exits. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { systemClock } from './clock.ts'
import { readConfig, readSelection } from './config.ts'
import { BedplateError, reasonOf } from './errors.ts'
import { startKernel } from './kernel.ts'
import { createLogger } from './log.ts'
import { createNotify } from './notify.ts'
import { selectPlugins } from './outside.ts'
import { parts } from './parts.ts'
import { plugins as builtIn } from './plugins.ts'
import { asFlag } from './schema.ts'
import { settingsHelp } from './settings.ts'

const systemFile = '/etc/bedplate/bedplate.yaml'
const usage = `bedplate run [--config <file>] [--<setting> <value>]…

Runs the daemon. Settings come from flags, then BEDPLATE_… in the environment, then the file
(--config, BEDPLATE_CONFIG, or ${systemFile} where it exists), then these defaults:

`

/** `--name value` and `--name=value`; a flag with no value is on. Throws CONFIG_INVALID for anything else. */
function parseFlags (args: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {}
  for (let index = 0; index < args.length; index++) {
    const [, name, value] = /^--([a-z][\w.-]*)(?:=([^]*))?$/.exec(args[index] ?? '') ?? []
    if (name === undefined) throw new BedplateError('CONFIG_INVALID', { problems: `  ${args[index]}: not a flag; "bedplate run --help" lists them` })
    const next = args[index + 1]
    if (value === undefined && next !== undefined && !next.startsWith('--')) index++
    flags[asFlag(name.split('.'))] = value ?? (next === undefined || next.startsWith('--') ? '' : next)
  }
  return flags
}

async function run (args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usage + settingsHelp())
    return 0
  }
  const { config: given, ...flags } = parseFlags(args)
  const file = given ?? process.env.BEDPLATE_CONFIG ?? (existsSync(systemFile) ? systemFile : undefined)
  const sources = { file, env: process.env, flags }
  const from = [file === undefined ? resolve() : dirname(resolve(file)), join(import.meta.dirname, '..')] as const
  const plugins = await selectPlugins(builtIn, await readSelection(sources), { from, clock: systemClock })
  const config = await readConfig(plugins.map(plugin => plugin.manifest), sources)
  const log = createLogger(config.core.log.level)
  const notify = await createNotify(process.env.NOTIFY_SOCKET, log)

  const interrupt = new AbortController()
  const signalled = (signal: NodeJS.Signals) => {
    if (interrupt.signal.aborted) {
      log.warn(`${signal} again: leaving at once`)
      process.exit(130)
    }
    log.info(`${signal}: stopping`)
    notify('STOPPING=1', 'STATUS=Stopping')
    interrupt.abort()
  }
  process.on('SIGTERM', signalled)
  process.on('SIGINT', signalled)
  const fatal = (what: string) => (error: unknown) => {
    // What went wrong is unknown, so nothing here can be trusted to stop cleanly; the next start recovers.
    log.fatal({ err: error }, `${what}: ${reasonOf(error)}`)
    process.exit(1)
  }
  process.on('uncaughtException', fatal('uncaught error'))
  process.on('unhandledRejection', fatal('unhandled rejection'))

  notify('STATUS=Starting')
  const kernel = await startKernel({ config, plugins, log, parts, signal: interrupt.signal, processMetrics: true }).catch((error: unknown) => {
    if (interrupt.signal.aborted && error instanceof BedplateError && error.code === 'UNAVAILABLE') return undefined // asked to stop while it started
    throw error
  })
  if (kernel === undefined) return 0
  const ports = kernel.hosts.ports()
  notify('READY=1', `STATUS=Running as ${config.core.roles.join(' and ')}${ports.api === undefined ? '' : `, API on port ${ports.api}`}`)
  await kernel.stopped
  return 0
}

async function cli (args: readonly string[]): Promise<number> {
  const program = new URL('../cli/program.ts', import.meta.url)
  if (!existsSync(program)) {
    process.stderr.write(`bedplate: the commands are not part of this installation; "bedplate run" runs the daemon (${join('cli', 'program.ts')} is missing).\n`)
    return 1
  }
  const { runCli } = await import(program.href) as { runCli (argv: readonly string[], env: Readonly<Record<string, string | undefined>>, io: { stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream, stdin: NodeJS.ReadStream, signal: AbortSignal, start: (args: readonly string[]) => Promise<void> }): Promise<number> }
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupt.abort() }) // once: the second one ends even what does not listen
  const start = async (args: readonly string[]): Promise<void> => { process.exit(await run(args)) }
  return runCli(args, process.env, { stdout: process.stdout, stderr: process.stderr, stdin: process.stdin, signal: interrupt.signal, start })
}

const [command, ...args] = process.argv.slice(2)
try {
  const code = command === 'run' ? await run(args) : await cli(process.argv.slice(2))
  if (command === 'run') process.exit(code) // whatever a part may have left open
  process.exitCode = code
} catch (error) {
  process.stderr.write(`bedplate: ${error instanceof BedplateError ? error.message : error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
  process.exit(1)
}
