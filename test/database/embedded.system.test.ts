/** The embedded PostgreSQL under the accounts and in the folders that real hosts have. Needs root, which may become anybody. */
import { execFile, spawn } from 'node:child_process'
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openSession } from '../../core/database/connection.ts'
import { packaged } from '../../core/database/binaries.ts'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Connection, Embedded, EmbeddedOptions } from '../../core/database/embedded.ts'
import { createLogger } from '../../core/log.ts'

const run = promisify(execFile)
const checkout = join(import.meta.dirname, '../..')
const log = createLogger('silent')
let root = '' // open to all
const started: Embedded[] = []
beforeAll(() => { if (process.getuid?.() !== 0) throw new TypeError('these tests need root: they start servers under other accounts') })
beforeEach(async () => {
  root = await mkdtemp(join(await realpath(tmpdir()), 'accounts-'))
  await chmod(root, 0o755)
})
afterEach(async () => {
  await Promise.all(started.splice(0).map(server => server.stop()))
  await rm(root, { recursive: true, force: true })
})

async function start (options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const server = await startEmbedded({ dataDirectory: join(root, 'data'), system: join(root, 'system'), log, settings: { fsync: 'off' }, ...options })
  started.push(server)
  return server
}
async function select ({ connection }: { connection: Connection }): Promise<unknown[]> {
  const session = await openSession(connection, { ...connection, applicationName: 'test' })
  try { return await session.query('select current_user::text as me') } finally { await session.close() }
}
const ownerOf = async (path: string): Promise<string> => (await run('stat', ['-c', '%U', path])).stdout.trim()
const idOf = async (flag: string, name: string): Promise<number> => Number((await run('id', [flag, name])).stdout)

/** Runs a program of the checkout as another user, through a bind mount: the checkout itself may be closed to that user. */
async function asUser (user: string, ...args: readonly string[]): Promise<{ code: number | null, out: string }> {
  const view = join(root, 'checkout')
  await mkdir(view, { recursive: true })
  const [uid, gid] = [await idOf('-u', user), await idOf('-g', user)]
  const script = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && uid=$1 gid=$2 && shift 2 && exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"'
  const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', checkout, view, String(uid), String(gid), join(view, 'node_modules/.bin/node'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => { out += text.toString() })
  const code = await new Promise<number | null>(resolve => { child.once('close', resolve) })
  return { code, out }
}

describe('as root', () => {
  test('it runs as the system user bedplate, who owns the data; root gets in without a password', async () => {
    const server = await start()
    expect(server.data).toBe(join(root, 'data/postgresql'))
    expect(await ownerOf(server.data)).toBe('bedplate')
    expect((await stat(server.data)).mode & 0o777).toBe(0o700)
    const pid = (await readFile(join(server.data, 'postmaster.pid'), 'utf8')).split('\n')[0]
    expect(await ownerOf(`/proc/${pid}`)).toBe('bedplate')
    expect(await select(server)).toEqual([{ me: 'bedplate' }])
  })

  test('nobody else on the host gets in, even with the folders opened', async () => {
    const { connection, data } = await start({ settings: { fsync: 'off', unix_socket_permissions: '0777' } })
    const knock = `import pg from 'pg'; const c = new pg.Client(${JSON.stringify(connection)}); c.connect().then(() => { console.log('IN'); process.exit(0) }, e => { console.log(e.message); process.exit(3) })`
    const closed = await asUser('nobody', '--input-type=module', '-e', knock)
    expect(closed).toMatchObject({ code: 3, out: expect.stringContaining('EACCES') as string })
    await chmod(data, 0o711) // the second wall
    const refused = await asUser('nobody', '--input-type=module', '-e', knock)
    await chmod(data, 0o700)
    expect(refused).toMatchObject({ code: 3, out: expect.stringContaining('Peer authentication failed') as string })
  })

  test('a data directory that is closed to it gets a link to where the data can be, and keeps to it', async () => {
    const dataDirectory = join(root, 'closed', 'data')
    await mkdir(dataDirectory, { recursive: true })
    await chmod(join(root, 'closed'), 0o700)
    const first = await start({ dataDirectory })
    expect(dirname(dirname(first.data))).toBe(join(root, 'system'))
    expect((await lstat(join(dataDirectory, 'postgresql'))).isSymbolicLink()).toBe(true)
    expect(await select(first)).toEqual([{ me: 'bedplate' }])
    await first.stop()
    await chmod(join(root, 'closed'), 0o755) // now it could be there; it is not moved by that
    expect((await start({ dataDirectory })).data).toBe(first.data)
  })

  test('data that its owner can no longer reach is an error that says so, never an empty database', async () => {
    const first = await start({ dataDirectory: join(root, 'later', 'data') })
    await first.stop()
    await chmod(join(root, 'later'), 0o700)
    await expect(start({ dataDirectory: join(root, 'later', 'data') })).rejects.toThrow(/cannot reach its data at .*chmod o\+x/)
  })

  test('data of an ordinary user goes on under that user', async () => {
    const dataDirectory = join(root, 'theirs')
    await mkdir(dataDirectory)
    await chown(dataDirectory, await idOf('-u', 'nobody'), await idOf('-g', 'nobody'))
    expect(await asUser('nobody', 'test/database/holder.ts', dataDirectory, join(root, 'unused'), 'once')).toMatchObject({ code: 0 })
    const server = await start({ dataDirectory })
    expect(await ownerOf((await readFile(join(server.data, 'postmaster.pid'), 'utf8')).split('\n')[0]?.replace(/^/, '/proc/') ?? '')).toBe('nobody')
    expect(await select(server)).toEqual([{ me: 'bedplate' }])
  })
})

describe('programs', () => {
  const closed = async (links: boolean): Promise<{ directory: string, version: string }> => {
    const { directory, version } = await packaged()
    const copy = join(root, 'secret', 'node_modules', 'native')
    await mkdir(dirname(copy), { recursive: true })
    await cp(directory, copy, { recursive: true, verbatimSymlinks: true })
    await chmod(join(root, 'secret'), 0o700)
    if (!links) {
      const lib = join(copy, 'lib')
      for (const file of await readdir(lib)) if ((await lstat(join(lib, file))).isSymbolicLink()) await rm(join(lib, file))
    }
    return { directory: copy, version }
  }

  test('of a checkout that is closed to the account (under /root) are copied once to where it can run them', async () => {
    const binaries = await closed(true)
    const first = await start({ binaries })
    expect(await select(first)).toEqual([{ me: 'bedplate' }])
    const copy = join(root, 'system', `postgresql-${binaries.version}`)
    const made = await stat(copy)
    expect(made.mode & 0o777).toBe(0o755)
    await first.stop()
    await start({ binaries })
    expect((await stat(copy)).ino).toBe(made.ino)
    expect((await readdir(join(root, 'system'))).filter(name => name.startsWith('postgresql-'))).toEqual([basename(copy)])
  })

  test('that a strict npm installed without their links are given them', async () => {
    const binaries = await closed(false)
    await chmod(join(root, 'secret'), 0o755)
    expect(await select(await start({ binaries }))).toEqual([{ me: 'bedplate' }])
    expect((await lstat(join(binaries.directory, 'lib/libpq.so.5'))).isSymbolicLink()).toBe(true)
  })

  test('in a copy that was cut off half-way are copied again', async () => {
    const binaries = await closed(true)
    const copy = join(root, 'system', `postgresql-${binaries.version}`)
    await mkdir(join(copy, 'bin'), { recursive: true })
    expect(await select(await start({ binaries }))).toEqual([{ me: 'bedplate' }])
  })
})

describe('as an ordinary user', () => {
  test('it runs as that user, in that user\'s folder, without root', async () => {
    const dataDirectory = join(root, 'own')
    await mkdir(dataDirectory)
    await chown(dataDirectory, await idOf('-u', 'nobody'), await idOf('-g', 'nobody'))
    const first = await asUser('nobody', 'test/database/holder.ts', dataDirectory, join(root, 'unused'), 'once')
    expect(first).toMatchObject({ code: 0 })
    expect(JSON.parse(first.out)).toMatchObject({ adopted: false, data: join(dataDirectory, 'postgresql') })
    expect(await ownerOf(join(dataDirectory, 'postgresql'))).toBe('nobody')
    expect(await asUser('nobody', 'test/database/holder.ts', dataDirectory, join(root, 'unused'), 'once')).toMatchObject({ code: 0 })
    expect(await readdir(root)).not.toContain('unused')
  })
})

