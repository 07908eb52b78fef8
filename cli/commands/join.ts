/** `bedplate join`: makes this host a controller of an installation that runs elsewhere, and starts it. Works on this host, not through the API. */
import { Option } from 'commander'
import { readFile } from 'node:fs/promises'
import { join as path } from 'node:path'
import { stringify } from 'yaml'
import { identify } from '../../core/controller.ts'
import { createLogger } from '../../core/log.ts'
import type { Role } from '../../core/plugin.ts'
import { fingerprint } from '../../core/rpc/certificate.ts'
import type { EnrolAnswer, RegionNeeds } from '../../core/rpc/enrol-schema.ts'
import { createIdentityStore } from '../../core/rpc/identity.ts'
import type { IdentityStore } from '../../core/rpc/identity.ts'
import { askEnrolment } from '../../core/rpc/joining.ts'
import { parseToken } from '../../core/rpc/token.ts'
import { regionUrl } from '../../core/rpc/target.ts'
import { asFlag, isObject } from '../../core/schema.ts'
import { versionFault } from '../../core/version.ts'
import { Failure } from '../failure.ts'
import { configText, hold, hostConfig, systemFile, told, writePrivate, writtenFor } from '../host.ts'
import type { Environment, Noun, Session } from '../session.ts'

interface Options { readonly role?: Role[], readonly config?: string, readonly dataDirectory?: string, readonly hostname?: string, readonly databaseHost?: string[], readonly set?: string[], readonly start: boolean }
type Json = Record<string, unknown>

const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** `--set a.b=c`, read as the settings' schema wants it, below their keys. */
async function chosen (options: Options, env: Environment): Promise<{ readonly values: Json, readonly dataDirectory: string }> {
  const pairs = (options.set ?? []).map(text => {
    const [, key, value] = /^([A-Za-z][\w.-]*)=([^]*)$/.exec(text) ?? []
    if (key === undefined || value === undefined) throw new Failure(`--set ${text}: give it as key=value, for example http.port=5241.`, { exitCode: 2 })
    const keys = key.split('.')
    if (keys[0] === 'roles') throw new Failure('The roles are given with --role.', { exitCode: 2 })
    return { key, keys, value }
  })
  const given: [string, string][] = [...options.dataDirectory === undefined ? [] : [['data-directory', options.dataDirectory] as [string, string]], ...options.hostname === undefined ? [] : [['hostname', options.hostname] as [string, string]]]
  const { core, plugins } = await hostConfig(undefined, env, Object.fromEntries([...given, ...pairs.map(({ keys, value }): [string, string] => [asFlag(keys), value])]))
  const values: Json = options.hostname === undefined ? {} : { hostname: options.hostname }
  for (const { key, keys } of pairs) {
    const value = keys.reduce<unknown>((at, part) => isObject(at) ? at[part] : undefined, { ...core, ...plugins })
    if (value === undefined) throw new Failure(`--set ${key}: there is no such setting.`, { exitCode: 2 })
    let at = values
    for (const part of keys.slice(0, -1)) at = (at[part] ??= {}) as Json
    at[keys.at(-1) ?? ''] = value
  }
  return { values, dataDirectory: core.dataDirectory }
}

/** The key another installation's secrets are under must not be lost. */
async function secretFault (file: string, key: string): Promise<string | undefined> {
  const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return undefined; throw error })
  return kept === undefined || kept.trim() === key ? undefined : `${file} is the key of another installation: if nothing needs it any more, move it away; then say the same again`
}

const settingsOf = (answer: EnrolAnswer, roles: readonly Role[], dataDirectory: string, region: string): Json => ({
  roles: [...roles], dataDirectory,
  ...roles.includes('rack') ? { regions: [region] } : {},
  ...answer.region === undefined || !roles.includes('region') ? {} : { database: answer.region.database }
})

function merged (base: Json, over: Json): Json {
  const result = { ...base }
  for (const [key, value] of Object.entries(over)) { const old = result[key]; result[key] = isObject(old) && isObject(value) ? merged(old, value) : value }
  return result
}

/** A region that cannot reach the database from here is told now, and not in a log. */
async function tryDatabase ({ hosts, name, user, password }: RegionNeeds['database'], signal: AbortSignal | undefined): Promise<void> {
  const [{ openDatabase }, { hostOf }] = [await import('../../core/database/pool.ts'), await import('../../core/parts.ts')]
  try {
    const db = await openDatabase({ hosts: hosts.map(hostOf), database: name, user, ...password === '' ? {} : { password }, log: createLogger('silent'), size: 1 })
    try { await db.query('select 1') } finally { await db.close() }
  } catch (error) {
    if (signal?.aborted) throw new Failure('Interrupted.')
    const reason = error instanceof Error ? error.message : String(error)
    throw new Failure(`From this host the database is not to be used: ${reason} Open the way (firewall, pg_hba.conf), or name its hosts as this host reaches them in the file; then say the same again: what was fetched is kept.`, { code: 'DATABASE_UNREACHABLE' })
  }
}

async function work (session: Session, region: string, options: Options): Promise<void> {
  const { env, io, output } = session
  const token = session.options.token ?? env.BEDPLATE_ENROLMENT_TOKEN
  if (token === undefined) throw new Failure('A one-time token is needed: make one on a region with "bedplate controller token" (--role region for a region), and give it with --token or in BEDPLATE_ENROLMENT_TOKEN.', { exitCode: 2 })
  const { authoritySha256 } = parseToken(token)
  const url = regionUrl(region)
  const { values, dataDirectory } = await chosen(options, env)
  const file = options.config ?? env.BEDPLATE_CONFIG ?? (process.getuid?.() === 0 ? systemFile : path(dataDirectory, 'bedplate.yaml'))

  const { id, hostname, version } = await identify({ dataDirectory, roles: ['rack'], ...options.hostname === undefined ? {} : { hostname: options.hostname } })
  const store = createIdentityStore(dataDirectory)
  const release = hold(dataDirectory)
  const kept = await store.load()
  if (kept !== undefined && fingerprint(kept.authority) !== authoritySha256) { release?.(); throw new Failure(`This host belongs to another installation, as ${id}: run "bedplate leave" first.`, { code: 'CONFLICT' }) }
  if (release === undefined) {
    if (kept === undefined) throw new Failure(`Bedplate runs on this host already (${dataDirectory}): stop it, or give --data-directory a folder of its own.`, { code: 'CONFLICT' })
    return output.done(`This host has joined already, as ${id}, and Bedplate runs.`, { controller: id, file })
  }
  try {
    const writer = await writtenFor(file)
    if (kept === undefined ? writer !== null && writer !== id : writer === null) {
      throw new Failure(kept === undefined
        ? `${file} is there already and says something else. Move it away, or name another file with --config.`
        : `This host has joined already, as ${id}, but there is no ${file}. Name its file with --config; or run "bedplate leave", and join with a new token.`, { code: 'CONFLICT' })
    }
    if (kept === undefined) {
      const { roles } = await enrolHere({ session, url, token, id, hostname, version, store, file, dataDirectory, values, region, options })
      output.done(`This host has joined as ${roles.join(' and ')}, ${hostname} (${id}). Its configuration is ${file}.`, { controller: id, hostname, roles, file, dataDirectory })
    } else output.note(`This host has joined before, as ${id}; going on.`)
    const { core: { database, roles } } = await hostConfig(file, env)
    if (roles.includes('region') && database !== undefined) await tryDatabase(database, io.signal)
  } finally {
    release()
  }
  if (!options.start || io.start === undefined) return output.note(`Start it: bedplate run --config ${file}`)
  await io.start(['--config', file])
}

interface Enrolment { readonly session: Session, readonly url: string, readonly token: string, readonly id: string, readonly hostname: string, readonly version: string, readonly store: IdentityStore, readonly file: string, readonly dataDirectory: string, readonly values: Json, readonly region: string, readonly options: Options }

/** Asks, and puts what was answered where it belongs: the certificate last, for with it the host has joined. */
async function enrolHere ({ url, token, id, hostname, version, store, file, dataDirectory, values, region, options }: Enrolment): Promise<{ roles: readonly Role[] }> {
  const answer = await askEnrolment({ url, token, controller: id, hostname, version, store, ...options.role === undefined ? {} : { roles: options.role }, ...options.databaseHost === undefined ? {} : { databaseHosts: options.databaseHost } })
  const fault = answer.version === undefined ? undefined : versionFault(version, answer.version, 'the region')
  if (fault !== undefined) throw new Failure(`This host cannot join: ${fault}.`, { code: 'VERSION_INCOMPATIBLE' })
  const roles = answer.roles ?? options.role ?? ['rack']
  if (roles.includes('region')) {
    if (answer.region === undefined) throw new Failure('The region that answers is of a version that does not let regions join by one command. Upgrade it first.')
    const keyFile = path(dataDirectory, 'secret.key')
    const why = await secretFault(keyFile, answer.region.secretKey)
    if (why !== undefined) throw new Failure(`${why}.`, { code: 'CONFLICT' })
    await writePrivate(keyFile, answer.region.secretKey)
  }
  await writePrivate(file, configText(id, stringify(merged(settingsOf(answer, roles, dataDirectory, region), values))))
  await store.saveRegions(answer.regions, [])
  await store.save(answer.certificate, answer.authority)
  return { roles }
}

export const joinCommands: Noun = (program, on) => {
  on<Options>(program.command('join').description('make this host a region or rack of an installation, with a one-time token (--token, or BEDPLATE_ENROLMENT_TOKEN) made there by "bedplate controller token", and start it; works on this host')
    .argument('<region>', 'a region of it: host, host:port or URL; port 5250 unless given')
    .addOption(new Option('--role <role...>', 'what it is to be; by default all that the token allows').choices(['region', 'rack']))
    .option('--config <file>', `configuration file to write; ${systemFile} for root, else in the data directory`)
    .option('--data-directory <folder>', 'where keys and state go')
    .option('--hostname <name>', 'name it is shown under; by default the system\'s')
    .option('--database-host <host...>', 'where this host reaches the database, when that is not what the region says')
    .option('--set <key=value>', 'a setting for the file, for example rpc.advertise=region-b.example; may be repeated', collect)
    .option('--no-start', 'only join; "bedplate run" starts it'), (session, [region = ''], options) => told(() => work(session, region, options)))
}
