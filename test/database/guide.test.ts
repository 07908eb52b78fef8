/** The guide's commands are those the tests run. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { configuration } from '../kit/patroni.ts'
import { commands, fill, hbaLines, roleStatements } from '../kit/replication.ts'

const guide = await readFile(join(import.meta.dirname, '../../docs/guides/database-ha.md'), 'utf8')
const first = { data: '/srv/postgresql/first', name: 'first', host: '10.0.0.22', port: '5432' }
const second = { data: '/srv/postgresql/second', name: 'second', host: '10.0.0.21', port: '5432' }

test.each([
  ['initialise', first], ['serve', first], ['slot', second], ['copy', second], ['promote', second], ['slot', first], ['rewind', first]
] as const)('%s', (name, values) => { expect(guide).toContain(fill(commands[name], values)) })

test('roles, rights and who may connect', () => {
  for (const statement of roleStatements('bedplate', 'PASSWORD')) expect(guide).toContain(`${statement};\n`)
  for (const line of hbaLines('bedplate', '10.0.0.0/24')) expect(guide).toContain(`${line}\n`)
})

test('a member of Patroni', () => {
  expect(guide).toContain(`\`\`\`\n${configuration({ name: 'one', address: '10.0.0.21', port: '5432', rest: '8008', etcd: '10.0.0.21:2379', data: '/srv/postgresql/one', binaries: '/usr/lib/postgresql/15/bin', password: 'PASSWORD', after: '/etc/patroni/after.sh', socket: '/run/postgresql' })}\`\`\``)
})
