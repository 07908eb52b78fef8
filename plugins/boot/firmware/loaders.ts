/** The boot loaders in a folder, by name: a flat list, so that no name a client sends is ever made into a path. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../core/errors.ts'
import { degraded, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import { fileContent } from '../tftp/content.ts'
import type { Content } from '../tftp/content.ts'

export interface Loaders {
  /** Path of the loader with that very name, or undefined. */
  path(name: string): string | undefined
  /** Opens it for reading; undefined when there is none of that name. */
  open(name: string): Promise<Content | undefined>
  /** Looks at the folder again. Never throws. */
  scan(): Promise<void>
  health(): Health
}

/** Names are taken as firmware sends them: slashes in front are let pass, anything else must match a file's name exactly. */
export const plainName = (name: string): string => name.replace(/^\/+/, '')

export function createLoaders (directory: string): Loaders {
  let known = new Map<string, string>()
  let state: Health = degraded(`The loaders in ${directory} have not been looked at yet.`)
  const path = (name: string): string | undefined => known.get(plainName(name))
  return {
    path,
    async open (name) {
      const found = path(name)
      return found === undefined ? undefined : fileContent(found)
    },
    async scan () {
      const remedy = 'apt-get install ipxe'
      try {
        const found = new Map<string, string>()
        for (const name of await readdir(directory)) {
          const full = join(directory, name)
          const kind = await stat(full).catch(() => undefined) // follows links; one that leads nowhere is left out
          if (kind?.isFile()) found.set(name, full)
        }
        known = found
        state = found.has('undionly.kpxe') || [...found.keys()].some(name => name.endsWith('.efi')) ? running : degraded(`There is no iPXE in ${directory}: ${remedy}`)
      } catch (error) {
        known = new Map()
        state = degraded(`The boot loaders in ${directory} cannot be read (${reasonOf(error)}): ${remedy}`)
      }
    },
    health: () => state
  }
}
