/** `bedplate join` and `leave` in this process, against the port of a region: what is written where, and what is refused. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../../cli/program.ts'
import { packageVersion } from '../../core/controller.ts'
import { holdDirectory } from '../../core/exclusive.ts'
import { createIdentityStore } from '../../core/rpc/identity.ts'
import { openRackStore } from '../../core/state/store.ts'
import { server, testDatabase, type TestDatabase } from '../kit/database.ts'
import { Installation, schema, type Region } from '../rpc/installation.ts'
import { sink } from './cli.kit.ts'

let db: TestDatabase
let version: string
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema); version = await packageVersion() })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const key = 'ef'.repeat(32)
const shares = () => ({ secretKey: key, database: { hosts: ['db.example'], name: db.options.database, user: db.options.user, password: '' } })
const address = (region: Region) => `127.0.0.1:${region.end.port()}`

/** One host: a folder, and commands on it. `started` are the daemons it became. */
async function host () {
  const folder = await installation.directory()
  const [data, file] = [join(folder, 'data'), join(folder, 'etc', 'bedplate.yaml')]
  const started: (readonly string[])[] = []
  return {
    folder, data, file, started,
    async run (...line: readonly string[]) {
      const [stdout, stderr] = [sink(), sink()]
      const code = await runCli(line, { HOME: folder, BEDPLATE_CONFIG: file, BEDPLATE_DATA_DIRECTORY: data }, { stdout, stderr, start: async args => { started.push(args) } })
      return { code, out: stdout.text, err: stderr.text }
    }
  }
}

describe('join', () => {
  test('writes what a rack needs and becomes the daemon', async () => {
    const region = await installation.region(db, { version })
    const one = await host()
    const { code, out, err } = await one.run('join', address(region), '--token', await region.end.createToken(['rack'], 60), '--hostname', 'north', '--set', 'network.scanSeconds=30', '--set', 'rpc.advertise=a,b')
    expect([code, err]).toEqual([0, ''])
    const id = (await readFile(join(one.data, 'controller.id'), 'utf8')).trim()
    expect(out).toBe(`This host has joined as rack, north (${id}). Its configuration is ${one.file}.\n`)
    expect(one.started).toEqual([['--config', one.file]])
    expect((await readFile(one.file, 'utf8')).split('\n')[0]).toBe(`# Written by "bedplate join" for controller ${id}`)
    expect(parse(await readFile(one.file, 'utf8'))).toEqual({ roles: ['rack'], dataDirectory: one.data, regions: [address(region)], hostname: 'north', network: { scanSeconds: 30 }, rpc: { advertise: ['a', 'b'] } })
    expect((await stat(one.file)).mode & 0o777).toBe(0o600)
    expect(await readdir(one.data)).not.toContain('secret.key')
    expect(await createIdentityStore(one.data).regions()).toMatchObject([{ controller: region.id }])
  })

  test('tries the database a region is given, and keeps what was fetched when that is not to be reached', async () => {
    const region = await installation.region(db, { version, shares: shares() })
    const one = await host()
    const token = await region.end.createToken(['region', 'rack'], 60)
    const far = await one.run('join', address(region), '--token', token, '--database-host', '/nonexistent')
    expect([far.code, one.started, far.err]).toEqual([1, [], expect.stringMatching(/From this host the database is not to be used: .*\/nonexistent.*what was fetched is kept\. \[DATABASE_UNREACHABLE\]\n$/)])
    expect(await readFile(join(one.data, 'secret.key'), 'utf8')).toBe(key)
    const text = await readFile(one.file, 'utf8')
    expect(parse(text)).toMatchObject({ roles: ['region', 'rack'], regions: [address(region)], database: { ...shares().database, hosts: ['/nonexistent'] } })
    await writeFile(one.file, text.replace('/nonexistent', server().host))
    expect(await one.run('join', address(region), '--token', token)).toMatchObject({ code: 0, err: expect.stringContaining('has joined before') })
    expect(one.started).toEqual([['--config', one.file]])
  }, 60_000)

  test('of a version that does not fit is refused with a sentence, the token unspent', async () => {
    const region = await installation.region(db, { version: '7.3.0' })
    const one = await host()
    const token = await region.end.createToken(['rack'], 60)
    expect(await one.run('join', address(region), '--token', token)).toMatchObject({ code: 1, out: '', err: expect.stringMatching(new RegExp(`^bedplate: Enrolment was refused: this controller runs version ${version} and the region localhost 7\\.3\\.0: .* The token is still good \\[ENROLMENT_REFUSED\\]\\n$`)) })
    expect(await db.query('select used_at from core.enrolment_token')).toEqual([{ used_at: null }])
  })

  test('overwrites neither a configuration nor a key that is another\'s', async () => {
    const region = await installation.region(db, { version, shares: shares() })
    const one = await host()
    const token = await region.end.createToken(['region'], 60)
    const joining = () => one.run('join', address(region), '--token', token, '--database-host', server().host)
    await mkdir(one.data)
    await writeFile(join(one.data, 'secret.key'), 'ab'.repeat(32))
    expect(await joining()).toMatchObject({ code: 1, err: expect.stringMatching(/secret\.key is the key of another installation: if nothing needs it any more, move it away; then say the same again\. \[CONFLICT\]/) })
    await writeFile(join(one.data, 'secret.key'), `${key}\n`)
    await mkdir(join(one.folder, 'etc'))
    await writeFile(one.file, 'roles: [rack]\n')
    expect(await joining()).toMatchObject({ code: 1, err: expect.stringContaining('is there already and says something else') })
    expect(await readFile(one.file, 'utf8')).toBe('roles: [rack]\n')
    await writeFile(one.file, `# Written by "bedplate join" for controller ${(await readFile(join(one.data, 'controller.id'), 'utf8')).trim()}\nroles: [`) // its own, from a join that was cut off
    expect(await joining()).toMatchObject({ code: 0 }) // with the token it was cut off with
  })

  test('knows where this host belongs already', async () => {
    const region = await installation.region(db, { version })
    const one = await host()
    const token = await region.end.createToken(['rack'], 60)
    expect((await one.run('join', address(region), '--token', token, '--no-start')).code).toBe(0)
    const other = `${token.slice(0, -64)}${'0'.repeat(64)}`
    expect(await one.run('join', address(region), '--token', other)).toMatchObject({ code: 1, err: expect.stringContaining('This host belongs to another installation') })
    expect(await one.run('join', address(region), '--token', token, '--config', join(one.folder, 'elsewhere.yaml'))).toMatchObject({ code: 1, err: expect.stringMatching(/has joined already, as \S+, but there is no \S+elsewhere\.yaml/) })
    const release = holdDirectory(one.data)
    expect(await one.run('join', address(region), '--token', token)).toMatchObject({ code: 0, out: expect.stringMatching(/has joined already, as \S+, and Bedplate runs\.\n/) })
    release()
    expect(one.started).toEqual([])
  })

  test.each([
    [['not a host'], 'is not the address of a region'], [['x', '--role', 'leader'], 'Allowed choices are region, rack'], [['x', '--set', 'roles=rack'], 'The roles are given with --role'], [['x', '--set', 'nonsense'], 'give it as key=value'], [[], "missing required argument 'region'"]
  ])('%j is refused', async (args, sentence) => {
    const one = await host()
    const { code, err } = await one.run('join', ...args, '--token', `bp1.${'0'.repeat(16)}.${'A'.repeat(32)}.${'0'.repeat(64)}`)
    expect([code > 0, err]).toEqual([true, expect.stringContaining(sentence)])
    expect(await readdir(one.folder)).toEqual([])
  })
})

describe('leave', () => {
  const joined = async (region: Region) => {
    const one = await host()
    await one.run('join', address(region), '--token', await region.end.createToken(['rack'], 60), '--no-start')
    return { ...one, id: (await readFile(join(one.data, 'controller.id'), 'utf8')).trim() }
  }
  const fact = (data: string) => {
    const store = openRackStore(data, () => {})
    store.append('probe', 'seen', new Date().toISOString(), '{"n":7}')
    store.close()
  }

  test('puts aside all that makes a controller, and the next join makes another one', async () => {
    const region = await installation.region(db, { version })
    const one = await joined(region)
    fact(one.data)
    const { code, out } = await one.run('leave', '-o', 'json')
    const { putAside } = JSON.parse(out) as { putAside: string }
    expect([code, JSON.parse(out)]).toEqual([0, { controller: one.id, told: true, delivered: true, putAside: expect.stringContaining(join(one.data, 'left-')) }])
    expect((await readdir(putAside)).sort()).toEqual(['controller.id', 'identity', 'rack.db'])
    expect((await stat(putAside)).mode & 0o777).toBe(0o700)
    expect(await db.query('select n from probe.fact')).toEqual([{ n: 7 }])
    expect(await db.query('select id from core.controller where id = $1', [one.id])).toEqual([])
    expect(await one.run('leave')).toMatchObject({ code: 1, err: expect.stringContaining('this host is no controller of an installation') })
    expect((await one.run('join', address(region), '--token', await region.end.createToken(['rack'], 60))).code).toBe(0)
    expect((await readFile(join(one.data, 'controller.id'), 'utf8')).trim()).not.toBe(one.id)
  })

  test('with no region there: is refused, and with force tells what is left to do', async () => {
    const region = await installation.region(db, { version })
    const one = await joined(region)
    fact(one.data)
    await region.stop()
    expect(await one.run('leave', '--timeout', '1')).toMatchObject({ code: 1, err: expect.stringMatching(new RegExp(`No region can be told that this host goes \\(.*ECONNREFUSED.*bedplate controller remove ${one.id} \\[UNREACHABLE\\]`)) })
    expect(await readdir(one.data)).toContain('identity')
    expect(await one.run('leave', '--timeout', '1', '--force')).toMatchObject({ code: 0, err: expect.stringMatching(new RegExp(`1 facts of this rack are lost[^]*No region knows of it yet\\. On one: bedplate controller remove ${one.id}`)) })
  })

  test('takes no file along that is about another data directory', async () => {
    const region = await installation.region(db, { version })
    const [one, two] = [await joined(region), await joined(region)]
    expect(await one.run('leave', '--data-directory', two.data)).toMatchObject({ code: 2, err: `bedplate: ${one.file} is about ${one.data}, not ${two.data}.\n` })
    expect(await readdir(join(two.data, 'identity'))).toContain('certificate.pem')
    expect((await one.run('leave', '--data-directory', `${one.data}/`)).code).toBe(0)
  })

  test('with facts that no region stores: is refused, goes on when said again, and loses them with force only', async () => {
    const region = await installation.region(db, { version })
    const [one, two] = [await joined(region), await joined(region)]
    for (const host of [one, two]) fact(host.data)
    const stuck = Promise.withResolvers<void>()
    region.probe.onFacts = () => stuck.promise
    expect(await one.run('leave', '--timeout', '1')).toMatchObject({ code: 1, err: expect.stringMatching(/^bedplate: 1 facts of this rack have not been delivered[^]*say "bedplate leave" again to go on, or give --force to lose them\. \[UNAVAILABLE\]\n$/) })
    expect(await two.run('leave', '--timeout', '1', '--force')).toMatchObject({ code: 0, err: '1 facts of this rack are lost to the installation; they stay in what is put aside.\n' })
    expect((await db.query('select id from core.controller where id = any($1)', [[one.id, two.id]]))).toEqual([{ id: one.id }])
    stuck.resolve()
    expect(await one.run('leave')).toMatchObject({ code: 0, err: '' })
    expect((await db.query<{ rack: string }>('select rack from probe.fact')).filter(row => row.rack === one.id)).toHaveLength(1)
  })

  test('after it was removed on a region: only the host\'s part is left to do', async () => {
    const region = await installation.region(db, { version })
    const one = await joined(region)
    await region.end.remove(one.id, true)
    expect(await one.run('leave')).toMatchObject({ code: 0, out: expect.stringContaining('This host has left.') })
  })

  test('cut off before the host\'s part is said again', async () => {
    const region = await installation.region(db, { version })
    const one = await joined(region)
    await db.query('delete from core.controller where id = $1', [one.id]) // told already
    const text = await readFile(one.file, 'utf8')
    expect((await one.run('leave')).code).toBe(0)
    await writeFile(one.file, text) // the last that is put aside
    expect(await one.run('leave')).toMatchObject({ code: 0, out: expect.stringContaining('what was still there was put aside') })
    expect(await readdir(join(one.folder, 'etc'))).toEqual([expect.stringMatching(/yaml\.left-/), expect.stringMatching(/yaml\.left-/)])
  })
})
