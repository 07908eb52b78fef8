/** A real embedded server, killed under a running daemon: what was committed is there again within seconds. */
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { readConfig } from '../../core/config.ts'
import { postmasterOf } from '../../core/database/postmaster.ts'
import { startKernel } from '../../core/kernel.ts'
import { parts } from '../../core/parts.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'

test('kill -9 of the database server is mended while the daemon runs', async () => {
  const dataDirectory = await mkdtemp(join(await realpath(tmpdir()), 'watch-'))
  await chmod(dataDirectory, 0o755)
  const host = '127.0.0.1'
  try {
    const config = await readConfig([], { values: { dataDirectory, roles: ['region'], http: { host, port: 0 }, rpc: { host, port: 0 } } })
    const kernel = await startKernel({ config, plugins: [], log: quiet, parts, clock: systemClock })
    try {
      await kernel.db?.query('create table kept as select 42 as n')
      const data = join(dataDirectory, 'postgresql')
      const pid = (await until(() => postmasterOf(data))).pid
      process.kill(pid, 'SIGKILL')
      await until(async () => { const now = await postmasterOf(data); return now !== undefined && now.pid !== pid && now.status === 'ready' }, { timeout: 40_000, what: 'another server' })
      await until(async () => (await kernel.db?.query('select n from kept'))?.[0], { timeout: 20_000, what: 'the data' })
      await until(() => kernel.status().ready, { timeout: 20_000, what: 'the controller to be ready' })
      expect(kernel.status().services.find(({ service }) => service === 'database-server')).toMatchObject({ plugin: 'core', state: 'running', restarts: 1 })
    } finally { await kernel.stop() }
    expect(await postmasterOf(join(dataDirectory, 'postgresql'))).toBeUndefined()
  } finally { await rm(dataDirectory, { recursive: true, force: true }) }
}, 120_000)
