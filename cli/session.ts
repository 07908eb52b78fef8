/** What a command works with: the API it talks to, where it prints, and who asked. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Command } from 'commander'
import type { Build } from './build.ts'
import { createClient } from './client.ts'
import type { Client } from './client.ts'
import { createOutput } from './output.ts'
import type { Format, Output } from './output.ts'

export type Environment = Readonly<Record<string, string | undefined>>
/** `signal` ends what waits or follows; `pollMs` is how often --wait looks (1,000); `build` makes images; `start` becomes the daemon. */
export interface Io { readonly stdout: Writable, readonly stderr: Writable, readonly stdin?: Readable | undefined, readonly signal?: AbortSignal | undefined, readonly pollMs?: number | undefined, readonly build?: Build | undefined, readonly start?: ((args: readonly string[]) => Promise<unknown>) | undefined }
export interface Session { readonly client: Client, readonly output: Output, readonly env: Environment, readonly io: Io, readonly options: GlobalOptions }
/** Adds a noun's commands. `on` says what a command does: its arguments and options, and an open session. */
export type Noun = (program: Command, on: On) => void
export type Work<O> = (session: Session, args: string[], options: O) => Promise<void>
export type On = <O = Record<string, never>>(command: Command, work: Work<O>) => void

export const defaultUrl = 'http://127.0.0.1:5240'

/** Options that every command takes, as given on the command line. */
export interface GlobalOptions { readonly url?: string, readonly token?: string, readonly output: Format }

export async function openSession (options: GlobalOptions, env: Environment, io: Io): Promise<Session> {
  const url = options.url ?? (env.BEDPLATE_URL || defaultUrl)
  const token = options.token ?? (env.BEDPLATE_TOKEN || undefined) ?? (isLocal(url) ? await keptToken(env, url) : undefined)
  return { client: createClient({ url, token, signal: io.signal }), output: createOutput(options.output, io.stdout, io.stderr), env, io, options }
}

/** Only this host is shown the token found on it. */
function isLocal (url: string): boolean {
  const host = URL.parse(url)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}

/** The file in which whoever runs a region on this host for a while, as the lab does, leaves its token and pid for the time being. */
export const passingToken = (env: Environment, port: string): string | undefined => {
  const state = stateOf(env)
  return state === undefined ? undefined : join(state, `${port}.token`)
}
const stateOf = (env: Environment): string | undefined => env.XDG_STATE_HOME ? join(env.XDG_STATE_HOME, 'bedplate') : env.HOME ? join(env.HOME, '.local', 'state', 'bedplate') : undefined

/** The admin token of the region on this host, when this user may read it: of a passing one on that port, else from a data directory. */
async function keptToken (env: Environment, url: string): Promise<string | undefined> {
  if (env.BEDPLATE_DATA_DIRECTORY) return await firstWord(join(env.BEDPLATE_DATA_DIRECTORY, 'admin.token'))
  const passing = passingToken(env, URL.parse(url)?.port ?? '')
  if (passing !== undefined) {
    const [token, pid] = (await readFile(passing, 'utf8').catch(() => '')).trim().split(/\s+/)
    if (token && Number(pid) > 0 && isAlive(Number(pid))) return token
  }
  const state = stateOf(env)
  return await firstWord('/var/lib/bedplate/admin.token') ?? (state === undefined ? undefined : await firstWord(join(state, 'admin.token')))
}

/** One that was killed leaves its file behind. */
function isAlive (pid: number): boolean {
  try { return process.kill(pid, 0) } catch (error) { return error instanceof Error && 'code' in error && error.code === 'EPERM' }
}

const firstWord = async (file: string): Promise<string | undefined> => (await readFile(file, 'utf8').catch(() => '')).trim() || undefined
