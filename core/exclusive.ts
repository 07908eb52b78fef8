/** One daemon for a data directory: two would share an identity, a database server and an outbox. */
import { chmodSync } from 'node:fs'
import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BedplateError, reasonOf } from './errors.ts'

/**
 * Holds the directory until the returned function is called (keep it: a collected one lets go), or this process dies however it dies: SQLite's lock is the operating system's (Node has no flock of its own; a
 * file with a pid in it outlives a `kill -9` and may name a stranger).
 * @throws BedplateError START_FAILED when another daemon holds it
 */
export function holdDirectory (directory: string): () => void {
  const path = join(directory, 'lock.db')
  const lock = new DatabaseSync(path, { timeout: 2000 }) // a daemon that is just ending may finish
  try {
    chmodSync(path, 0o600)
    lock.exec('pragma journal_mode = memory; pragma locking_mode = exclusive; begin exclusive')
  } catch (cause) {
    lock.close()
    const reason = /locked/.test(reasonOf(cause)) ? 'another Bedplate runs on it. Stop that one, or set dataDirectory to a folder of its own' : reasonOf(cause)
    throw new BedplateError('START_FAILED', { what: `The data directory ${directory}`, reason }, cause)
  }
  return () => { lock.close() }
}

/** The process that holds the directory, as the kernel tells it: only the holder of the lock is named, whatever became of those before. Undefined when none does, or it is not to be seen from here. */
export async function holderOf (directory: string): Promise<number | undefined> {
  try {
    const path = await realpath(join(directory, 'lock.db'))
    const { ino } = await stat(path)
    // proc(5), /proc/locks: "1: POSIX  ADVISORY  WRITE 4711 08:01:131 0 EOF"
    const pids = [...(await readFile('/proc/locks', 'utf8')).matchAll(/^\d+: POSIX\s+\S+\s+WRITE (\d+) \S+:(\d+) /gm)].filter(([, , inode]) => Number(inode) === ino).map(([, pid]) => Number(pid))
    for (const pid of new Set(pids)) {
      if (pid === process.pid) continue
      const open = await Promise.all((await readdir(`/proc/${pid}/fd`)).map(file => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
      if (open.includes(path)) return pid // inode numbers of two file systems may be the same
    }
  } catch { /* no lock, no /proc, or another user's */ }
  return undefined
}
