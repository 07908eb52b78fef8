/** A Bedplate process of the lab, in a namespace: started, killed, started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'

export const project = join(import.meta.dirname, '../..')
/** The interpreter this process runs under: node 24 of the dependencies. */
export const node = process.execPath

export interface ControllerProcess {
  readonly name: string
  readonly logFile: string
  start(extra?: readonly string[]): void
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number>
  /** SIGSTOP, SIGCONT: a process that hangs, and goes on. */
  signal(name: NodeJS.Signals): void
  running(): boolean
}

/** `config` is written as JSON, which is YAML, to `<name>.yaml`; without it that file is there already. */
export async function createController (options: { readonly name: string, readonly namespace: string, readonly directory: string, readonly config?: Readonly<Record<string, unknown>>, readonly died: (name: string, code: number | null) => void }): Promise<ControllerProcess> {
  const { name, namespace, directory } = options
  await mkdir(directory, { recursive: true })
  const configFile = join(directory, `${name}.yaml`)
  const logFile = join(directory, `${name}.log`)
  if (options.config !== undefined) await writeFile(configFile, JSON.stringify(options.config, null, 2))
  const log = createWriteStream(logFile, { flags: 'a' })
  let child: ChildProcess | undefined
  let gone: Promise<number> = Promise.resolve(0)
  let expected = false
  const end = async (signal: NodeJS.Signals) => {
    expected = true
    child?.kill(signal)
    return await gone
  }
  return {
    name,
    logFile,
    start (extra = []) {
      if (child) throw new BedplateError('CONFLICT', { reason: `${name} runs already.` })
      expected = false
      // `ip netns exec` execs the command, so the pid is the daemon's own and a SIGKILL reaches it
      const started = spawn('ip', ['netns', 'exec', namespace, node, join(project, 'core/main.ts'), 'run', '--config', configFile, ...extra], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
      child = started
      started.stdout?.pipe(log, { end: false })
      started.stderr?.pipe(log, { end: false })
      gone = new Promise(resolve => started.once('exit', code => {
        child = undefined
        resolve(code ?? 1)
        if (!expected) options.died(name, code)
      }))
    },
    kill: async () => { await end('SIGKILL') },
    stop: async () => await end('SIGTERM'),
    signal (signal) { child?.kill(signal) },
    running: () => child !== undefined
  }
}
