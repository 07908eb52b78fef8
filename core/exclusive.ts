/** One daemon for a data directory: two would share an identity, a database server and an outbox. */
import { chmodSync } from 'node:fs'
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
