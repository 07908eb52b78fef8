/** Who this controller is: an id made once and kept in the data directory, a name, and the version it runs. */
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { BedplateError, reasonOf } from './errors.ts'
import type { Controller } from './plugin.ts'
import type { Settings } from './settings.ts'

/** Makes the data directory (mode 0711: the database's account passes through, nobody lists it) where missing. Throws START_FAILED when it cannot be written. */
export async function identify (settings: Pick<Settings, 'dataDirectory' | 'roles' | 'hostname'>): Promise<Controller> {
  const { dataDirectory, roles } = settings
  try {
    await mkdir(dataDirectory, { recursive: true, mode: 0o711 })
    const id = await keptId(join(dataDirectory, 'controller.id'))
    return Object.freeze({ id, hostname: settings.hostname ?? hostname(), roles, version: await packageVersion(), dataDirectory })
  } catch (cause) {
    throw new BedplateError('START_FAILED', { what: `The data directory ${dataDirectory}`, reason: `${reasonOf(cause)}. Set dataDirectory to a folder this user may write.` }, cause)
  }
}

/** The id in that file. A link is made or refused as a whole, so a crash leaves no empty file and two starts agree on one id. */
async function keptId (path: string): Promise<string> {
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, `${randomUUID()}\n`, { flush: true })
  try { await link(draft, path) } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally { await unlink(draft) }
  return (await readFile(path, 'utf8')).trim()
}

/** The version in package.json. */
export async function packageVersion (): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version?: unknown }).version)
}
