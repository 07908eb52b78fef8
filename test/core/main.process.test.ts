/** The program as a child process: ready, stopped by a signal, killed and started again, and clear about what it refuses. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../kit/wait.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
const children = new Set<ChildProcess>()
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'bedplate-main-')) })
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

interface Run { readonly child: ChildProcess, output(): string, readonly ended: Promise<{ code: number | null, signal: NodeJS.Signals | null }> }

/** `bin/bedplate` with these arguments. */
function bedplate (args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(join(root, 'bin/bedplate'), [...args], { env: { PATH: process.env.PATH ?? '', HOME: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let output = ''
  child.stdout?.on('data', part => { output += String(part) })
  child.stderr?.on('data', part => { output += String(part) })
  const ended = new Promise<{ code: number | null, signal: NodeJS.Signals | null }>(resolve => { child.on('exit', (code, signal) => { children.delete(child); resolve({ code, signal }) }) })
  return { child, output: () => output, ended }
}
const flags = (directory: string): string[] => ['run', '--data-directory', directory, '--http.host', '127.0.0.1', '--http-port=0', '--rack-http-host', '127.0.0.1', '--rackHttp.port', '0', '--rpc-host', '127.0.0.1', '--rpc-port', '0']
const portOf = (run: Run): number | undefined => {
  const line = run.output().split('\n').find(line => line.includes('api listens at'))
  return line === undefined ? undefined : (JSON.parse(line) as { address: { port: number } }).address.port
}
const ready = (run: Run, timeout = 30_000): Promise<number> => until(async () => {
  const port = portOf(run)
  return port !== undefined && (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200 ? port : undefined
}, { timeout, what: 'the daemon to be ready' }).catch((error: unknown) => { throw new Error(`${String(error)}\n${run.output()}`) })

describe('bedplate run', () => {
  test('starts, is ready, survives kill -9, and ends cleanly on SIGTERM', async () => {
    const directory = join(folder, 'killed')
    const first = bedplate(flags(directory))
    await ready(first)
    first.child.kill('SIGKILL')
    await first.ended
    const second = bedplate(flags(directory))
    const port = await ready(second)
    expect(await (await fetch(`http://127.0.0.1:${port}/livez`)).json()).toEqual({ status: 'alive' })
    second.child.kill('SIGTERM')
    expect(await second.ended).toEqual({ code: 0, signal: null })
    expect(second.output()).not.toMatch(/"level":[56]0/)
    const third = bedplate(flags(directory))
    await ready(third)
    third.child.kill('SIGINT')
    expect((await third.ended).code).toBe(0)
  }, 120_000)

  test('a rack alone starts with no region to be reached, and says so', async () => {
    const run = bedplate([...flags(join(folder, 'rack')), '--roles', 'rack', '--regions', '127.0.0.1:1'])
    await until(() => run.output().includes('"msg":"started as rack'), { timeout: 15_000, what: 'the rack to have started' })
    const line = run.output().split('\n').find(line => line.includes('rack-http listens at')) ?? ''
    const { address: { port } } = JSON.parse(line) as { address: { port: number } }
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200)
    run.child.kill('SIGTERM')
    expect((await run.ended).code).toBe(0)
  }, 30_000)

  const refusals: [what: string, args: readonly string[], env: Record<string, string>, sentence: string][] = [
    ['a misspelt flag', ['run', '--http-prot', '1'], {}, '--http-prot: no such setting; did you mean --http-port?'],
    ['something that is no flag', ['run', 'http'], {}, 'http: not a flag'],
    ['a misspelt variable', ['run'], { BEDPLATE_HTTP_PROT: '1' }, 'did you mean BEDPLATE_HTTP_PORT?'],
    ['a plugin left out that there is not', ['run', '--without', 'dhpc'], {}, 'did you mean dhcp?'],
    ['a plugin left out that others need', ['run', '--without=network'], { BEDPLATE_DATA_DIRECTORY: '/nonexistent' }, 'the plugin "network" is left out by the setting "without"'],
    ['a missing file', ['run', '--config', '/nonexistent.yaml'], {}, '/nonexistent.yaml cannot be read'],
    ['a data directory that cannot be', ['run', '--data-directory', '/dev/null/x'], {}, 'Set dataDirectory to a folder this user may write.']
  ]
  test.each(refusals)('refuses %s with one plain sentence and a failing exit', async (_what, args, env, sentence) => {
    const run = bedplate(args, env)
    expect((await run.ended).code).toBe(1)
    expect(run.output()).toContain(sentence)
    expect(run.output()).not.toMatch(/^\s+at /m)
  })

  test('a typo in the file stops the start with its path', async () => {
    const file = join(folder, 'typo.yaml')
    await writeFile(file, 'http:\n  prot: 80\n')
    const run = bedplate(['run'], { BEDPLATE_CONFIG: file })
    expect((await run.ended).code).toBe(1)
    expect(run.output()).toContain('$.http.prot: unknown key; did you mean port?')
  })

  test('--help lists the settings', async () => {
    const run = bedplate(['run', '--help'])
    expect((await run.ended).code).toBe(0)
    expect(run.output()).toMatch(/--http-port[^\n]*5240/)
  })
})
