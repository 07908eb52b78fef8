/** Plugins from outside the tree: how they are found, and every way in which one can be of no use. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { readSelection } from '../../core/config.ts'
import { selectPlugins } from '../../core/outside.ts'
import { toy } from './toys.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'bedplate-outside-')) })
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Writes files below `folder`; gives the folder. */
async function files (at: string, texts: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, at, name)), { recursive: true })
    await writeFile(join(folder, at, name), text)
  }
  return join(folder, at)
}
describe('finding plugins', () => {
  const manifest = (name: string, more = '') => `{ name: '${name}', config: { type: 'object', properties: {} }, rpc: {}, wanted: {}, facts: {} ${more} }`
  const plugin = (name: string, more = '') => `export default { manifest: ${manifest(name, more)}, rack: async () => ({ requires: {}, provides: {}, setup: () => ({ provides: {}, rpc: {}, services: [] }) }) }\n`
  const select = (at: string, plugins: readonly string[], without: readonly string[] = [], among = [toy('one'), toy('two')], patience = 20_000) =>
    selectPlugins(among, { plugins, without }, { from: [join(folder, at), root], clock: systemClock, patience })
  const namesOf = async (selected: ReturnType<typeof select>) => (await selected).map(({ manifest }) => manifest.name)
  const problems = async (selected: Promise<unknown>): Promise<string> => {
    const error: unknown = await selected.then(() => undefined, (thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'PLUGIN_UNUSABLE' })
    return (error as Error).message
  }

  test('appends them to the built-in ones in the order given, by package name, scoped name, absolute and relative path', async () => {
    await files('order', {
      'etc/node_modules/plain/package.json': '{ "type": "module", "main": "start.js" }',
      'etc/node_modules/plain/start.js': plugin('from-main'),
      'node_modules/@acme/scoped/package.json': '{ "type": "module", "exports": { ".": { "types": "./x.d.ts", "import": "./x.js" } } }', // found in a folder above
      'node_modules/@acme/scoped/x.js': plugin('from-exports'),
      'etc/shelf/index.ts': plugin('in-typescript').replace('async () => (', 'async (): Promise<object> => ('),
      'single.mjs': plugin('one-file')
    })
    expect(await namesOf(select('order/etc', ['./shelf', '@acme/scoped', join(folder, 'order/single.mjs'), 'plain'])))
      .toEqual(['one', 'two', 'in-typescript', 'from-exports', 'one-file', 'from-main'])
    expect(await namesOf(select('order/etc', ['../single.mjs']))).toEqual(['one', 'two', 'one-file'])
  })

  test('takes a linked package from where its files are, TypeScript included', async () => {
    await files('linked', { 'work/index.ts': plugin('linked').replace('async () => (', 'async (): Promise<object> => (') })
    await mkdir(join(folder, 'linked/node_modules'))
    await symlink('../work', join(folder, 'linked/node_modules/mine'))
    expect(await namesOf(select('linked', ['mine']))).toEqual(['one', 'two', 'linked'])
  })

  test('leaves built-in plugins out, and lets another take the name', async () => {
    await files('instead', { 'one.mjs': plugin('one') })
    expect(await namesOf(select('instead', [], ['one']))).toEqual(['two'])
    expect(await namesOf(select('instead', ['./one.mjs'], ['one']))).toEqual(['two', 'one'])
  })

  const faulty: [what: string, texts: Record<string, string>, name: string, sentence: RegExp][] = [
    ['a package that is not installed', {}, 'absent', /absent: there is no such package in .*node_modules.*run "npm install absent" in/],
    ['a path that is not there', {}, './absent.js', /\.\/absent\.js: .*absent\.js does not exist; a relative path begins at/],
    ['a name that is none', {}, 'a b', /"a b" is neither a package name nor a path/],
    ['a name that climbs out', {}, 'x/../../y', /is neither a package name nor a path/],
    ['a folder without a beginning', { 'x/readme': '' }, './x', /none of the files a plugin begins with: .*index\.ts, .*index\.js/],
    ['a package.json that is none', { 'x/package.json': '{' }, './x', /package\.json cannot be read/],
    ['TypeScript in a package', { 'node_modules/typed/package.json': '{ "exports": "./index.ts" }', 'node_modules/typed/index.ts': 'export default {}\n' }, 'typed', /is TypeScript, which Node does not run below node_modules: publish it as JavaScript/],
    ['an import that throws', { 'x.mjs': 'throw new RangeError("not today")\n' }, './x.mjs', /failed while it was imported: not today/],
    ['a syntax error', { 'x.mjs': 'export default {{\n' }, './x.mjs', /failed while it was imported: Unexpected token/],
    ['an import of something missing', { 'x.mjs': 'import "left-behind"\n' }, './x.mjs', /imports what is not there: .*left-behind.*npm install/],
    ['an import of what is not for plugins', { 'x.mjs': 'import "bedplate/core/kernel.ts"\n' }, './x.mjs', /"bedplate\/core\/kernel\.ts" is not for plugins/],
    ['no default export', { 'x.mjs': 'export const plugin = 1\n' }, './x.mjs', /default export is no plugin: export default definePlugin/],
    ['a manifest without a name', { 'x.mjs': plugin('x').replace("name: 'x',", '') }, './x.mjs', /manifest\.name is missing/],
    ['a name that is not kebab-case', { 'x.mjs': plugin('Loud') }, './x.mjs', /"Loud": a name is kebab-case/],
    ['a name of the core', { 'x.mjs': plugin('http') }, './x.mjs', /plugin "http": the name belongs to the core/],
    ['the name of a built-in plugin', { 'x.mjs': plugin('one') }, './x.mjs', /its name "one" is taken by a built-in plugin: leave that one out \(without: \[one\]\)/],
    ['a configuration that is no schema', { 'x.mjs': plugin('x').replace("type: 'object'", "type: 'string'") }, './x.mjs', /manifest\.config must be the schema of an object/],
    ['a method without parameters', { 'x.mjs': plugin('x').replace('rpc: {}', "rpc: { ask: { answeredBy: 'rack' } }") }, './x.mjs', /manifest\.rpc\.ask needs answeredBy/],
    ['facts that are no schemas', { 'x.mjs': plugin('x').replace('facts: {}', 'facts: { seen: true }') }, './x.mjs', /manifest\.facts must be an object of schemas/],
    ['migrations that are not there', { 'x.mjs': plugin('x', ", migrations: new URL('./gone/', import.meta.url)") }, './x.mjs', /manifest\.migrations must be the URL of a folder that is there/],
    ['no half', { 'x.mjs': plugin('x').replace('rack:', 'rank:') }, './x.mjs', /neither a region half nor a rack half/],
    ['a half that is no function', { 'x.mjs': plugin('x').replace(/rack: async.*\) \}/, 'rack: {} }') }, './x.mjs', /rack must be a function/]
  ]
  describe('in a process of its own, because the test runner imports otherwise than Node does', () => {
    let messages: readonly string[]
    beforeAll(async () => {
      for (const [index, [, texts]] of faulty.entries()) {
        await mkdir(join(folder, `faulty-${index}`), { recursive: true })
        await files(`faulty-${index}`, texts)
      }
      const cases = faulty.map(([,, name], index) => [join(folder, `faulty-${index}`), name])
      const script = `
        import { selectPlugins } from '${root}/core/outside.ts'
        import { systemClock as clock } from '${root}/core/clock.ts'
        const messages = []
        for (const [at, name] of ${JSON.stringify(cases)}) messages.push(await selectPlugins([{ manifest: ${manifest('one')} }], { plugins: [name], without: [] }, { from: [at], clock }).then(() => 'taken', error => error.code + ' ' + error.message))
        console.log(JSON.stringify(messages))`
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
      messages = JSON.parse(stdout) as string[]
    })
    test.each(faulty.map(([what,, name, sentence], index) => ({ what, name, sentence, index })))('refuses $what in one line that names it', ({ name, sentence, index }) => {
      const [head, line = '', ...more] = messages[index]?.split('\n') ?? []
      expect(head).toBe('PLUGIN_UNUSABLE These plugins cannot be used:')
      expect(line).toMatch(sentence)
      expect(line.startsWith(`  ${name}: `)).toBe(true)
      expect(more).toEqual([])
    })
  })

  test('does not wait for ever for an import', async () => {
    await files('slow', { 'x.mjs': 'setInterval(() => {}, 1000).unref(); await new Promise(() => {})\n' })
    expect(await problems(select('slow', ['./x.mjs'], [], [], 100))).toMatch(/the import of .* did not start within 0\.1 s\. Importing a plugin must do nothing/)
  })

  test('tells every fault at once', async () => {
    await files('many', { 'x.mjs': plugin('same'), 'y.mjs': plugin('same') })
    const message = await problems(select('many', ['./x.mjs', 'absent', './y.mjs'], ['on', 'nobody']))
    expect(message).toMatch(/without: there is no built-in plugin "on"; did you mean one\?/)
    expect(message).toMatch(/without: there is no built-in plugin "nobody"; there are one, two/)
    expect(message).toMatch(/absent: there is no such package/)
    expect(message).toMatch(/\.\/y\.mjs: its name "same" is taken by another plugin/)
  })

  test('reads the two settings from file, environment and flags, and leaves every other fault to the whole check', async () => {
    const at = await files('settings', { 'a.yaml': 'htpp: 1\nplugins: [a]\nwithout: [b]\n', 'b.yaml': 'plugins: one\n', 'c.yaml': ': {' })
    expect(await readSelection({ file: join(at, 'a.yaml'), env: { BEDPLATE_HTTP_PROT: '1' }, flags: { nothing: '1' } })).toEqual({ plugins: ['a'], without: ['b'] })
    expect(await readSelection({ file: join(at, 'a.yaml'), env: { BEDPLATE_PLUGINS: 'c, ./d' }, flags: { without: 'e' } })).toEqual({ plugins: ['c', './d'], without: ['e'] })
    await expect(readSelection({ file: join(at, 'b.yaml') })).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('$.plugins: must be array') })
    await expect(readSelection({ file: join(at, 'c.yaml') })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})
