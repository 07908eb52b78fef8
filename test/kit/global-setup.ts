/** One PostgreSQL for a whole run of vitest: the embedded one, in a temporary directory, without the safety that only a crash would need. */
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Connection } from '../../core/database/embedded.ts'
import { postmasterOf, serves } from '../../core/database/postmaster.ts'
import { createLogger } from '../../core/log.ts'
import { scratch } from './scratch.ts'
import { until } from './wait.ts'

declare module 'vitest' {
  export interface ProvidedContext { postgresql: Connection }
}

const prefix = 'bedplate-test-'
/** Where process numbers mean what they mean here: a container that shares the folder cannot see whether an owner outside it lives. */
const here = await readlink('/proc/self/ns/pid').catch(() => hostname())

/** A run that was killed leaves its server behind, for it survives that by design: the next run stops it. */
async function sweep (temporary: string): Promise<void> {
  for (const name of await readdir(temporary)) {
    if (!name.startsWith(prefix)) continue
    const directory = join(temporary, name)
    try {
      const [owner, namespace] = (await readFile(join(directory, 'owner'), 'utf8')).split(' ')
      if (Number(owner) > 0 && namespace === here && !alive(Number(owner))) {
        await realpath(join(directory, 'postgresql')).then(kill, () => {}) // a folder of temporary files has none
        await rm(directory, { recursive: true, force: true })
      }
    } catch { /* another user's, or another run is sweeping it */ }
  }
}

function alive (pid: number): boolean {
  try { process.kill(pid, 0) } catch (error) { return (error as NodeJS.ErrnoException).code === 'EPERM' }
  return true
}

/** Ends the server of this data, which nobody needs any more: a shutdown in order would first write out all it has in memory. */
async function kill (data: string): Promise<void> {
  const found = await postmasterOf(data)
  if (found === undefined || !await serves(found.pid, data)) return
  process.kill(found.pid, 'SIGQUIT')
  await until(async () => !await serves(found.pid, data), { timeout: 30_000, what: 'the database server to end' })
}

export default async function setup (project: TestProject): Promise<() => Promise<void>> {
  const log = createLogger('warn')
  for (const temporary of new Set([tmpdir(), scratch()])) await sweep(await realpath(temporary))
  const directory = await mkdtemp(join(await realpath(scratch()), prefix))
  await writeFile(join(directory, 'owner'), `${process.pid} ${here}`)
  await chmod(directory, 0o755) // the server has an account of its own when root runs the tests
  const temporary = project.config.env?.TMPDIR // what tests leave behind goes with it
  if (temporary !== undefined) {
    await mkdir(temporary, { recursive: true })
    await chmod(temporary, 0o1777)
    await writeFile(join(temporary, 'owner'), `${process.pid} ${here}`)
  }
  const server = await startEmbedded({
    dataDirectory: directory,
    log,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400', shared_buffers: '256MB', max_wal_size: '256MB', autovacuum_naptime: '10s' }
  })
  project.provide('postgresql', server.connection)
  return async () => {
    await kill(server.data)
    for (const path of [directory, temporary]) if (path !== undefined) await rm(path, { recursive: true, force: true })
  }
}
