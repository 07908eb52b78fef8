/** The scripts that look at a machine: their text, and what they do when run on the one the tests run on. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { renderCommission, renderEnlist } from '../../../plugins/provision/collect.ts'
import { readInventory } from '../../../plugins/provision/inventory.ts'
import { readTar } from '../../../plugins/provision/tar.ts'

const run = promisify(execFile)
const golden = (name: string): string => fileURLToPath(new URL(`../../golden/provision/${name}.sh`, import.meta.url))
const scripts = [['enlist', renderEnlist()], ['commission', renderCommission()]] as const

describe('the text', () => {
  test.each(scripts)('%s is as it was', async (name, script) => { await expect(script).toMatchFileSnapshot(golden(name)) })
  test.each(scripts)('%s is shell', async (_, script) => { await run('sh', ['-n', '-c', script]) })
  test.each(scripts)('%s stops at the first failure and says at its end what comes next', (_, script) => {
    expect(script).toMatch(/^set -eu\n/)
    expect(script).toMatch(/echo poweroff > \/run\/bedplate\/next\n$/)
  })
  test('nothing is said to the rack after the upload, for it ends the session', () => {
    expect(renderCommission().split('"$BEDPLATE_URL/inventory"')[1]).not.toMatch(/report|curl/)
  })
  test('a machine nobody knows has no history: its script reports nothing', () => { expect(renderEnlist()).not.toContain('report ') })
})

interface Heard { readonly method: string, readonly url: string, readonly type: string, readonly body: Buffer }
let folder: string
let rack: Server
let heard: Heard[]
let answers: number[] // of one request each; 204 after that
let base: string
async function read (request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bedplate-collect-'))
  heard = []
  answers = []
  rack = createServer((request, response) => {
    void read(request).then(body => {
      heard.push({ method: request.method ?? '', url: request.url ?? '', type: request.headers['content-type'] ?? '', body })
      response.writeHead(answers.shift() ?? 204).end()
    })
  })
  await new Promise<void>(resolve => { rack.listen(0, '127.0.0.1', resolve) })
  base = `http://127.0.0.1:${(rack.address() as AddressInfo).port}/provision/tok`
  await mkdir(join(folder, 'bin'))
  await tool('ip', 'exit 0') // links stay as they are
  await tool('sleep', 'exit 0')
  await tool('report', `echo "$*" >> ${folder}/reports`)
})
afterEach(async () => {
  rack.closeAllConnections()
  await new Promise(resolve => { rack.close(resolve) })
  await rm(folder, { recursive: true })
})
/** A tool of that name comes before the real one. */
async function tool (name: string, body: string): Promise<void> {
  await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${body}\n`)
  await chmod(join(folder, 'bin', name), 0o755)
}
/** Runs it with a folder of the test's own for /run/bedplate; gives its exit status. */
async function execute (script: string): Promise<{ readonly code: number, readonly output: string }> {
  const state = join(folder, 'run')
  await mkdir(state, { recursive: true })
  const options = { cwd: state, timeout: 15_000, env: { PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}:/usr/sbin:/sbin`, BEDPLATE_URL: base, LC_ALL: 'C' } }
  return await run('sh', ['-c', script.replaceAll('/run/bedplate', state)], options).then(({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }), (error: { code: number, stdout: string, stderr: string }) => ({ code: error.code, output: error.stdout + error.stderr }))
}
const state = (name: string) => readFile(join(folder, 'run', name), 'utf8').catch(() => undefined)

describe('on this machine', () => {
  test('enlisting uploads what an inventory can be read from', async () => {
    await tool('cat', `[ "$1" != /proc/cmdline ] || { echo 'quiet BOOTIF=01-52-54-00-00-00-07'; exit 0; }\nexec /bin/cat "$@"`)
    expect(await execute(renderEnlist())).toMatchObject({ code: 0 })
    expect(heard).toMatchObject([{ method: 'POST', url: '/provision/tok/inventory', type: 'application/x-tar' }])
    const files = readTar(heard[0]!.body)
    expect(Object.keys(files).sort()).toEqual(['architecture', 'cmdline', 'dmi', 'firmware', 'interfaces', 'lsblk.json', 'lscpu.json', 'lspci', 'meminfo', 'secureboot'])
    const found = readInventory(files)
    if ('problem' in found) throw new TypeError(found.problem)
    expect(found.bootMac).toBe('52:54:00:00:00:07')
    expect(found.inventory.cpu.count).toBeGreaterThanOrEqual(cpus().length)
    expect(found.inventory.cpu.model).not.toBe('unknown')
    expect(found.inventory.architecture).toBe({ x64: 'amd64', arm64: 'arm64' }[process.arch as string])
    expect(Math.abs(found.inventory.memory - totalmem() / 2 ** 20)).toBeLessThan(1)
    for (const { size, name } of found.inventory.disks) { expect(size).toBeGreaterThan(0); expect(name).toMatch(/^[a-z]+/) }
    expect(found.inventory.interfaces.map(({ name }) => name)).not.toContain('lo')
    expect(await state('next')).toBe('poweroff\n')
  })

  test('commissioning reports that it looks, uploads, and adds what takes longer', async () => {
    await tool('lspci', 'echo here')
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(readTar(heard[0]!.body)['lspci']).toBe('here\n')
    expect(await readFile(join(folder, 'reports'), 'utf8')).toBe('inventory started looking at the hardware\n')
    expect(await state('stage')).toBe('inventory\n')
    expect(await state('next')).toBe('poweroff\n')
  })

  test('tools that fail or are missing leave their files empty, and the rest is uploaded', async () => {
    for (const name of ['lscpu', 'lsblk', 'lspci']) await tool(name, 'echo broken >&2; exit 3')
    await tool('ip', 'exit 1')
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(readTar(heard[0]!.body)).toMatchObject({ 'lscpu.json': '', 'lsblk.json': '', 'lspci': '' })
    expect(readInventory({ ...readTar(heard[0]!.body), cmdline: 'BOOTIF=01-52-54-00-00-00-07' })).toMatchObject({ inventory: { cpu: { count: 0, model: 'unknown' }, disks: [] } })
  })
})

describe('a rack that does not answer well', () => {
  test('is asked again until it takes the same archive', async () => {
    answers = [503, 500, 502]
    expect(await execute(renderEnlist())).toMatchObject({ code: 0 })
    expect(heard).toHaveLength(4)
    expect(readTar(heard[3]!.body)).toEqual(readTar(heard[0]!.body))
  })
  test('and says the session is over: the answer to the first upload was lost, so all is well', async () => {
    answers = [503, 410]
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(heard).toHaveLength(2)
    expect(await state('next')).toBe('poweroff\n')
  })
  test('does not know the session: asked again, for another rack may, and for five minutes at most', async () => {
    answers = [404, 404, 404]
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(heard).toHaveLength(4)
    answers = new Array<number>(110).fill(404)
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(heard).toHaveLength(104)
  })
  test('only keeps the inventory: it is told again until a region has it', async () => {
    answers = [202, 202, 202]
    expect(await execute(renderCommission())).toMatchObject({ code: 0 })
    expect(heard).toHaveLength(4)
  })
  test('only keeps the inventory for ten minutes: that has to do', async () => {
    await tool('curl', 'printf 202')
    expect(await execute(renderEnlist())).toMatchObject({ code: 0 })
    expect(await state('next')).toBe('poweroff\n')
  })
  test('for good makes the script fail, with the last answer', async () => {
    await tool('curl', 'printf 000; exit 7')
    const { code, output } = await execute(renderEnlist())
    expect(code).toBe(1)
    expect(output).toContain('no rack took the inventory (000)')
    expect(await state('next')).toBeUndefined()
  })
})
