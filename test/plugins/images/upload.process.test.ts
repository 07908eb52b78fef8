/** What a large import costs: measured in a process of its own. Real database, real HTTP. */
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chunkBytes, manifest } from '../../../plugins/images/manifest.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { serve, setupRegion } from './rig.ts'

let db: TestDatabase
let api: Awaited<ReturnType<typeof serve>>
beforeAll(async () => {
  db = await testDatabase({ migrations: [manifest] })
  api = await serve(setupRegion(db))
})
afterAll(async () => { await api?.close(); await db?.drop() })

test('a large upload does not grow the process: the stream waits for the database', async () => {
  const piece = randomBytes(chunkBytes)
  const total = 96
  const hash = createHash('sha256')
  for (let n = 0; n < total; n++) hash.update(piece)
  let most = 0
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const held = () => { collect(); return process.memoryUsage().arrayBuffers } // what is in use, not what is yet to be collected
  const before = held()
  const client = httpRequest(`${api.url}/files/${hash.digest('hex')}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream', 'content-length': total * chunkBytes } })
  const answered = new Promise<number>((resolve, reject) => { client.on('response', response => { response.resume(); resolve(response.statusCode ?? 0) }).on('error', reject) })
  for (let n = 0; n < total; n++) {
    if (!client.write(piece)) await new Promise(resolve => { client.once('drain', resolve) })
    if (n % 4 === 0) most = Math.max(most, held() - before)
  }
  client.end()
  expect(await answered).toBe(201)
  expect(most).toBeLessThan(48 * chunkBytes) // client, server and database driver live in this one process
})
