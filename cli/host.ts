/** This host, for the commands that work on it and not through the API: its configuration, its identity, and what is put where. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { systemClock } from '../core/clock.ts'
import { readConfig, readSelection } from '../core/config.ts'
import type { Config } from '../core/config.ts'
import { BedplateError, reasonOf } from '../core/errors.ts'
import { holdDirectory } from '../core/exclusive.ts'
import { selectPlugins } from '../core/outside.ts'
import { plugins as builtIn } from '../core/plugins.ts'
import { Failure } from './failure.ts'
import type { Environment } from './session.ts'

export const systemFile = '/etc/bedplate/bedplate.yaml'
const mark = '# Written by "bedplate join" for controller '

/** A command that works on the host fails with the sentence of what the core says. */
export async function told<T> (work: () => Promise<T>): Promise<T> {
  try { return await work() } catch (error) {
    if (error instanceof BedplateError) throw new Failure(error.message.trimEnd(), { code: error.code })
    if (error instanceof Error && 'code' in error && /^E[A-Z]+$/.test(String(error.code))) throw new Failure(`${reasonOf(error)}${error.code === 'EACCES' || error.code === 'EPERM' ? '. Run this as the user Bedplate runs as (root: sudo)' : ''}`)
    throw error
  }
}

/** The configuration the daemon on this host runs with; `extra` are flags. Plugins from outside are read like the daemon reads them. */
export async function hostConfig (file: string | undefined, env: Environment, flags: Readonly<Record<string, string>> = {}): Promise<Config> {
  const sources = { file, env, flags }
  const from = [file === undefined ? resolve() : dirname(resolve(file)), join(import.meta.dirname, '..')] as const
  const plugins = await selectPlugins(builtIn, await readSelection(sources), { from, clock: systemClock })
  return await readConfig(plugins.map(({ manifest }) => manifest), sources)
}

/** The configuration this host's daemon runs with, and the file it is in: as given, else where the daemon and `join` look. A file about another data directory than the one given is not this daemon's. */
export async function foundConfig (given: string | undefined, dataDirectory: string | undefined, env: Environment): Promise<{ readonly file: string | undefined, readonly config: Config }> {
  const flags: Record<string, string> = dataDirectory === undefined ? {} : { 'data-directory': dataDirectory }
  const alone = await hostConfig(undefined, env, flags)
  const named = given ?? env.BEDPLATE_CONFIG
  for (const file of named === undefined ? [join(alone.core.dataDirectory, 'bedplate.yaml'), systemFile] : [named]) {
    if (!existsSync(file)) continue
    const config = await hostConfig(file, env)
    if (dataDirectory === undefined || resolve(config.core.dataDirectory) === resolve(dataDirectory)) return { file, config }
    if (named !== undefined) throw new Failure(`${file} is about ${config.core.dataDirectory}, not ${dataDirectory}.`, { exitCode: 2 })
  }
  return { file: undefined, config: alone }
}

/** The controller a file was written for by `join`; undefined for a file of somebody else, null for none. */
export async function writtenFor (file: string): Promise<string | undefined | null> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return null; throw error })
  return text === null ? null : text.startsWith(mark) ? text.slice(mark.length, text.indexOf('\n')).trim() : undefined
}

/** Writes a file whole or not at all, readable by its owner only. */
export async function writePrivate (file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const part = `${file}.part`
  const handle = await open(part, 'w', 0o600)
  try { await handle.chmod(0o600); await handle.writeFile(text); await handle.sync() } finally { await handle.close() }
  await rename(part, file)
}

export const configText = (controller: string, yaml: string): string => `${mark}${controller}\n${yaml}`

/** Holds the data directory; undefined when a daemon does. */
export function hold (dataDirectory: string): (() => void) | undefined {
  try { return holdDirectory(dataDirectory) } catch (error) {
    if (error instanceof BedplateError && /another Bedplate/.test(error.message)) return undefined
    throw error
  }
}

/** What makes a host a controller: in the data directory, put aside as a whole when it leaves. */
const belongings = ['identity', 'controller.id', 'secret.key', 'admin.token', 'rack.db', 'rack.db-wal', 'rack.db-shm']

/** True when putting aside was begun here once. */
export const hasLeft = async (dataDirectory: string): Promise<boolean> => (await readdir(dataDirectory).catch(() => [])).some(name => name.startsWith('left-'))

/** Moves what made this host a controller into a folder beside it. Gives the folder. */
export async function putAside (dataDirectory: string, file: string | undefined): Promise<string> {
  const stamp = new Date(systemClock.now()).toISOString().replace(/[:.]/g, '-')
  const folder = join(dataDirectory, `left-${stamp}`)
  await mkdir(folder, { mode: 0o700 })
  await chmod(folder, 0o700)
  const move = (from: string, to: string) => rename(from, to).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'ENOENT') throw error })
  for (const name of belongings) await move(join(dataDirectory, name), join(folder, name))
  if (file !== undefined) await move(file, `${file}.left-${stamp}`) // last: it tells where the rest is
  return folder
}
