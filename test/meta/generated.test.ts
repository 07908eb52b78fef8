/** What is generated is current: run `npm run docs` and commit the difference. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { plugins } from '../../core/plugins.ts'
import { renderConfig, renderErrors, renderPorts, renderSchema } from '../../docs/reference.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'

const committed = (name: string) => readFileSync(join(import.meta.dirname, '../../docs/reference', name), 'utf8')

describe('docs/reference', () => {
  let database: TestDatabase
  beforeAll(async () => { database = await testDatabase({ migrations: plugins.map(plugin => plugin.manifest) }) })
  afterAll(async () => { await database.drop() })

  it('lists every error code', () => { expect(renderErrors()).toBe(committed('errors.md')) })
  it('lists every configuration key', () => { expect(renderConfig(plugins)).toBe(committed('configuration.md')) })
  it('lists every port', () => { expect(renderPorts(plugins)).toBe(committed('ports.md')) })
  it('shows the schema the migrations make', async () => { expect(await renderSchema(database)).toBe(committed('schema.sql')) })
  it('describes every configuration key', () => { expect(renderConfig(plugins).split('\n').filter(line => line.startsWith('| `') && line.endsWith('|  |'))).toEqual([]) })
})
