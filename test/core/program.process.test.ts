/** External programs as services: real ones, that start late, die, hang, lie, are missing, and are never left behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { dead, degraded, running } from '../../core/health.ts'
import type { Health } from '../../core/health.ts'
import { accepts, createProgram, findProgram } from '../../core/program.ts'
import type { Program, ProgramOptions } from '../../core/program.ts'
import { createSupervisor } from '../../core/supervise.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'

const never = new AbortController().signal
/** A port that was free a moment ago. */
async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
const base = { clock: systemClock, log: quiet, install: 'apt install busybox-static' }
const httpd = (port: number): Program => createProgram({ ...base, name: 'httpd', command: 'busybox', args: ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', '/'], ready: accepts('127.0.0.1', port) })
/** A program that is a line of script. */
const script = (text: string, more: Partial<ProgramOptions> = {}): Program => createProgram({ ...base, name: 'script', command: '/bin/sh', args: ['-c', text], ready: () => true, ...more })
const alive = async (pid: number): Promise<boolean> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) [ZX] /.test(stat)
}

serviceConformance('an external program', {
  make: async () => ({ service: httpd(await freePort()) }),
  failing: () => ({ service: script('echo the address is taken >&2; exit 3', { ready: () => false }) }),
  turns: 20
})

describe('an external program', () => {
  test('serves once it is started, under its own id, and is gone once stopped', async () => {
    const port = await freePort()
    const program = httpd(port)
    expect(program.pid()).toBeUndefined()
    await program.start(never)
    const pid = program.pid()!
    expect(await readFile(`/proc/${pid}/comm`, 'utf8')).toBe('busybox\n')
    expect((await fetch(`http://127.0.0.1:${port}/nothing`)).status).toBe(404)
    expect(program.health()).toEqual(running)
    await program.stop()
    expect([await alive(pid), program.pid()]).toEqual([false, undefined])
    expect(program.health()).toEqual({ state: 'off', reason: 'Stopped.' })
  })

  test('that is not installed says what installs it', async () => {
    await expect(createProgram({ ...base, name: 'x', command: 'no-such-program', args: [], install: 'apt install no-such', ready: () => true }).start(never)).rejects.toMatchObject({ code: 'PROGRAM_MISSING', message: 'no-such-program is not installed. Install it: apt install no-such' })
    await expect(findProgram('sh', 'x')).resolves.toMatch(/\/sh$/)
    await expect(createProgram({ ...base, name: 'x', command: join(import.meta.dirname, 'orphan.ts'), args: [], install: 'it', ready: () => true }).start(never)).rejects.toMatchObject({ code: 'PROGRAM_MISSING' })
  })

  test('that ends while it starts fails the start with what it said', async () => {
    const program = script('echo one; echo the address is taken >&2; exit 3', { ready: () => false })
    await expect(program.start(never)).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringMatching(/exit code 3; the last it said: (one \/ the address is taken|the address is taken \/ one)$/) })
    expect(program.health().state).toBe('dead')
  })

  test('that does not get ready in time is stopped and named', async () => {
    const program = script('sleep 600', { ready: async () => { throw new RangeError('not yet') }, readyWithin: 300 })
    await expect(program.start(never)).rejects.toMatchObject({ code: 'START_TIMEOUT' })
    expect(program.pid()).toBeUndefined()
    const hanging = script('sleep 600', { ready: () => new Promise(() => {}), readyWithin: 300 })
    await expect(hanging.start(never)).rejects.toMatchObject({ code: 'START_TIMEOUT' })
  })

  test('that dies is dead with its exit code or signal, and its last lines, and the supervisor starts it again', async () => {
    const port = await freePort()
    const program = httpd(port)
    const supervisor = createSupervisor({ log: quiet, clock: systemClock })
    await supervisor.start({ plugin: 'web' }, [program])
    const first = program.pid()!
    process.kill(first, 'SIGKILL')
    await until(() => program.health().state === 'dead')
    expect(program.health()).toEqual(dead('it was ended by SIGKILL and said nothing'))
    await until(async () => program.pid() !== undefined && program.pid() !== first && (await fetch(`http://127.0.0.1:${port}/nothing`)).status === 404, { what: 'another life' })
    expect(supervisor.list()).toMatchObject([{ service: 'httpd', restarts: 1 }])
    await supervisor.stop([program])
    const talker = script('for i in 1 2 3 4 5 6 7; do echo line $i; done; sleep 0.2; exit 9')
    await talker.start(never)
    await until(() => talker.health().state === 'dead')
    expect(talker.health()).toEqual(dead('it ended with exit code 9; the last it said: line 3 / line 4 / line 5 / line 6 / line 7'))
    await talker.stop()
  })

  test('that does not heed SIGTERM is killed after its time, with what it started', async () => {
    const program = script(`trap '' TERM; sleep 600 & echo $!; wait; sleep 600`, { stopWithin: 200, ready: () => true })
    await program.start(never)
    const pid = program.pid()!
    await until(async () => (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim() !== '')
    const child = Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0])
    await program.stop()
    expect(await alive(pid)).toBe(false)
    await until(async () => !await alive(child))
  })

  test('is asked now and then whether it works; health gives the last answer at once', async () => {
    let answer: () => Promise<Health> = async () => running
    let asked = 0
    const program = script('sleep 600', { probeEvery: 100, probe: () => { asked++; return answer() } })
    await program.start(never)
    await until(() => asked >= 2)
    expect(program.health()).toEqual(running)
    for (const [next, expected] of [
      [async () => degraded('three zones are old'), { state: 'degraded', reason: 'three zones are old' }],
      [async () => { throw new RangeError('SERVFAIL') }, { state: 'degraded', reason: 'It runs, but does not do its work: SERVFAIL' }],
      [() => new Promise<Health>(() => {}), { state: 'degraded', reason: 'It runs, but does not answer within 0.1 s.' }],
      [async () => dead('it lost its table'), { state: 'dead', reason: 'it lost its table' }],
      [async () => running, running]
    ] satisfies [() => Promise<Health>, Health][]) {
      answer = next
      await until(() => JSON.stringify(program.health()) === JSON.stringify(expected), { what: JSON.stringify(expected) })
    }
    await program.stop()
  })

  test('is prepared before each start, and reads its configuration again when told', async () => {
    let prepared = 0
    const lines: string[] = []
    const log = Object.assign(Object.create(quiet) as typeof quiet, { info: (_: unknown, line: string) => { lines.push(line) } })
    const program = script(`trap 'echo again' HUP; echo ready; while :; do sleep 0.05; done`, { log, prepare: async () => { prepared++ }, ready: () => lines.includes('ready') })
    await expect(program.reload()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await program.start(never)
    await program.reload()
    await until(() => lines.includes('again'))
    await program.stop()
    await program.start(never)
    await program.stop()
    expect(prepared).toBe(2)
    const failing = script('sleep 600', { prepare: async () => { throw new RangeError('no disk') } })
    await expect(failing.start(never)).rejects.toMatchObject({ code: 'START_FAILED', message: 'script failed to start: no disk' })
  })

  test('ends when the daemon is killed, whatever it was doing', async () => {
    const daemon = spawn(process.execPath, [join(import.meta.dirname, 'orphan.ts')], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [text] = await once(daemon.stdout, 'data') as [Buffer]
    const pid = Number(String(text).trim())
    expect(await alive(pid)).toBe(true)
    const closed = once(daemon, 'close')
    daemon.kill('SIGKILL')
    await closed
    await until(async () => !await alive(pid), { what: 'the program to end too' })
  })
})
