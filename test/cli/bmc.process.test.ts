/** `bedplate bmc`, what a machine's BMC tells, chassis, and a driver's parameters as options: against a region and a rack in one, and simulated BMCs. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askSecret, flagOf, schemeOf, sortOut, valueOf } from '../../cli/parameters.ts'
import access from '../../plugins/access/index.ts'
import machines from '../../plugins/machines/index.ts'
import network from '../../plugins/network/index.ts'
import power from '../../plugins/power/index.ts'
import tracking from '../../plugins/tracking/index.ts'
import { drivers } from '../../plugins/power/drivers.ts'
import { startBmc, type Bmc } from '../../sim/bmc/bmc.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { startDaemon, type Daemon } from '../kit/daemon.ts'
import { commands, read } from './documents.ts'
import { until } from '../kit/wait.ts'
import { run, sink, type Result, type RunOptions } from './cli.kit.ts'

let daemon: Daemon
let env: Record<string, string>
let bmc: Bmc
let chassis: Bmc
const account = { user: 'chef', password: 'cali&?%é', privilege: 'administrator' } as const
beforeAll(async () => {
  daemon = await startDaemon({ plugins: [access, network, tracking, power, machines], roles: ['region', 'rack'], config: { hostname: 'one' } })
  env = { BEDPLATE_URL: daemon.url, BEDPLATE_TOKEN: (await readFile(join(daemon.dataDirectory, 'admin.token'), 'utf8')).trim() }
  bmc = await startBmc({ redfish: {}, account })
  chassis = await startBmc({ redfish: {}, account, machines: [createNothing({ name: 'blade-1' }), createNothing({ name: 'blade-2' })] })
  await ok('machine create --mac 52:54:00:00:00:01 --hostname web')
})
afterAll(async () => { await daemon.stop(); await bmc.close(); await chassis.close() })

const bedplate = (line: string | readonly string[], options: RunOptions = {}): Promise<Result> => run(line, { ...options, env: { ...env, ...options.env } })
async function ok (line: string | readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, out, err } = await bedplate(line, options)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}
const url = (): string => bmc.redfish?.url ?? ''
const powerOf = async (name: string) => JSON.parse(await ok(`machine set-power ${name} --driver manual -o json`)) as Record<string, unknown>
const parametersOf = async (line: readonly string[], options: RunOptions = {}) => (JSON.parse(await ok([...line, '-o', 'json'], options)) as { parameters: Record<string, unknown> }).parameters
const state = (): Promise<string> => ok('machine power state web')

test('the drivers and their parameters are listed as a person gives them', async () => {
  const list = await ok('bmc drivers')
  expect(list).toMatch(/^NAME +TITLE +CAN +EXPERIMENTAL\n/)
  expect(list).toMatch(/^redfish +Redfish +on, off, .*sensors.* -$/m)
  expect(list).toMatch(/^manual +By hand +on, off, cycle, shutdown +-$/m)
  expect(await ok('bmc driver redfish')).toMatch(/^Name: +redfish\n[^]*\nParameters\n {2}--address +Address +required +\S[^]*\n {2}--password +Password +secret/)
  expect(await bedplate('bmc driver telepathy')).toMatchObject({ code: 1, err: expect.stringMatching(/^bedplate: There is no power driver telepathy; there are .*manual.* \[NOT_FOUND\]\n$/) })
})

test('a driver\'s parameters are options of set-power, in any order, with a space or "="', async () => {
  for (const line of [`machine set-power web --driver redfish --address ${url()} --user chef --password ${account.password}`, `machine set-power web ${url()} --user=chef --password=${account.password} --driver redfish`, `machine set-power web redfish+${url()} --password ${account.password} --parameter user=chef`, `machine set-power web --address redfish+${url()} --user chef --password ${account.password}`]) {
    await powerOf('web')
    expect(await ok(line)).toBe('Machine web is powered by redfish.\n')
    expect(await state()).toBe('off\n')
  }
})

test('a password comes from standard input or the environment, and not into the answer', async () => {
  const line = ['machine', 'set-power', 'web', '--driver', 'redfish', '--address', url(), '--user', 'chef']
  await powerOf('web')
  expect(await parametersOf([...line, '--password', '-'], { input: `${account.password}\nmore\n` })).toMatchObject({ user: 'chef', password: '••••••' })
  expect(await state()).toBe('off\n')
  await powerOf('web')
  await parametersOf(line, { env: { BEDPLATE_BMC_PASSWORD: account.password } })
  expect(await state()).toBe('off\n')
  expect(await bedplate([...line, '--password', '-'])).toMatchObject({ code: 2, err: 'bedplate: There is no standard input to read it from.\n' })
  expect(await bedplate([...line, '--password', '-'], { input: '' })).toMatchObject({ code: 2, err: 'bedplate: Nothing was given.\n' })
})

test('an option the driver does not have is named, with those it has; nothing is sent', async () => {
  expect(await bedplate(`machine set-power web --driver redfish --adress ${url()}`)).toEqual({ code: 2, out: '', err: expect.stringMatching(/^bedplate: The driver redfish has no --adress; it has --address, --user, --password, .*\. "bedplate bmc driver redfish" explains them\.\n$/) })
  expect(await bedplate('machine set-power web --driver manual --user x')).toMatchObject({ code: 2, err: expect.stringContaining('it has no parameters') })
  expect(await bedplate('machine set-power web https://10.0.0.9 again')).toMatchObject({ code: 2, err: 'bedplate: There is one word too many: again\n' })
  expect(await bedplate('machine set-power --user root')).toMatchObject({ code: 2, err: expect.stringContaining('Name the machine first') })
  expect(await bedplate('machine add-chassis --user root')).toMatchObject({ code: 2, err: expect.stringContaining('Which driver?') })
  expect(await bedplate(`machine set-power web redfish+${url()} --tls maybe`)).toMatchObject({ code: 1, err: expect.stringContaining('[POWER_PARAMETERS_INVALID]') })
})

test('what the BMC tells is read as tables', async () => {
  await ok(['machine', 'set-power', 'web', bmc.redfish?.address() ?? ''])
  expect(await ok('machine power identity web')).toMatch(/^UUID: +[0-9a-f-]{36}\nManufacturer: +Bedplate\nModel: +Simulated\nSerial: +BP\w+\nBMC version: +\S+\n$/)
  expect(await ok('machine power sensors web')).toMatch(/^SENSOR +KIND +VALUE +STATUS\n[^]*^Inlet Temp +temperature +21 \S+ +ok$/m)
  expect(await bedplate('machine power sensors web --bad')).toMatchObject({ code: 0, err: 'All sensors are in order.\n' })
  bmc.model.systems[0].log.add('input lost')
  expect(await ok('machine power log web')).toMatch(/^AT +SEVERITY +MESSAGE +ID\n[^]*critical +Power supply 1 has lost its input/m)
  expect(await ok('machine power firmware web')).toMatch(/^NAME +VERSION +UPDATEABLE\n/)
  expect(await bedplate('machine power sensors nobody')).toMatchObject({ code: 1, err: expect.stringContaining('[NOT_FOUND]') })
})

test('an image is put into the virtual drive, shown, and taken out', async () => {
  expect(await ok('machine media show web')).toBe('Image:  none\n')
  expect(await ok('machine media insert web http://10.0.0.1/rescue.iso')).toBe('The virtual drive of web has http://10.0.0.1/rescue.iso.\n')
  expect(await ok('machine media show web')).toBe('Image:  http://10.0.0.1/rescue.iso\n')
  expect(await ok('machine media eject web')).toBe('The virtual drive of web is empty.\n')
})

test('a chassis gives all its machines, and again changes nothing', async () => {
  const line = ['machine', 'add-chassis', `redfish+${chassis.redfish?.url}`, '--user', 'chef', '--password', account.password]
  const first = await ok(line)
  expect(first).toMatch(/^NAME +BECAME +HOSTNAME +ID +REASON\n(\S.* added +\S+ +\S+ +-\n){2}$/)
  expect(await ok(line)).toMatch(/^NAME +BECAME +HOSTNAME +ID +REASON\n(\S.* known; keeps its power +\S+ +\S+ +-\n){2}$/)
  expect(JSON.parse(await ok([...line, '-o', 'json']))).toMatchObject({ driver: 'redfish', added: [], known: [{ configured: false }, { configured: false }], failed: [] })
})

test('a scan is begun, waited for, listed and called off', async () => {
  expect((await bedplate('bmc list')).err).toBe('No BMC was found yet. Look for some: bedplate bmc scan 10.0.0.0/24\n')
  expect((await bedplate('bmc scans')).err).toBe('Nothing was looked for yet. Begin: bedplate bmc scan 10.0.0.0/24\n')
  const { code, out, err } = await bedplate('bmc scan 127.0.73.0/30 --user chef --password - --wait', { input: 'secret\n' })
  expect({ code, out, err }).toEqual({ code: 0, out: 'Scan 1 is done: 0 BMCs at 2 addresses; "bedplate bmc list" shows them.\n', err: 'looked at 2 of 2 addresses, found 0\n' })
  expect(await ok('bmc scan 127.0.74.1')).toBe('Scan 2 has begun; "bedplate bmc scans" tells how far it is.\n')
  expect(await ok('bmc cancel 2')).toMatch(/^Scan 2 is (cancelled|done)\.\n$/)
  expect(await ok('bmc scans')).toMatch(/^ID +RANGE +STATE +LOOKED AT +FOUND +BEGUN +WHY\n2 +127\.0\.74\.1 +(cancelled|done) .*\n1 +127\.0\.73\.0\/30 +done +2 of 2 +0 +\d+ s ago +-\n$/)
  expect(await bedplate('bmc scan 10.0.0.0/8')).toMatchObject({ code: 1, err: expect.stringContaining('scan it in parts') })
  expect(await bedplate('bmc cancel 77')).toMatchObject({ code: 1, err: expect.stringContaining('There is no scan 77') })
})

test('who waits for a scan goes on through a region that answers nothing for a while, and may go while the scan does not', async () => {
  let refused = 0
  const flaky = createServer((request, response) => {
    if (request.method === 'POST') { response.writeHead(202, { 'content-type': 'application/json' }).end('{"id":"9"}'); return }
    if (refused++ < 2) { request.socket.destroy(); return }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: '9', state: refused < 5 ? 'running' : 'done', looked: 1, addresses: 1, found: 0 }))
  })
  await new Promise<void>(resolve => { flaky.listen(0, '127.0.0.1', resolve) })
  try {
    const there = { env: { BEDPLATE_URL: `http://127.0.0.1:${(flaky.address() as AddressInfo).port}` } }
    expect(await bedplate('bmc scan 10.0.0.1 --wait', there)).toMatchObject({ code: 0, out: expect.stringContaining('Scan 9 is done') })
    refused = -1_000
    const interrupt = new AbortController()
    const waiting = bedplate('bmc scan 10.0.0.1 --wait', { ...there, signal: interrupt.signal })
    await until(() => refused > -999)
    interrupt.abort()
    expect(await waiting).toMatchObject({ code: 1, err: expect.stringContaining('Interrupted') })
  } finally { flaky.closeAllConnections(); await new Promise(resolve => { flaky.close(resolve) }) }
})

test('what was found is listed with its machine, and forgotten', async () => {
  const [{ id } = { id: '' }] = JSON.parse(await ok('machine list -o json')) as { id: string }[]
  await daemon.kernel.db?.query(`insert into power.found (host, driver, address, uuid, vendor, model, serial, secrets, rack, scan, seen_at) values
    ('10.0.0.9', 'ipmi', 'ipmi://10.0.0.9', null, 'Contoso', 'C1', null, null, 'r-1', 1, now()), ('10.0.0.10', 'redfish', 'redfish+https://10.0.0.10', '00112233-4455-6677-8899-aabbccddeeff', 'Contoso', 'C2', 'S2', 'v1.x', 'r-1', 1, now())`)
  await ok(['machine', 'set-power', id, 'redfish+https://10.0.0.10'])
  const shown = await ok('bmc list')
  expect(shown).toMatch(/^HOST +DRIVER +MACHINE +VENDOR +MODEL +SERIAL +UUID +LOGIN +RACK +SEEN +PROBLEM\n10\.0\.0\.9 +ipmi +- +Contoso +C1 +- +- +no +r-1 +\d+ s ago +-\n10\.0\.0\.10 +redfish +\w\S* +Contoso +C2 +S2 +00112233-\S+ +yes +r-1 +\d+ s ago +-\n$/)
  expect(await ok('bmc forget 10.0.0.9')).toBe('The BMC at 10.0.0.9 is forgotten.\n')
  expect(await bedplate('bmc forget 10.0.0.9')).toMatchObject({ code: 1, err: expect.stringContaining('[NOT_FOUND]') })
})

test('every option that the guide gives a driver is one of its parameters', () => {
  const lines = commands(read('docs/guides/power.md')).filter(([noun, verb]) => noun === 'machine' && (verb === 'set-power' || verb === 'add-chassis'))
  expect(lines.length).toBeGreaterThan(3)
  for (const [, verb, ...words] of lines) {
    const { plain, options } = sortOut(words)
    const name = options.find(([option]) => option === '--driver')?.[1] ?? schemeOf(plain[verb === 'set-power' ? 1 : 0])
    const known = Object.keys(drivers.find(one => one.name === name)?.parameters.properties ?? {}).map(flagOf)
    expect(options.map(([option]) => option).filter(option => option !== '--driver' && !known.includes(option)), words.join(' ')).toEqual([])
  }
})

test('a secret is asked for on a terminal, and not shown there', async () => {
  const typed = () => Object.assign(new PassThrough(), { isTTY: true })
  const [stdin, stdout, stderr] = [typed(), sink(true), sink(true)]
  const asked = askSecret({ stdin, stdout, stderr }, 'Password')
  stdin.write('cali&?%é\r')
  expect(await asked).toBe('cali&?%é')
  expect([stdout.text, stderr.text]).toEqual(['', 'Password: \n'])
  const again = typed()
  const interrupted = askSecret({ stdin: again, stdout, stderr }, 'Password')
  again.write('cal\u0003')
  await expect(interrupted).rejects.toThrow('Nothing was given')
})

test('words are sorted into what is an option and what is none', () => {
  expect(sortOut(['a', '--user', 'root', '--flag', '--x=1=2', 'b', '--last'])).toEqual({ plain: ['a', 'b'], options: [['--user', 'root'], ['--flag', 'true'], ['--x', '1=2'], ['--last', 'true']] })
  const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA==\n-----END OPENSSH PRIVATE KEY-----\n'
  expect(sortOut(['a', '--key', key, '--host-key', 'ssh-ed25519 AAAA']), 'a key is a value, not an option whose name an error would tell').toEqual({ plain: ['a'], options: [['--key', key], ['--host-key', 'ssh-ed25519 AAAA']] })
  fc.assert(fc.property(fc.array(fc.string()), words => { const { plain, options } = sortOut(words); expect(plain.length + options.length).toBeLessThanOrEqual(words.length) }))
})

test('values are numbers and yes or no where the schema says so, and text where it may be that', () => {
  expect([valueOf({ type: 'integer' }, '623'), valueOf({ type: 'boolean' }, 'true'), valueOf({ type: 'string' }, '623'), valueOf({ anyOf: [{ const: 3, type: 'number' }, { const: 17, type: 'number' }] }, '17'), valueOf({ anyOf: [{ const: 'auto', type: 'string' }, { const: 17, type: 'number' }] }, '17'), valueOf({ type: 'integer' }, 'many')]).toEqual([623, true, '623', 17, 17, 'many'])
  expect([flagOf('cipherSuite'), schemeOf('ipmi://10.0.0.9'), schemeOf('redfish+https://x'), schemeOf('https://x'), schemeOf(undefined)]).toEqual(['--cipher-suite', 'ipmi', 'redfish', undefined, undefined])
})
