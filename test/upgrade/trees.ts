/** Whole trees of Bedplate in a scratch folder: this version, and ones that come after it. */
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseVersion } from '../../core/version.ts'

const root = join(import.meta.dirname, '../..')

export interface Tree { readonly directory: string, readonly version: string, readonly ledger: string }

/** Copies this tree to `directory`, with its version's minor raised by `ahead`. From one ahead on it has migrations and code this one has not. */
export async function makeTree (directory: string, ahead: 0 | 1 | 2): Promise<Tree> {
  await mkdir(directory, { recursive: true })
  for (const part of ['core', 'plugins', 'cli', 'bin', 'package.json']) await cp(join(root, part), join(directory, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  const ledger = join(directory, 'test/upgrade/ledger') // as deep as here, for its imports
  await cp(join(import.meta.dirname, 'ledger'), ledger, { recursive: true })

  const file = join(directory, 'package.json')
  const text = await readFile(file, 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  const { major = 0, minor = 0 } = parseVersion(version) ?? {}
  const raised = ahead === 0 ? version : `${major}.${minor + ahead}.0`
  await writeFile(file, text.replace(`"version": "${version}"`, `"version": "${raised}"`))
  if (ahead === 0) return { directory, version: raised, ledger }

  const core = join(directory, 'core/database/migrations')
  const next = String((await readdir(core)).length + 1).padStart(4, '0')
  await writeFile(join(core, `${next}-next.sql`), 'alter table core.controller add column rack_unit integer not null default 0;\ncreate table core.rack_unit (id integer primary key, name text not null default \'\');\n')
  for (const name of await readdir(join(ledger, 'next'))) await cp(join(ledger, 'next', name), name.endsWith('.sql') ? join(ledger, 'migrations', name) : join(ledger, name))
  const store = join(ledger, 'store.ts')
  await writeFile(store, (await readFile(store, 'utf8')).replace('../../../../core/', '../../../core/')) // it lies one folder higher now
  return { directory, version: raised, ledger }
}
