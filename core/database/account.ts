/** Which operating-system account the embedded PostgreSQL runs as: PostgreSQL refuses root, so root lends it a system account of its own. */
import { execFile, spawn } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { promisify } from 'node:util'
import { BedplateError, reasonOf } from '../errors.ts'

const run = promisify(execFile)
const systemAccount = 'bedplate'

/** `identity` is what spawn() takes; empty when the server runs as the account of this process. */
export interface Account { readonly name: string, readonly identity: { readonly uid?: number, readonly gid?: number } }

/** The environment of every program started here: nothing of ours leaks in, messages are in English. */
export const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** The name of the account this process runs as. PostgreSQL's peer authentication goes by names. */
export function ownName (): string {
  try {
    return userInfo().username
  } catch (error) {
    throw new BedplateError('EMBEDDED_DATABASE', { reason: 'the account Bedplate runs as has no entry in /etc/passwd; add one, or configure a database of your own' }, error)
  }
}

async function look (name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name], { env: environment }), run('id', ['-g', name], { env: environment })])
    return { name, identity: { uid: Number(uid.stdout), gid: Number(gid.stdout) } }
  } catch {
    return undefined
  }
}

/**
 * The account for a server with its data at `data`: for an ordinary user that user; for root the owner of existing data, else `bedplate`, which is
 * created when missing.
 * @throws BedplateError EMBEDDED_DATABASE when there is no such account and none can be made
 */
export async function accountFor (data: string): Promise<Account> {
  if (process.getuid?.() !== 0) return { name: ownName(), identity: {} }
  const owner = await stat(data).then(found => found.uid, () => 0)
  if (owner !== 0) {
    const { stdout } = await run('id', ['-nu', String(owner)], { env: environment }).catch((error: unknown) => {
      throw new BedplateError('EMBEDDED_DATABASE', { reason: `${data} belongs to user ${owner}, which has no entry in /etc/passwd` }, error)
    })
    const found = await look(stdout.trim())
    if (found) return found
  }
  const found = await look(systemAccount)
  if (found) return found
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin', systemAccount], { env: environment })
  } catch (error) {
    const late = await look(systemAccount) // another controller on this host may have made it meanwhile
    if (late) return late
    throw new BedplateError('EMBEDDED_DATABASE', { reason: `it cannot run as root, and the system user "${systemAccount}" could not be created (${reasonOf(error)}); create it, or configure a database of your own` }, error)
  }
  const made = await look(systemAccount)
  if (!made) throw new BedplateError('EMBEDDED_DATABASE', { reason: `the system user "${systemAccount}" was created but cannot be found` })
  return made
}

/** True when `account` can do what the shell test says, e.g. `test -x "$1"`. `$1`, `$2` … are the arguments. */
export function can (account: Account, test: string, ...args: readonly string[]): Promise<boolean> {
  return new Promise(resolve => {
    const child = spawn('/bin/sh', ['-c', test, 'sh', ...args], { ...account.identity, cwd: '/', env: environment, stdio: 'ignore' })
    child.once('error', () => { resolve(false) })
    child.once('exit', code => { resolve(code === 0) })
  })
}
