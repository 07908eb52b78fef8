/** `npm run docs`: writes docs/reference from the code and from a freshly migrated database. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../core/clock.ts'
import { startEmbedded } from '../core/database/embedded.ts'
import { coreMigrations } from '../core/database/migrate.ts'
import { openDatabase } from '../core/database/pool.ts'
import { createLogger } from '../core/log.ts'
import { plugins } from '../core/plugins.ts'
import { renderConfig, renderErrors, renderPorts, renderSchema } from './reference.ts'

const log = createLogger('warn')
const directory = await mkdtemp(join(tmpdir(), 'bedplate-docs-'))
await chmod(directory, 0o755)
const server = await startEmbedded({ dataDirectory: directory, log })
try {
  const { host, port, database: name, user } = server.connection
  const database = await openDatabase({ hosts: [{ host, port }], database: name, user, log, clock: systemClock, applicationName: 'docs' })
  try {
    await database.migrate([coreMigrations, ...plugins.flatMap(({ manifest: { name, migrations } }) => migrations ? [{ name, directory: migrations }] : [])])
    const reference = join(import.meta.dirname, 'reference')
    await writeFile(join(reference, 'errors.md'), renderErrors())
    await writeFile(join(reference, 'configuration.md'), renderConfig(plugins))
    await writeFile(join(reference, 'ports.md'), renderPorts(plugins))
    await writeFile(join(reference, 'schema.sql'), await renderSchema(database))
  } finally { await database.close() }
} finally {
  await server.stop()
  await rm(directory, { recursive: true, force: true })
}
