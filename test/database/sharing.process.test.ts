/** The embedded PostgreSQL that others may reach: by its address and password, and by nothing else. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Embedded } from '../../core/database/embedded.ts'
import { startShared } from '../../core/database/sharing.ts'
import { freePort } from '../cli/hosts.kit.ts'
import { quiet } from '../kit/parts.ts'

let directory: string
let running: Embedded | undefined
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'bedplate-shared-')); await chmod(directory, 0o711) })
afterEach(async () => { await running?.stop(); running = undefined; await rm(directory, { recursive: true, force: true }) })

const settings = { fsync: 'off' }
/** What a client with this password is told over TCP. */
async function connect (port: number, password: string, database = 'bedplate'): Promise<string> {
  const client = new Client({ host: '127.0.0.1', port, user: 'bedplate', password, database })
  try {
    await client.connect()
    const { rows } = await client.query<{ encryption: string }>("select left(rolpassword, 13) as encryption from pg_authid where rolname = 'bedplate'")
    return rows[0]?.encryption ?? ''
  } catch (error) {
    return String(error)
  } finally {
    await client.end().catch(() => {})
  }
}

test('a server is made, stopped, and made reachable; found again with the same password, and moved when told', async () => {
  const [first, second] = [await freePort(), await freePort()]
  running = await startEmbedded({ dataDirectory: directory, log: quiet, settings }) // as it always was, and left running as by a daemon that was killed
  const shared = await startShared({ dataDirectory: directory, log: quiet, settings, listen: { host: '127.0.0.1', port: first } })
  running = shared
  const { password } = shared.shared
  expect(shared.shared).toEqual({ name: 'bedplate', user: 'bedplate', password: (await readFile(join(directory, 'database.password'), 'utf8')) })
  expect((await stat(join(directory, 'database.password'))).mode & 0o777).toBe(0o600)
  expect(await connect(first, password)).toBe('SCRAM-SHA-256')
  expect(await connect(first, `${password}x`)).toContain('password authentication failed')
  expect(await connect(first, password, 'postgres')).toContain('no pg_hba.conf entry')

  const again = await startShared({ dataDirectory: directory, log: quiet, settings, listen: { host: '127.0.0.1', port: first } })
  expect([again.adopted, again.shared.password]).toEqual([true, password])
  running = await startShared({ dataDirectory: directory, log: quiet, settings, listen: { host: '127.0.0.1', port: second } })
  expect(await connect(second, password)).toBe('SCRAM-SHA-256')
  expect(await connect(first, password)).toContain('ECONNREFUSED')
  await running.stop()
  running = await startEmbedded({ dataDirectory: directory, log: quiet, settings }) // no longer shared
  expect(await connect(second, password)).toContain('ECONNREFUSED')
})

test('an address that this host has not, and a password file that is none, are told', async () => {
  await expect(startShared({ dataDirectory: directory, log: quiet, settings, listen: { host: '192.0.2.1', port: await freePort() } })).rejects.toMatchObject({ code: 'EMBEDDED_DATABASE', message: expect.stringMatching(/embedded\.listen: 192\.0\.2\.1.*EADDRNOTAVAIL|embedded\.listen: 192\.0\.2\.1.*address/) })
  await writeFile(join(directory, 'database.password'), '\n')
  await expect(startShared({ dataDirectory: directory, log: quiet, settings, listen: { host: '127.0.0.1', port: await freePort() } })).rejects.toMatchObject({ code: 'EMBEDDED_DATABASE', message: expect.stringContaining('holds no password') })
})
