/** Lets the regions of other hosts into the embedded PostgreSQL: on one address, with a password that is kept beside the data. */
import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { BedplateError, reasonOf } from '../errors.ts'
import { listenAt, nameOf, remedyFor } from '../listening.ts'
import type { Logger } from '../log.ts'
import { openSession } from './connection.ts'
import { startEmbedded } from './embedded.ts'
import type { Embedded, EmbeddedOptions } from './embedded.ts'

export interface Shared { readonly password: string, readonly name: string, readonly user: string }

/** Made on first use, readable by its owner only. */
async function passwordIn (directory: string): Promise<string> {
  const path = join(directory, 'database.password')
  try {
    const file = await open(path, 'wx', 0o600)
    try { await file.writeFile(randomBytes(24).toString('base64url')); await file.sync() } finally { await file.close() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const password = (await readFile(path, 'utf8')).trim()
  if (!/^[\w-]{16,}$/.test(password)) throw new BedplateError('EMBEDDED_DATABASE', { reason: `${path} holds no password. Delete it: another is made, and regions on other hosts must be told (database.password)` })
  return password
}

/**
 * Starts the embedded server so that it listens at `listen`, and lets in whoever knows the password. One that was adopted and listens elsewhere is started anew.
 * @throws BedplateError EMBEDDED_DATABASE
 */
export async function startShared ({ listen, log, ...options }: EmbeddedOptions & { readonly listen: { readonly host: string, readonly port: number }, readonly log: Logger }): Promise<Embedded & { readonly shared: Shared }> {
  const password = await passwordIn(options.dataDirectory)
  const start = () => startEmbedded({ ...options, log, settings: { ...options.settings, listen_addresses: listen.host, port: String(listen.port) } }).catch(async (error: unknown) => {
    const reason = await faultAt(listen)
    throw reason === undefined ? error : new BedplateError('EMBEDDED_DATABASE', { reason }, error)
  })
  let server = await start()
  for (let again = 1; ; again--) {
    const { database: name, user } = server.connection
    try {
      if (await prepare(server, listen, password)) return { ...server, shared: { password, name, user } }
      if (again === 0) throw new BedplateError('EMBEDDED_DATABASE', { reason: `it does not listen at ${listen.host}, port ${listen.port}` })
    } catch (error) {
      await server.stop()
      throw error instanceof BedplateError ? error : new BedplateError('EMBEDDED_DATABASE', { reason: reasonOf(error) }, error)
    }
    log.info('the embedded PostgreSQL is started anew to listen for other regions')
    await server.stop()
    server = await start()
  }
}

/** Who is let in: whole or not at all, and through no link that the server's account may have left in its own folder. */
async function writeRules (path: string, text: string): Promise<void> {
  if (await readFile(path, 'utf8') === text) return
  const part = `${path}.part`
  await rm(part, { force: true })
  await writeFile(part, text, { flag: 'wx', mode: 0o644, flush: true })
  await rename(part, path)
}

/** The server's own words are in its log; this tells at once why an address cannot be had. */
async function faultAt (listen: { readonly host: string, readonly port: number }): Promise<string | undefined> {
  const server = createServer()
  try { await listenAt(server, listen) } catch (error) { return `embedded.listen: ${nameOf(listen)}: ${remedyFor(error, listen)}` }
  await new Promise(resolve => { server.close(resolve) })
  return undefined
}

/** Sets the password and who is let in; false when the server listens elsewhere. */
async function prepare (server: Embedded, listen: { readonly host: string, readonly port: number }, password: string): Promise<boolean> {
  const { host, port, database, user } = server.connection
  const session = await openSession({ host, port }, { database, user, applicationName: 'bedplate sharing' }, '0')
  try {
    const [at] = await session.query<{ host: string, port: string, hba: string }>("select current_setting('listen_addresses') as host, current_setting('port') as port, current_setting('hba_file') as hba")
    if (at?.host !== listen.host || Number(at.port) !== listen.port) return false
    await session.query("set password_encryption = 'scram-sha-256'")
    await session.query(`alter role ${user} password '${password}'`) // letters, digits, _ and - only
    await writeRules(at.hba, `local all all peer map=bedplate\nhost ${database} ${user} all scram-sha-256\n`)
    await session.query('select pg_reload_conf()')
    return true
  } finally {
    await session.close()
  }
}
