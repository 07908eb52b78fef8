/** How the program behaves before any region is involved: usage, exit codes, where it looks for a token. */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { passingToken } from '../../cli/session.ts'
import { run } from './cli.kit.ts'

let server: Server
let url: string
let home: string
let seen: IncomingMessage[]
let answer: { status: number, body: string, type?: string }
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cli-'))
  server = createServer((request, response) => {
    seen.push(request)
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'application/json' }).end(answer.body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await rm(home, { recursive: true, force: true })
})
beforeEach(() => {
  seen = []
  answer = { status: 200, body: '{"items":[]}' }
})
const headers = () => seen.map(request => request.headers.authorization)

describe('usage', () => {
  it.each([
    ['', 'Usage: bedplate'], ['vlna list', "unknown command 'vlna'\n(Did you mean vlan?)"], ['vlan lst', 'Did you mean list?'], ['vlan list --colour', "unknown option '--colour'"], ['machine show', "missing required argument 'machine'"], ['machine show a b', 'too many arguments'],
    ['machine deploy x', "required option '--image <image>' not specified"], ['vlan list -o xml', 'Allowed choices are table, json, yaml'], ['vlan create seven', 'It must be a whole number.'], ['token create x --expires soon', 'Write it as 12h, 30d or 8w.'], ['machine set-power x --parameter =1', 'name=value']
  ])('"bedplate %s" is refused with exit code 2, before anything is asked', async (line, sentence) => {
    const { code, out, err } = await run(line, { env: { BEDPLATE_URL: url } })
    expect([code, out, seen]).toEqual([2, '', []])
    expect(err).toContain(sentence)
  })

  it('says on one line what is wrong, under the name of the program', async () => {
    expect((await run('machine show')).err).toBe("bedplate: missing required argument 'machine'\n")
  })

  it('helps on standard output, with exit code 0', async () => {
    for (const line of ['--help', 'help', 'vlan --help', 'help vlan', 'machine power --help', 'token create --help']) {
      const { code, out, err } = await run(line)
      expect([code, err]).toEqual([0, ''])
      expect(out).toMatch(/^Usage: bedplate/)
    }
  })

  it('describes every command, argument-less options apart', async () => {
    const walk = async (path: string): Promise<string[]> => {
      const { out } = await run(`${path} --help`)
      const [, part = ''] = out.split('Commands:\n')
      const lines = part.split('\n').filter(line => /^ {2}\S/.test(line))
      const names = lines.map(line => line.trim().split(/[ |]/)[0]!).filter(name => name !== 'help' && name !== 'run')
      expect(lines.filter(line => !/ {2}\S/.test(line.trim()) && line.length < 25), path).toEqual([])
      const deeper = await Promise.all(names.map(name => walk(`${path} ${name}`.trim())))
      return deeper.flat().concat(names.length === 0 ? [path] : [])
    }
    const leaves = await walk('')
    expect(leaves).toEqual(expect.arrayContaining(['status', 'events', 'machine list', 'machine deploy', 'machine power on', 'image import', 'vlan enable-dhcp', 'subnet create', 'range create', 'address list', 'token create', 'controller token']))
  })
})

describe('the region', () => {
  it('that does not answer is named, with what to do', async () => {
    const closed = createServer()
    await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
    const { port } = closed.address() as AddressInfo
    await new Promise(resolve => closed.close(resolve))
    const { code, out, err } = await run('vlan list', { env: { BEDPLATE_URL: `http://127.0.0.1:${port}` } })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^bedplate: No answer from http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.* Is Bedplate running there\?.*\[UNREACHABLE\]\n$/)
    expect((await run('vlan list --url nonsense')).code).toBe(1)
  })

  it('is taken from --url, then BEDPLATE_URL', async () => {
    expect((await run(`image list --url ${url}/`, { env: { BEDPLATE_URL: 'http://127.0.0.1:1' } })).code).toBe(0)
    expect(seen.map(request => request.url)).toEqual(['/api/v1/images?limit=1000'])
  })

  it('has its problems told in its own words', async () => {
    answer = { status: 422, body: '{"code":"NETWORK_INVALID","detail":"Subnet a overlaps subnet b."}', type: 'application/problem+json' }
    expect(await run('image list', { env: { BEDPLATE_URL: url } })).toEqual({ code: 1, out: '', err: 'bedplate: Subnet a overlaps subnet b. [NETWORK_INVALID]\n' })
  })

  it('cannot do anything to the terminal', async () => {
    answer = { status: 422, body: JSON.stringify({ code: 'X', detail: 'a\u001b[2Jb' }) }
    expect((await run('image list', { env: { BEDPLATE_URL: url } })).err).toBe('bedplate: a?[2Jb [X]\n')
  })

  it.each([
    [502, '<html>', 'answered 502 Bad Gateway'], [200, '<html>', 'does not answer as Bedplate does'], [500, '[]', 'answered 500 Internal Server Error'], [404, '', 'answered 404 Not Found'], [302, '', 'No answer']
  ])('that is none, answering %d %j, fails with a sentence', async (status, body, sentence) => {
    answer = { status, body }
    const { code, out, err } = await run('image list', { env: { BEDPLATE_URL: url } })
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(sentence)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

describe('the token', () => {
  it('is taken from --token, then BEDPLATE_TOKEN, then the data directory, then the user\'s own', async () => {
    const [data, state] = [join(home, 'data'), join(home, 'user', '.local', 'state', 'bedplate')]
    for (const [folder, token] of [[data, 'from-data'], [state, 'from-home']] as const) {
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'admin.token'), `${token}\n`)
    }
    const env = { BEDPLATE_URL: url, BEDPLATE_DATA_DIRECTORY: data, BEDPLATE_TOKEN: 'from-env', HOME: join(home, 'user') }
    await run('image list --token from-flag', { env })
    await run('image list', { env })
    await run('image list', { env: { ...env, BEDPLATE_TOKEN: undefined } })
    await run('image list', { env: { BEDPLATE_URL: url, BEDPLATE_DATA_DIRECTORY: state } })
    expect(headers()).toEqual(['Bearer from-flag', 'Bearer from-env', 'Bearer from-data', 'Bearer from-home'])
  })

  it('found on this host is shown to this host only', async () => {
    await writeFile(join(home, 'admin.token'), 'local')
    const { port } = new URL(url)
    await run('image list', { env: { BEDPLATE_URL: `http://127.0.0.1:${port}`, BEDPLATE_DATA_DIRECTORY: home } })
    await run('image list', { env: { BEDPLATE_URL: `http://0.0.0.0:${port}`, BEDPLATE_DATA_DIRECTORY: home } }) // this host too, but not by a name that says so
    expect(headers()).toEqual(['Bearer local', undefined])
  })

  it('of a region that runs for a while is left under its port, and counts while that runs', async () => {
    const state = join(home, 'state')
    await mkdir(join(state, 'bedplate'), { recursive: true })
    await writeFile(join(state, 'bedplate', 'admin.token'), 'of-the-user')
    const env = { BEDPLATE_URL: url, XDG_STATE_HOME: state }
    const file = passingToken(env, new URL(url).port)!
    await writeFile(file, `passing ${process.pid}\n`)
    await run('image list', { env })
    await writeFile(file, `passing ${2 ** 30}\n`) // no process has that id
    await run('image list', { env })
    await writeFile(file, 'damaged')
    await run('image list', { env })
    expect([file, headers()[0]]).toEqual([join(state, 'bedplate', `${new URL(url).port}.token`), 'Bearer passing'])
    expect(headers().slice(1)).not.toContain('Bearer passing')
  })

  it('that is missing is asked for with what to do', async () => {
    answer = { status: 401, body: '{"code":"UNAUTHENTICATED","detail":"x"}' }
    const { code, err } = await run('image list', { env: { BEDPLATE_URL: url, BEDPLATE_DATA_DIRECTORY: '/nonexistent' } })
    expect([code, err]).toEqual([1, expect.stringContaining('give --token, set BEDPLATE_TOKEN')])
  })
})

describe('lists', () => {
  it('are read to their last page', async () => {
    const pages = [{ items: [{ id: '1' }], next: 'a&b' }, { items: [{ id: '2' }], next: null }]
    answer = { status: 200, get body () { return JSON.stringify(pages[seen.length - 1]) } }
    const { out } = await run('token list -o json', { env: { BEDPLATE_URL: url } })
    expect(JSON.parse(out)).toEqual([{ id: '1' }, { id: '2' }])
    expect(seen.map(request => request.url)).toEqual(['/api/v1/access/tokens?limit=1000', '/api/v1/access/tokens?limit=1000&after=a%26b'])
  })
})
