/** `bedplate iscsi serve` as a program of its own, as a user starts it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Serving {
  /** `address:port` of each portal. */
  readonly portals: readonly string[]
  readonly pid: number
  /** How it ended by itself; undefined while it runs. */
  readonly fate: string | undefined
  /** What it said on standard error, the last of it. */
  readonly said: string
  end(): Promise<void>
}

const program = join(import.meta.dirname, '../../core/main.ts')

/** Rejects with what it said when it does not serve. */
export async function startServing (args: readonly string[]): Promise<Serving> {
  const child = spawn(process.execPath, [program, 'iscsi', 'serve', '-o', 'json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [fate, errors]: [string | undefined, string] = [undefined, '']
  const ended = new Promise<void>(resolve => { child.once('close', (code, signal) => { fate = `${signal ?? `exit code ${code}`}: ${errors.slice(-500)}`; resolve() }) })
  child.stderr.on('data', chunk => { errors = `${errors}${String(chunk)}`.slice(-10_000) })
  const portals = await new Promise<readonly string[]>((resolve, reject) => {
    let text = ''
    createInterface(child.stdout).on('line', line => {
      text += line
      if (line === '}') resolve((JSON.parse(text) as { portals: string[] }).portals)
    })
    void ended.then(() => { reject(new TypeError(`the target did not start: ${fate}`)) })
  })
  return { portals, pid: child.pid ?? 0, get fate () { return fate }, get said () { return errors }, async end () { child.kill('SIGINT'); await ended } }
}
