/** What a command works with: the API it talks to, where it prints, and who asked. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import type { Command } from 'commander'
import type { Build } from './build.ts'
import { createClient } from './client.ts'
import type { Client } from './client.ts'
import { createOutput } from './output.ts'
import type { Format, Output } from './output.ts'

export type Environment = Readonly<Record<string, string | undefined>>
/** `signal` ends what waits or follows; `pollMs` is how often --wait looks (1,000); `build` makes images. */
export interface Io { readonly stdout: Writable, readonly stderr: Writable, readonly signal?: AbortSignal | undefined, readonly pollMs?: number | undefined, readonly build?: Build | undefined }
export interface Session { readonly client: Client, readonly output: Output, readonly env: Environment, readonly io: Io }
/** Adds a noun's commands. `on` says what a command does: its arguments and options, and an open session. */
export type Noun = (program: Command, on: On) => void
export type Work<O> = (session: Session, args: string[], options: O) => Promise<void>
export type On = <O = Record<string, never>>(command: Command, work: Work<O>) => void

export const defaultUrl = 'http://127.0.0.1:5240'

/** Options that every command takes, as given on the command line. */
export interface GlobalOptions { readonly url?: string, readonly token?: string, readonly output: Format }

export async function openSession (options: GlobalOptions, env: Environment, io: Io): Promise<Session> {
  const url = options.url ?? (env.BEDPLATE_URL || defaultUrl)
  const token = options.token ?? (env.BEDPLATE_TOKEN || undefined) ?? (isLocal(url) ? await keptToken(env) : undefined)
  return { client: createClient({ url, token, signal: io.signal }), output: createOutput(options.output, io.stdout, io.stderr), env, io }
}

/** Only this host is shown the token found on it. */
function isLocal (url: string): boolean {
  const host = URL.parse(url)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}

/** The admin token that a region on this host keeps in its data directory, when this user may read it. */
async function keptToken (env: Environment): Promise<string | undefined> {
  const state = env.XDG_STATE_HOME || (env.HOME ? join(env.HOME, '.local', 'state') : undefined)
  const directories = env.BEDPLATE_DATA_DIRECTORY ? [env.BEDPLATE_DATA_DIRECTORY] : ['/var/lib/bedplate', ...state === undefined ? [] : [join(state, 'bedplate')]]
  for (const directory of directories) {
    const text = await readFile(join(directory, 'admin.token'), 'utf8').catch(() => '')
    if (text.trim() !== '') return text.trim()
  }
  return undefined
}
