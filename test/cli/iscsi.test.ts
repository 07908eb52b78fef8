/** `bedplate iscsi serve`: what it offers, what it prints, and what it says when it cannot. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runCli } from '../../cli/program.ts'
import { header, openInitiator } from '../iscsi/initiator.ts'
import type { Initiator } from '../iscsi/initiator.ts'
import { scratch } from '../kit/scratch.ts'
import { until } from '../kit/wait.ts'
import { run, sink } from './cli.kit.ts'

const iqn = 'iqn.2030-01.org.example:disk'
const me = 'iqn.2030-01.org.example:me'
const folder = mkdtempSync(join(scratch(), 'bedplate-iscsi-cli-'))
const [file, secret, other, short] = ['disk', 'secret', 'other', 'short'].map(name => join(folder, name)) as [string, string, string, string]
beforeAll(() => {
  writeFileSync(secret, 'correct horse battery\nnot this line\n')
  writeFileSync(other, 'staple and more of it\n')
  writeFileSync(short, 'eleven byte\n')
})
beforeEach(() => { writeFileSync(file, Buffer.alloc(1 << 20, 0x11)) })
afterAll(() => { rmSync(folder, { recursive: true }) })

interface Serving { readonly port: number, readonly out: string, end(): Promise<{ readonly code: number, readonly err: string }> }
async function serving (line: readonly string[], more = ''): Promise<Serving> {
  const [stdout, stderr, interrupt] = [sink(), sink(), new AbortController()]
  const over = runCli(['iscsi', 'serve', '--iqn', iqn, ...line.includes('--portal') ? [] : ['--portal', '127.0.0.1:0'], ...line, ...more.split(' ').filter(Boolean)], {}, { stdout, stderr, signal: interrupt.signal })
  const ended = over.then(code => { throw new Error(`it ended with ${code}: ${stderr.text}`) })
  ended.catch(() => {})
  await Promise.race([ended, until(() => stdout.text.endsWith('\n') ? true : undefined, { timeout: 5000, what: 'the target to be served' })])
  return { port: Number(/127\.0\.0\.1:(\d+)/.exec(stdout.text)?.[1]), out: stdout.text, async end () { interrupt.abort(); return { code: await over, err: stderr.text } } }
}
async function use<T> (line: readonly string[], work: (login: (name?: string) => Promise<Initiator>, serving: Serving) => Promise<T>, more = ''): Promise<string> {
  const served = await serving(line, more)
  const open: Initiator[] = []
  try {
    await work(async (name = me) => {
      const initiator = await openInitiator(served.port)
      open.push(initiator)
      await initiator.login([['InitiatorName', name], ['TargetName', iqn]])
      return initiator
    }, served)
  } finally { for (const one of open) one.close() }
  const { code, err } = await served.end()
  expect(code).toBe(0)
  return err
}
const read10 = '28000000000000000100'
const write10 = '2a000000000000000100'
const block = (value: number): Buffer => Buffer.alloc(512, value)

describe('a file', () => {
  it('is read and written where it lies, and interrupting ends it', async () => {
    const err = await use(['--lun', file], async login => {
      const initiator = await login()
      expect((await initiator.command(read10, { lun: 0, read: 512 })).data).toEqual(block(0x11))
      expect(await initiator.command(write10, { lun: 0, write: block(0x22) })).toMatchObject({ status: 0 })
    })
    expect(readFileSync(file).subarray(0, 1024)).toEqual(Buffer.concat([block(0x22), block(0x11)]))
    expect(err).toContain(`an initiator has logged in: initiator ${me}, target ${iqn}, from 127.0.0.1`)
    expect(err).toMatch(/Stopped\.\n$/)
  })
  it('with :ro cannot be written', () => use(['--lun', `${file}:ro`], async login => {
    expect(await (await login()).command(write10, { lun: 0, write: block(1) })).toMatchObject({ status: 2, sense: '7 2700' })
  }))
  it('with :cow stays as it is, each initiator has its own, and finds it again', async () => {
    const line = ['--lun', `${file}:cow`]
    await use(line, async login => {
      const [one, two] = [await login(), await login(`${me}-2`)]
      expect(await one.command(write10, { lun: 0, write: block(0x33) })).toMatchObject({ status: 0 })
      expect((await two.command(read10, { lun: 0, read: 512 })).data).toEqual(block(0x11))
    })
    await use(line, async login => { expect((await (await login()).command(read10, { lun: 0, read: 512 })).data).toEqual(block(0x33)) })
    expect(readFileSync(file).subarray(0, 512)).toEqual(block(0x11))
    expect(readdirSync(`${file}.overlays`).filter(name => !name.endsWith('.map')).length).toBe(2)
  })
  it('that has changed under its overlays is not put together with them', async () => {
    const line = ['--lun', `${file}:cow`, '--overlays', join(folder, 'elsewhere')]
    await use(line, async login => { await (await login()).command(write10, { lun: 0, write: block(1) }) })
    writeFileSync(file, Buffer.alloc(2 << 20))
    expect(await use(line, async login => { await expect(login()).rejects.toThrow('300') })).toContain('is the map of another overlay')
  })
  it('is served with blocks of 4096 bytes when that is asked for', () => use(['--lun', file, '--block-size', '4096'], async login => {
    expect((await (await login()).command('25000000000000000000', { lun: 0, read: 8 })).data.readUInt32BE(4)).toBe(4096)
  }))
})

describe('what is printed', () => {
  it('says what is served and how to reach it', async () => {
    const served = await serving(['--lun', file, '--lun', `${file}:cow`, '--initiator', me])
    await served.end()
    for (const text of [`Target  ${iqn}`, `Portal  127.0.0.1:${served.port}`, `LUN 0   ${file}, 1.0 MiB, read and write`, `LUN 1   ${file}, 1.0 MiB, what is written is kept for each initiator`, `For     ${me}`, `-p 127.0.0.1:${served.port} --login`, `file=iscsi://127.0.0.1:${served.port}/${iqn}/0`, `sanboot iscsi:127.0.0.1::${served.port}:0:${iqn}`]) expect(served.out).toContain(text)
  })
  it('is data for programs', async () => {
    const served = await serving(['--lun', `${file}:ro`], '-o json')
    await served.end()
    expect(JSON.parse(served.out)).toEqual({ target: iqn, portals: [`127.0.0.1:${served.port}`], luns: [{ lun: 0, file, mode: 'ro', size: 1 << 20 }] })
  })
})

describe('several portals', () => {
  it('are all listened on, and named to who asks', async () => {
    const served = await serving(['--lun', file, '--portal', '127.0.0.1:0', '--portal', '127.0.0.2:0'])
    const portals = [...served.out.matchAll(/Portal {2}(\S+)/g)].map(([, portal = '']) => portal)
    const [host = '', port = ''] = portals[1]?.split(':') ?? []
    const initiator = await openInitiator(Number(port), host)
    await initiator.login([['InitiatorName', me], ['SessionType', 'Discovery']])
    initiator.send(header(0x04, 0x80, { 16: 1, 20: 0xffffffff, 24: 1 }), Buffer.from('SendTargets=All\0'))
    expect((await initiator.next()).data.toString().split('\0').filter(Boolean)).toEqual([`TargetName=${iqn}`, `TargetAddress=${portals[1]},1`, `TargetAddress=${portals[0]},1`])
    initiator.close()
    await served.end()
  })
})

describe('who may log in', () => {
  it('is anybody, or those that are named', () => use(['--lun', file, '--initiator', me], async login => {
    await login()
    await expect(login(`${me}-2`)).rejects.toThrow('202')
  }))
  it('proves it where a secret is asked for, and is proven to', async () => {
    const served = await serving(['--lun', file, '--chap-user', 'alice', '--chap-secret-file', secret, '--mutual-user', 'disk', '--mutual-secret-file', other])
    const digest = (id: number, words: string, challenge: string) => `0x${createHash('md5').update(Buffer.of(id)).update(words).update(Buffer.from(challenge.slice(2), 'hex')).digest('hex')}`
    for (const [words, theirs] of [['correct horse battery', 'staple and more of it'], ['wrong horse battery', undefined]] as const) {
      const initiator = await openInitiator(served.port)
      await initiator.negotiate([['InitiatorName', me], ['TargetName', iqn], ['AuthMethod', 'CHAP,None']], { stage: 0 })
      const asked = await initiator.negotiate([['CHAP_A', '5']], { stage: 0 })
      const answer = initiator.negotiate([['CHAP_N', 'alice'], ['CHAP_R', digest(Number(asked.get('CHAP_I')), words, asked.get('CHAP_C') ?? '')], ['CHAP_I', '7'], ['CHAP_C', '0x0102030405060708']], { stage: 0, next: 1 })
      if (theirs === undefined) await expect(answer).rejects.toThrow('201')
      else expect(Object.fromEntries(await answer)).toMatchObject({ CHAP_N: 'disk', CHAP_R: digest(7, theirs, '0x0102030405060708') })
      initiator.close()
    }
    await served.end()
  })
})

describe('what is wrong is named', () => {
  const lun = () => ['--iqn', iqn, '--portal', '127.0.0.1:0', '--lun', file]
  it.each<readonly [string, () => readonly string[], number, string | RegExp]>([
    ['no file', () => ['--iqn', iqn, '--lun', join(folder, 'none')], 2, `LUN 0, ${join(folder, 'none')}: there is no such file.`],
    ['a folder', () => ['--iqn', iqn, '--lun', file, '--lun', `${folder}:ro`], 2, `LUN 1, ${folder}: `],
    ['an empty file', () => { writeFileSync(file, ''); return ['--iqn', iqn, '--lun', file] }, 2, 'it is empty'],
    ['no LUN', () => ['--iqn', iqn], 2, '--lun'],
    ['no name', () => ['--lun', file], 2, '--iqn'],
    ['a name that is none', () => ['--iqn', 'disk', '--lun', file], 2, 'disk is no iSCSI name. Write it as iqn.'],
    ['an initiator\'s name that is none', () => [...lun(), '--initiator', 'me'], 2, 'me is no iSCSI name'],
    ['an address that is none', () => [...lun(), '--portal', '1:2:3'], 2, '1:2:3 is no address with a port'],
    ['an address that is elsewhere', () => ['--iqn', iqn, '--lun', file, '--portal', '192.0.2.77:3260'], 1, '192.0.2.77:3260: this host does not have that address.'],
    ['half of a CHAP user', () => [...lun(), '--chap-user', 'alice'], 2, '--chap-user and --chap-secret-file belong together'],
    ['no secret', () => [...lun(), '--chap-user', 'alice', '--chap-secret-file', join(folder, 'none')], 2, `${join(folder, 'none')} cannot be read`],
    ['a short secret', () => [...lun(), '--chap-user', 'alice', '--chap-secret-file', short], 2, 'too short: 12 bytes is the least'],
    ['a target that alone proves itself', () => [...lun(), '--mutual-user', 'disk', '--mutual-secret-file', secret], 2, 'give --chap-user'],
    ['one secret for both', () => [...lun(), '--chap-user', 'a', '--chap-secret-file', secret, '--mutual-user', 'b', '--mutual-secret-file', secret], 2, 'have the same secret']
  ])('%s', async (_, line, code, words) => {
    const result = await run(['iscsi', 'serve', ...line()])
    expect(result.code).toBe(code)
    expect(result.out).toBe('')
    expect(result.err).toContain(words)
  })
  it('a port that is taken, and then no other one is held', async () => {
    const holder = createServer()
    await new Promise<void>(resolve => { holder.listen(0, '127.0.0.1', resolve) })
    const { port } = holder.address() as { port: number }
    expect(await run(['iscsi', 'serve', '--iqn', iqn, '--lun', file, '--portal', '127.0.0.2:0', '--portal', `127.0.0.1:${port}`])).toEqual({ code: 1, out: '', err: `bedplate: 127.0.0.1:${port} is taken by another program.\n` })
    holder.close()
  })
})
