/** The boot loaders in some folders, by name: a flat list, so that no name a client sends is ever made into a path. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../core/errors.ts'
import { degraded, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import { fileContent } from '../tftp/files.ts'
import type { Content } from '../tftp/content.ts'
import { meant, remedyFor, sources } from './catalogue.ts'

export interface Loaders {
  /** Path of the loader with that very name, or of what goes by it; undefined when there is none. */
  path(name: string): string | undefined
  /** Opens it for reading; undefined when there is none of that name. */
  open(name: string): Promise<Content | undefined>
  /** Looks at the folders again. Never throws. */
  scan(): Promise<void>
  /** Loaders that somebody was told to fetch, and that are not here, with what brings them. */
  missing(name: string): void
  health(): Health
}

/** Names are taken as firmware sends them: slashes in front, of either kind, are let pass, anything else must match a file's name exactly. */
export const plainName = (name: string): string => name.replace(/^[/\\]+/, '')

/** What lies in an earlier folder stands before what has the same name in a later one. */
export function createLoaders (directories: readonly string[]): Loaders {
  let known = new Map<string, string>()
  let scanned = false
  let unreadable: readonly string[] = []
  const wanting = new Set<string>() // names asked for in vain
  const path = (name: string): string | undefined => {
    const plain = plainName(name)
    return known.get(plain) ?? known.get(meant(plain))
  }
  async function read (directory: string, into: Map<string, string>): Promise<string | undefined> {
    try {
      for (const name of await readdir(directory)) {
        const full = join(directory, name)
        const kind = await stat(full).catch(() => undefined) // follows links; one that leads nowhere is left out
        if (kind?.isFile() && !into.has(name)) into.set(name, full)
      }
      return undefined
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? undefined : `The boot loaders in ${directory} cannot be read: ${reasonOf(error)}.`
    }
  }
  return {
    path,
    async open (name) {
      const found = path(name)
      return found === undefined ? undefined : fileContent(found)
    },
    async scan () {
      const found = new Map<string, string>()
      const problems: string[] = []
      for (const directory of directories) {
        const problem = await read(directory, found)
        if (problem !== undefined) problems.push(problem)
      }
      known = found
      unreadable = problems
      scanned = true
      for (const name of wanting) if (path(name) !== undefined) wanting.delete(name)
    },
    missing (name) { if (path(name) === undefined && sources.some(({ names }) => names.includes(meant(name)))) wanting.add(meant(name)) },
    health () {
      if (!scanned) return degraded(`The loaders in ${directories.join(', ')} have not been looked at yet.`)
      // nobody installs iPXE for one machine's sake: without any of it nothing boots, and that is said before anybody asks
      const none = !known.has('undionly.kpxe') && ![...known.keys()].some(name => name.endsWith('.efi'))
      const absent = sources.filter(source => (none && source.needed) || source.names.some(name => wanting.has(name)))
      const sentences = absent.length === 0 ? [] : [`There is no loader for ${[...new Set(absent.map(source => source.for))].join(', ')} in ${directories.join(', ')}: ${remedyFor(absent.map(source => source.package))}`]
      return sentences.length + unreadable.length === 0 ? running : degraded([...unreadable, ...sentences].join(' '))
    }
  }
}
