/** A plugin from outside the tree, the example of the guide, in a running daemon. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plugins as builtIn } from '../../core/plugins.ts'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
const children = new Set<ChildProcess>()
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'bedplate-outside-')) })
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

/** Writes files below `folder`; gives the folder. */
async function files (at: string, texts: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, at, name)), { recursive: true })
    await writeFile(join(folder, at, name), text)
  }
  return join(folder, at)
}
/** The files shown in the guide: a name in backquotes at the head of a paragraph, then its text. */
const example = async (): Promise<Record<string, string>> => {
  const guide = await readFile(join(root, 'docs/guides/plugins.md'), 'utf8')
  return Object.fromEntries([...guide.matchAll(/^`([\w./-]+)`[^\n]*\n\n```\w+\n([^]*?)^```$/gm)].map(([, name = '', text = '']) => [name, text]))
}

describe('the example of the guide', () => {
  let database: TestDatabase
  beforeAll(async () => { database = await testDatabase({ bare: true }) })
  afterAll(() => database.drop())

  test('runs: configuration, migration, route, wanted state and facts, also across a restart', async () => {
    const texts = await example()
    expect(Object.keys(texts)).toEqual(['package.json', 'index.js', 'manifest.js', 'migrations/0001-banner.sql', 'region.js', 'rack.js'])
    await files('guide/node_modules/bedplate-banner', texts)
    const others = builtIn.map(({ manifest: { name } }) => name).filter(name => name !== 'access')
    const host = '127.0.0.1'
    await files('guide', { 'bedplate.yaml': JSON.stringify({
      plugins: ['bedplate-banner'], without: others, banner: { longest: 20 }, dataDirectory: join(folder, 'guide/data'),
      http: { host, port: 0 }, rackHttp: { host, port: 0 }, rpc: { host, port: 0 }, database: { hosts: [server().host], name: database.options.database, user: database.options.user }
    }) })
    const first = await daemon('guide')
    expect((await first.put('Mind the step')).status).toBe(200)
    const told = await first.put('x'.repeat(21))
    expect([told.status, told.body]).toMatchObject([400, { code: 'INVALID_REQUEST', detail: expect.stringContaining('A banner has at most 20 characters.') }])
    expect((await first.put(7)).status).toBe(400)
    await until(async () => (await fetch(`${first.rack}/banner`)).text().then(text => text === 'Mind the step'), { what: 'the rack to show the banner' })
    const racks = await until(async () => { const { body } = await first.get(); return body.racks.length > 0 && body.racks }, { what: 'the fact to be stored' })
    expect(racks).toEqual([{ rack: expect.any(String), text: 'Mind the step' }])
    expect(await database.query('select set, name from core.migration where set = $1', ['banner'])).toEqual([{ set: 'banner', name: '0001-banner' }])
    await first.stop()
    const second = await daemon('guide')
    expect(await (await fetch(`${second.rack}/banner`)).text()).toBe('Mind the step') // from the rack's disk
    await second.stop()
  }, 60_000)

  interface Daemon { readonly rack: string, put(text: unknown): Promise<{ status: number, body: Record<string, unknown> }>, get(): Promise<{ body: { racks: unknown[] } }>, stop(): Promise<void> }
  async function daemon (at: string): Promise<Daemon> {
    const child = spawn(process.execPath, [join(root, 'core/main.ts'), 'run', '--config', join(folder, at, 'bedplate.yaml')], { env: { PATH: process.env.PATH ?? '', HOME: folder }, stdio: ['ignore', 'ignore', 'pipe'] })
    children.add(child)
    const ended = new Promise<number | null>(resolve => child.on('exit', code => { children.delete(child); resolve(code) }))
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text })
    const port = (name: string): Promise<number> => until(() => {
      const line = output.split('\n').find(line => line.includes(`${name} listens at`))
      if (line === undefined && child.exitCode !== null) throw new Error(output)
      return line === undefined ? undefined : (JSON.parse(line) as { address: { port: number } }).address.port
    }, { timeout: 30_000, what: `${name} to listen\n${output}` })
    const api = `http://127.0.0.1:${await port('api')}`
    const rack = `http://127.0.0.1:${await port('rack-http')}`
    await until(async () => (await fetch(`${api}/readyz`)).ok, { timeout: 20_000, what: 'the daemon to be ready' })
    const headers = { authorization: `Bearer ${(await readFile(join(folder, at, 'data/admin.token'), 'utf8')).trim()}` }
    return {
      rack,
      async put (text) {
        const answer = await fetch(`${api}/api/v1/banner`, { method: 'PUT', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ text }) })
        return { status: answer.status, body: await answer.json() as Record<string, unknown> }
      },
      get: async () => ({ body: await (await fetch(`${api}/api/v1/banner`, { headers })).json() as { racks: unknown[] } }),
      async stop () {
        child.kill('SIGTERM')
        expect(await ended).toBe(0)
      }
    }
  }
})
