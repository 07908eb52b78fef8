/** The configuration: what wins, what is refused, and that every problem comes at once with its path. */
import fc from 'fast-check'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../core/config.ts'
import type { ConfigSources } from '../../core/config.ts'
import { BedplateError } from '../../core/errors.ts'
import { defineManifest } from '../../core/plugin.ts'
import { asFlag, asVariable, leaves, nearest } from '../../core/schema.ts'
import { settingsHelp, settingsSchema } from '../../core/settings.ts'

const manifest = defineManifest({
  name: 'name-server',
  config: Type.Object({
    port: Type.Integer({ default: 53, minimum: 1, maximum: 65535, description: 'Port' }),
    forward: Type.Array(Type.String(), { default: [], description: 'Servers asked for the rest' }),
    cache: Type.Object({ size: Type.Integer({ default: 100, description: 'Entries' }), verbose: Type.Boolean({ default: false, description: 'Tells all' }) }, { additionalProperties: false }),
    zones: Type.Array(Type.Object({ name: Type.String({ description: 'Zone' }), ttl: Type.Integer({ default: 60, description: 'Seconds' }) }), { default: [], description: 'Zones' })
  }, { additionalProperties: false }),
  rpc: {}, wanted: {}, facts: {}
})
let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'bedplate-config-')) })
afterAll(() => rm(folder, { recursive: true }))

const read = (sources: ConfigSources) => readConfig([manifest], sources)
const fromYaml = async (text: string, rest: ConfigSources = {}) => {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.yaml`)
  await writeFile(file, text)
  return read({ ...rest, file })
}
const problems = async (promise: Promise<unknown>): Promise<string> => {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
  return (error as BedplateError).message
}

describe('configuration', () => {
  test('is complete without any source', async () => {
    const { core, plugins } = await read({})
    expect(core).toMatchObject({ roles: ['region', 'rack'], http: { host: '::', port: 5240 }, rackHttp: { port: 5248 }, rpc: { port: 5250, advertise: [] }, log: { level: 'info' }, regions: [] })
    expect(core.database).toBeUndefined()
    expect(plugins['name-server']).toEqual({ port: 53, forward: [], cache: { size: 100, verbose: false }, zones: [] })
  })

  test('takes flags before environment before file before defaults', async () => {
    const text = 'http: { port: 1001, host: 127.0.0.1 }\nrackHttp: { port: 2001 }\nlog: { level: debug }\nname-server: { port: 5353 }\n'
    const { core, plugins } = await fromYaml(text, { env: { BEDPLATE_HTTP_PORT: '1002', BEDPLATE_RACK_HTTP_PORT: '2002', OTHER: 'x' }, flags: { 'http-port': '1003' } })
    expect(core.http).toEqual({ host: '127.0.0.1', port: 1003 })
    expect(core.rackHttp.port).toBe(2002)
    expect(core.log.level).toBe('debug')
    expect(plugins['name-server']).toMatchObject({ port: 5353 })
  })

  const texts: [name: string, text: string, path: string, value: unknown][] = [
    ['BEDPLATE_ROLES', 'rack', 'core.roles', ['rack']],
    ['BEDPLATE_ROLES', 'region, rack', 'core.roles', ['region', 'rack']],
    ['BEDPLATE_REGIONS', '10.0.0.1,[fd00::1]:5250', 'core.regions', ['10.0.0.1', '[fd00::1]:5250']],
    ['BEDPLATE_HTTP_SOCKET', '/run/b.sock', 'core.http.socket', '/run/b.sock'],
    ['BEDPLATE_ENROLMENT_TOKEN', '123', 'core.enrolmentToken', '123'],
    ['BEDPLATE_NAME_SERVER_CACHE_SIZE', '7', 'plugins.name-server.cache.size', 7],
    ['BEDPLATE_NAME_SERVER_CACHE_VERBOSE', 'true', 'plugins.name-server.cache.verbose', true],
    ['BEDPLATE_NAME_SERVER_ZONES', '[{name: lab.example}]', 'plugins.name-server.zones', [{ name: 'lab.example', ttl: 60 }]]
  ]
  test.each(texts)('%s=%s', async (name, text, path, value) => {
    const at = path.split('.').reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], await read({ env: { [name]: text } }))
    expect(at).toEqual(value)
  })

  test('completes a database that is given in part', async () => {
    expect((await read({ env: { BEDPLATE_DATABASE_HOSTS: 'db1,db2:5433' } })).core.database).toEqual({ hosts: ['db1', 'db2:5433'], name: 'bedplate', user: 'bedplate', password: '' })
  })

  const faults: [text: string, sentence: string][] = [
    ['htpp: {}', '$.htpp: unknown key; did you mean http?'],
    ['http: { prot: 1 }', '$.http.prot: unknown key; did you mean port?'],
    ['name-server: { prot: 1 }', '  $.name-server.prot: unknown key; did you mean port?'],
    ['without: [dhcp]\ndhcp: {}', '$.dhcp: unknown key; $.without leaves that plugin out'],
    ['nameserver: {}', '$.nameserver: unknown key; did you mean name-server?'],
    ['name-server: { cache: { sise: 3 } }', '$.name-server.cache.sise: unknown key; did you mean size?'],
    ['name-server: { zones: [{ name: a }, { name: b, tll: 3 }] }', '$.name-server.zones[1].tll: unknown key; did you mean ttl?'],
    ['unheardOf: 1', '$.unheardOf: unknown key'],
    ['http: { port: eighty }', '$.http.port: must be integer'],
    ['http: { port: 70000 }', '$.http.port: must be <= 65535'],
    ['http: 5240', '$.http: must be object'],
    ['roles: [region, rak]', '$.roles[1]: must be one of region, rack'],
    ['roles: []', '$.roles: must not have fewer than 1 items'],
    ['log: { level: loud }', '$.log.level: must be one of trace, debug'],
    ['database: { name: x }', '$.database: must have required properties hosts'],
    ['database: {}', '$.database: must have required properties hosts'],
    ['- a list', 'must hold keys and values'],
    ['a: b: c', 'cannot be read']
  ]
  test.each(faults)('%s is refused with its path', async (text, sentence) => { expect(await problems(fromYaml(text))).toContain(sentence) })

  test('tells an unknown key of a closed object once', async () => {
    expect((await problems(fromYaml('name-server: { prot: 1, cache: { x: 1 } }'))).split('\n').slice(1)).toEqual(['  $.name-server.prot: unknown key; did you mean port?', '  $.name-server.cache.x: unknown key'])
  })

  test('tells every problem at once, and where each came from', async () => {
    const message = await problems(fromYaml('htpp: {}\nlog: { level: loud }', { env: { BEDPLATE_RPC_PORT: 'x', BEDPLATE_HTTP_PROT: '1' }, flags: { 'rack-htp-port': '1', 'name-server-port': '0' } }))
    for (const sentence of [
      '$.htpp: unknown key', '$.log.level: must be', '$.rpc.port (from BEDPLATE_RPC_PORT): must be integer',
      'BEDPLATE_HTTP_PROT: no such setting; did you mean BEDPLATE_HTTP_PORT?', '--rack-htp-port: no such setting; did you mean --rack-http-port?', '$.name-server.port (from --name-server-port): must be >= 1'
    ]) expect(message).toContain(sentence)
  })

  test('leaves variables of other programs alone', async () => { await read({ env: { BEDPLATE_URL: 'http://x', BEDPLATE_LAB_KEEP: '1', BEDPLATE_OUTPUT: 'json' } }) })
  test('a missing file is a problem, not a default', async () => { expect(await problems(read({ file: join(folder, 'none.yaml') }))).toContain('cannot be read') })
  test('an empty file is a file of defaults', async () => { expect((await fromYaml('# nothing\n')).core.http.port).toBe(5240) })
  test('never shows a value, which may be a password', async () => { expect(await problems(fromYaml('database: { hosts: [a], password: [hunter2] }'))).not.toContain('hunter2') })

  test('is frozen all the way down', async () => {
    const config = await read({})
    expect(Object.isFrozen(config) && Object.isFrozen(config.core.http) && Object.isFrozen(config.core.roles) && Object.isFrozen(config.plugins['name-server']?.cache)).toBe(true)
    expect(() => { (config.core.http as { port: number }).port = 1 }).toThrow(TypeError)
  })

  test('defaults of one reading do not leak into the next', async () => {
    const first = await read({ values: { regions: ['a'] } })
    expect(first.core.regions).toEqual(['a'])
    expect((await read({})).core.regions).toEqual([])
  })

  test('whatever a file holds, it is read or refused with a code', async () => {
    await fc.assert(fc.asyncProperty(fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(settingsSchema.properties), 'name-server', '__proto__', 'constructor'), fc.string()), fc.jsonValue()), async values => {
      try { await read({ values: values as Record<string, unknown> }) } catch (error) { expect(error).toMatchObject({ code: 'CONFIG_INVALID' }) }
    }), { numRuns: 300 })
    expect(({} as { port?: unknown }).port).toBeUndefined()
  })
})

describe('names of settings', () => {
  test('each setting has a variable and a flag of its own', () => {
    const all = leaves(settingsSchema)
    expect(new Set(all.map(leaf => asVariable(leaf.path))).size).toBe(all.length)
    expect(new Set(all.map(leaf => asFlag(leaf.path))).size).toBe(all.length)
    for (const { path } of all) expect(settingsHelp()).toContain(`--${asFlag(path)} `)
  })
  test('a misspelt word finds its neighbour, a strange one none', () => {
    expect(nearest('prot', ['port', 'host'])).toBe('port')
    expect(nearest('PORT', ['port'])).toBe('port')
    expect(nearest('banana', ['port', 'host'])).toBeUndefined()
    expect(nearest('x', ['y'])).toBe('y')
  })
})
