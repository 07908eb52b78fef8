/** One PostgreSQL for a whole run of vitest: the embedded one, in a temporary directory, without the safety that only a crash would need. */
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Connection } from '../../core/database/embedded.ts'
import { createLogger } from '../../core/log.ts'

declare module 'vitest' {
  export interface ProvidedContext { postgresql: Connection }
}

export default async function setup (project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'bedplate-'))
  await chmod(directory, 0o755) // the server has an account of its own when root runs the tests
  const server = await startEmbedded({
    dataDirectory: directory,
    log: createLogger('warn'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400', shared_buffers: '256MB', max_wal_size: '2GB', autovacuum_naptime: '10s' }
  })
  project.provide('postgresql', server.connection)
  return async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
}
