/** Open files that all who are being sent the same one share: a hundred machines that fetch one image open it once. */
import type { Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { BedplateError } from '../../../core/errors.ts'

export interface Opened { readonly file: FileHandle, readonly about: Stats }
export interface Handles {
  /**
   * Lends the file at `path` while `work` runs. `shared`: what lies there never changes, and who comes later may have it from the same handle. Throws NOT_FOUND when there is no such file.
   */
  lend<T>(path: string, shared: boolean, work: (opened: Opened) => Promise<T>): Promise<T>
}

interface Entry { readonly opened: Promise<Opened>, users: number }

async function take (path: string): Promise<Opened> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => { throw error.code === 'ENOENT' ? new BedplateError('NOT_FOUND', { what: 'file', id: path.replace(/^.*\//, '') }, error) : error })
  try {
    return { file, about: await file.stat() }
  } catch (error) {
    await file.close()
    throw error
  }
}

export function createHandles (): Handles {
  const entries = new Map<string, Entry>()
  return {
    async lend (path, shared, work) {
      const entry = (shared ? entries.get(path) : undefined) ?? { opened: take(path), users: 0 }
      if (shared) entries.set(path, entry)
      entry.users++
      try {
        return await work(await entry.opened)
      } finally {
        if (--entry.users === 0) {
          if (entries.get(path) === entry) entries.delete(path)
          await entry.opened.then(({ file }) => file.close(), () => {}) // one that could not be opened was told to whoever asked
        }
      }
    }
  }
}
