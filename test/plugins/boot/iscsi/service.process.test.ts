/** iSCSI as a service of the rack: a real child process, real sessions, and what happens when files, the process and its parent go. */
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { BedplateError } from '../../../../core/errors.ts'
import { createSupervisor } from '../../../../core/supervise.ts'
import { targetName } from '../../../../plugins/boot/iscsi/message.ts'
import { createIscsiService } from '../../../../plugins/boot/iscsi/service.ts'
import type { IscsiService, Served } from '../../../../plugins/boot/iscsi/service.ts'
import { header, openInitiator } from '../../../iscsi/initiator.ts'
import type { Initiator } from '../../../iscsi/initiator.ts'
import { serviceConformance } from '../../../kit/conformance/service.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'

const folder = mkdtempSync(join(tmpdir(), 'bedplate-boot-iscsi-'))
afterAll(() => { rmSync(folder, { recursive: true }) })
const me = 'iqn.2030-01.org.example:me'
const read10 = '28000000000000000100'
const never = new AbortController().signal

const made: IscsiService[] = []
const initiators: Initiator[] = []
afterEach(async () => {
  for (const one of initiators.splice(0)) one.close()
  await Promise.all(made.splice(0).map(one => one.stop()))
})

/** A cache of images: a file for each letter. */
const shaOf = (letter: string): string => createHash('sha256').update(letter).digest('hex')
const pathOf = (sha256: string): string => join(folder, sha256)
const put = (letter: string, size = 8192): string => { writeFileSync(pathOf(shaOf(letter)), Buffer.alloc(size, letter)); return shaOf(letter) }
function service (options: Partial<Parameters<typeof createIscsiService>[0]> = {}) {
  const served: Served[] = []
  const one = createIscsiService({ port: 0, hosts: ['127.0.0.1'], files: { path: async sha256 => pathOf(sha256), has: () => true }, log: quiet, clock: systemClock, served: what => { served.push(what) }, askEvery: 50, ...options })
  made.push(one)
  return { service: one, served }
}
async function login (to: IscsiService, letter: string, who = me): Promise<Initiator> {
  const initiator = await openInitiator(to.port() ?? 0)
  initiators.push(initiator)
  await initiator.login([['InitiatorName', who], ['TargetName', targetName(shaOf(letter))]])
  return initiator
}
/** A file's coming is told to the process after it has been asked for. */
const loginOnceThere = (to: IscsiService, letter: string): Promise<Initiator> => until(() => login(to, letter), { timeout: 5000, what: `a login to ${letter}` })
const content = async (initiator: Initiator): Promise<string> => (await initiator.command(read10, { lun: 0, read: 512 })).data.toString('latin1', 0, 3)

serviceConformance('iSCSI', { make: () => ({ service: service().service }), failing: () => ({ service: service({ hosts: ['192.0.2.77'] }).service }), callers: 4, turns: 8 })

describe('a root file system', () => {
  it('is a target of the name that follows from its content, read-only, with the same identity on every rack', async () => {
    put('a')
    const [one, two] = [service().service, service().service]
    const said = await Promise.all([one, two].map(async rack => {
      await rack.start(never)
      rack.offer([shaOf('a')])
      const initiator = await loginOnceThere(rack, 'a')
      expect(await content(initiator)).toBe('aaa')
      expect(await initiator.command('2a000000000000000100', { lun: 0, write: Buffer.alloc(512) })).toMatchObject({ status: 2, sense: '7 2700' })
      return await Promise.all(['00', '80', '83'].map(async page => (await initiator.command(`1201${page}00ff00`, { lun: 0, read: 255 })).data.toString('latin1')))
    }))
    expect(said[0]).toEqual(said[1])
    expect(said[0]?.[1]).toContain(shaOf('a').slice(0, 32))
  })
  it('that comes and goes leaves other sessions alone, and its own go on with the file they have', async () => {
    put('a'); put('b')
    const { service: rack } = service()
    await rack.start(never)
    rack.offer([shaOf('a')])
    const first = await loginOnceThere(rack, 'a')
    rack.offer([shaOf('b')])
    unlinkSync(pathOf(shaOf('a')))
    const second = await loginOnceThere(rack, 'b')
    await expect(login(rack, 'a', `${me}-2`)).rejects.toThrow('203')
    for (let round = 0; round < 3; round++) expect([await content(first), await content(second)]).toEqual(['aaa', 'bbb'])
  })
  it('that is not here yet is offered once it is', async () => {
    const here = Promise.withResolvers<void>()
    const { service: rack } = service({ files: { has: () => false, path: async sha256 => { await here.promise; return pathOf(sha256) } } })
    await rack.start(never)
    rack.offer([shaOf('c')])
    await expect(login(rack, 'c')).rejects.toThrow('203')
    put('c')
    here.resolve()
    expect(await content(await loginOnceThere(rack, 'c'))).toBe('ccc')
  })
  it('is asked for one at a time, while those that come by themselves are offered at once: what machines wait for needs the room', async () => {
    const here = new Set<string>()
    const asked: string[] = []
    const first = Promise.withResolvers<void>()
    const { service: rack } = service({
      files: {
        has: sha256 => here.has(sha256),
        async path (sha256) {
          if (!here.has(sha256)) { asked.push(sha256); await first.promise; here.add(sha256) }
          return pathOf(sha256)
        }
      }
    })
    await rack.start(never)
    rack.offer([put('a'), put('b'), put('c')])
    await until(() => asked.length > 0, { timeout: 5000, what: 'a question for a file' })
    here.add(shaOf('b')) // the cache has brought it meanwhile
    expect(await content(await loginOnceThere(rack, 'b'))).toBe('bbb')
    expect(asked).toEqual([shaOf('a')])
    expect(rack.health()).toMatchObject({ state: 'running' })
    first.resolve()
    for (const letter of ['a', 'c']) await loginOnceThere(rack, letter)
    expect(asked).toEqual([shaOf('a'), shaOf('c')])
  })
  it('that cannot be had keeps no other from being asked for', async () => {
    const asked: string[] = []
    const { service: rack } = service({
      files: {
        has: () => false,
        async path (sha256) {
          asked.push(sha256)
          if (sha256 === shaOf('gone')) throw new BedplateError('NOT_FOUND', { what: 'file', id: 'gone' })
          return pathOf(sha256)
        }
      }
    })
    await rack.start(never)
    rack.offer([shaOf('gone'), put('a'), put('b')])
    for (const letter of ['a', 'b']) expect(await content(await loginOnceThere(rack, letter))).toBe(letter.repeat(3))
    expect(asked).toEqual([shaOf('gone'), shaOf('a'), shaOf('b')])
  })
  it('that cannot be had or opened is named in the health, and the others are served', async () => {
    put('a')
    const { service: rack } = service({ files: { has: () => true, path: async sha256 => { if (sha256 === shaOf('gone')) throw new BedplateError('NOT_FOUND', { what: 'file', id: 'gone' }); return pathOf(sha256) } } })
    await rack.start(never)
    for (const bad of ['gone', 'unreadable']) {
      rack.offer([shaOf('a'), shaOf(bad)])
      expect(await content(await loginOnceThere(rack, 'a'))).toBe('aaa')
      await until(() => rack.health().state === 'degraded', { timeout: 5000, what: 'a degraded service' })
      expect(rack.health()).toMatchObject({ reason: expect.stringContaining(`${targetName(shaOf(bad))} is not served: `) })
    }
    rack.offer([shaOf('a')])
    expect(rack.health()).toEqual({ state: 'running' })
  })
})

describe('what was served', () => {
  it('is told at the login and at the end: bytes, time, how it ended, and logins again', async () => {
    put('a')
    const { service: rack, served } = service()
    await rack.start(never)
    rack.offer([shaOf('a')])
    const first = await loginOnceThere(rack, 'a')
    await first.command('28000000000000000400', { lun: 0, read: 2048 })
    first.send(header(0x46, 0x80, { 16: 900, 24: first.cmdSN }))
    await first.ended
    const second = await login(rack, 'a')
    await content(second)
    second.close()
    await until(() => served.length === 4, { timeout: 5000, what: 'four reports' })
    const name = targetName(shaOf('a'))
    expect(served).toMatchObject([
      { what: `${name} (login)`, address: '127.0.0.1', bytes: 0, failure: null, retries: 0 }, { what: name, address: '127.0.0.1', bytes: 2048, failure: null, retries: 0 },
      { what: `${name} (login)`, bytes: 0, failure: null, retries: 1 }, { what: name, bytes: 512, failure: 'the initiator has closed the connection', retries: 1 }
    ])
  })
})

describe('the process', () => {
  it('that dies is dead by name and started again by the supervisor, with what it offered', async () => {
    put('a')
    const { service: rack } = service()
    const supervisor = createSupervisor({ log: quiet, clock: systemClock, random: () => 0 })
    await supervisor.start({ plugin: 'boot' }, [rack])
    try {
      rack.offer([shaOf('a')])
      const before = await loginOnceThere(rack, 'a')
      const pid = rack.pid() ?? 0
      process.kill(pid, 'SIGKILL')
      await before.ended
      await until(() => rack.health().state === 'dead', { timeout: 5000, what: 'a dead service' })
      expect(rack.health()).toMatchObject({ reason: 'it was ended by SIGKILL' })
      expect(await content(await until(() => login(rack, 'a'), { timeout: 15_000, what: 'a login after the restart' }))).toBe('aaa')
      expect(rack.pid()).not.toBe(pid)
    } finally { await supervisor.stop([rack]) }
  })
  it('that stands still degrades the service, and is killed when it does not stop', async () => {
    const { service: rack } = service()
    await rack.start(never)
    process.kill(rack.pid() ?? 0, 'SIGSTOP')
    await until(() => rack.health().state === 'degraded', { timeout: 5000, what: 'a degraded service' })
    expect(rack.health()).toMatchObject({ reason: expect.stringMatching(/^It has not answered for \d+ s: the disk of the image cache may be stalled\.$/) })
    const pid = rack.pid() ?? 0
    await rack.stop()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
  it('does not outlive its parent, however that dies', async () => {
    const rack = fork(join(import.meta.dirname, 'rack-process.ts'), [], { execArgv: [] })
    const pid = await new Promise<number>(resolve => { rack.once('message', (said: { pid: number }) => { resolve(said.pid) }) })
    process.kill(pid, 0)
    rack.kill('SIGKILL')
    await until(() => { try { process.kill(pid, 0); return false } catch { return true } }, { timeout: 5000, what: 'the end of the process' })
  })
  it('says which port is taken', async () => {
    const holder = createServer()
    await new Promise<void>(resolve => { holder.listen(0, '127.0.0.1', resolve) })
    const { port } = holder.address() as { port: number }
    const { service: rack } = service({ port })
    await expect(rack.start(never)).rejects.toThrow(`127.0.0.1:${port} is taken by another program`)
    expect(rack.health()).toMatchObject({ state: 'dead', reason: expect.stringContaining('is taken by another program') })
    await new Promise<void>(resolve => { holder.close(() => { resolve() }) })
    await rack.start(never)
    expect(rack.port()).toBe(port)
  })
  it('goes on to the next address where a host lacks one', async () => {
    const { service: rack } = service({ hosts: ['192.0.2.77', '127.0.0.1'] })
    await rack.start(never)
    expect(rack.health()).toEqual({ state: 'running' })
  })
})
