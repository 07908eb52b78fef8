/** The house rules of docs/design and CONTRIBUTING, held against the tree. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
function filesUnder (folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => entry.isDirectory() ? filesUnder(join(folder, entry.name)) : entry.name.endsWith('.ts') ? [join(folder, entry.name)] : [])
}
const core = filesUnder('core')
const plugins = filesUnder('plugins')
const [iscsi, ipmi, sim] = [filesUnder('iscsi'), filesUnder('ipmi'), filesUnder('sim')] as const
const source = [...core, ...plugins, ...filesUnder('cli'), ...iscsi, ...ipmi, ...sim]
const text = (file: string) => readFileSync(join(root, file), 'utf8')
const importsOf = (file: string) => [...text(file).matchAll(/(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)|(?:^|\n)import\s+'([^']+)'/g)].map(match => match[1] ?? match[2] ?? match[3] ?? '')
const local = (file: string) => importsOf(file).filter(name => name.startsWith('.')).map(name => relative(root, join(root, dirname(file), name)))
const pluginOf = (file: string) => /^plugins\/([^/]+)\//.exec(file)?.[1]

/** Everything a file reaches by static or lazy imports inside its plugin. */
function reach (file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const next of local(file)) if (pluginOf(next) === pluginOf(file)) reach(next, seen)
  return seen
}

describe('imports run one way', () => {
  it('core imports no plugin but in plugins.ts, and the command line only from main.ts', () => {
    const wrong = core.flatMap(file => local(file).filter(name => (name.startsWith('plugins/') && file !== 'core/plugins.ts') || (name.startsWith('cli/') && file !== 'core/main.ts')).map(name => `${file} imports ${name}`))
    expect(wrong).toEqual([])
  })
  it('a plugin imports the contract, errors, health, what Node lacks (programs, sockets, addresses of interfaces), its own folder and other plugins\' manifests', () => {
    const allowed = new Set(['core/plugin.ts', 'core/errors.ts', 'core/health.ts', 'core/program.ts', 'core/socket.ts', 'core/poll.ts'])
    const wrong = plugins.flatMap(file => local(file).filter(name => !allowed.has(name) && !name.startsWith('core/address/') && pluginOf(name) !== pluginOf(file) && !/^plugins\/[^/]+\/manifest\.ts$/.test(name) && !(file.startsWith('plugins/boot/iscsi/') && name.startsWith('iscsi/')) && !(file.startsWith('plugins/power/') && name.startsWith('ipmi/'))).map(name => `${file} imports ${name}`))
    expect(wrong).toEqual([])
  })
  it.each([['iscsi', iscsi], ['ipmi', ipmi]] as const)('%s, which could be published by itself, imports nothing but Node and its own folder', (folder, files) => {
    const wrong = files.flatMap(file => importsOf(file).filter(name => !name.startsWith('node:') && !local(file).some(path => path.startsWith(`${folder}/`) && name.startsWith('.') && join(dirname(file), name) === path)).map(name => `${file} imports ${name}`))
    expect(files.length).toBeGreaterThan(10)
    expect(wrong).toEqual([])
  })
  it('of the daemon only plugins/boot/iscsi knows the iSCSI target', () => {
    const wrong = [...core, ...plugins].filter(file => !file.startsWith('plugins/boot/iscsi/')).flatMap(file => local(file).filter(name => name.startsWith('iscsi/')).map(name => `${file} imports ${name}`))
    expect(wrong).toEqual([])
  })
  it('of the daemon only plugins/power knows IPMI', () => {
    const wrong = [...core, ...plugins].filter(file => !file.startsWith('plugins/power/')).flatMap(file => local(file).filter(name => name.startsWith('ipmi/')).map(name => `${file} imports ${name}`))
    expect(wrong).toEqual([])
  })
  it('what is simulated imports errors, programs, the codec of IPMI (not its client) and itself, and nothing of the daemon imports it', () => {
    const allowed = new Set(['core/errors.ts', 'core/program.ts'])
    const theirs = sim.flatMap(file => importsOf(file).filter(name => !name.startsWith('node:') && !name.startsWith('.')).map(name => `${file} imports ${name}`))
    const ours = sim.flatMap(file => local(file).filter(name => !allowed.has(name) && !name.startsWith('sim/') && (!name.startsWith('ipmi/') || name.startsWith('ipmi/client'))).map(name => `${file} imports ${name}`))
    const daemons = [...core, ...plugins].flatMap(file => local(file).filter(name => name.startsWith('sim/')).map(name => `${file} imports ${name}`))
    expect([...theirs, ...ours, ...daemons]).toEqual([])
  })
  it('a rack half never reaches a store', () => {
    const wrong = plugins.filter(file => file.endsWith('/rack.ts')).flatMap(file => [...reach(file)].filter(name => /\/(store|region|api)(\.ts$|\/)/.test(name)).map(name => `${file} reaches ${name}`))
    expect(wrong).toEqual([])
  })
  it('manifests import no half', () => {
    const wrong = plugins.filter(file => file.endsWith('/manifest.ts')).flatMap(file => [...reach(file)].filter(name => /\/(region|rack|store|api)\.ts$/.test(name)).map(name => `${file} reaches ${name}`))
    expect(wrong).toEqual([])
  })
})

describe('words and habits', () => {
  const matches = (files: readonly string[], pattern: RegExp) => files.flatMap(file => text(file).split('\n').flatMap((line, index) => pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 100)}`] : []))
  it('core knows no protocol', () => {
    expect(matches(core.filter(file => file !== 'core/plugins.ts'), /\b(dhcp|dns|ipmi|tftp|pxe|iscsi|squid)\b/i)).toEqual([])
  })
  it('only main.ts reads arguments and environment, or exits', () => {
    expect(matches(source.filter(file => file !== 'core/main.ts'), /process\.(env|argv|exit)\b/)).toEqual([])
  })
  it('every error thrown on purpose has a code', () => {
    expect(matches([...core, ...plugins, ...sim], /\bnew Error\(/)).toEqual([])
  })
  it('no cast hides a type', () => {
    expect(matches(source, /\bas any\b|as unknown as|@ts-(ignore|nocheck)/)).toEqual([])
  })
  it('tests do not sleep, skip or retry', () => {
    const tests = filesUnder('test').filter(file => file.endsWith('.test.ts') && !file.startsWith('test/meta/'))
    expect(matches(tests, /\b(it|describe|test)\.(skip|only|todo)\b|retry:/)).toEqual([])
  })
  it('nothing is finished later', () => {
    expect(matches([...source, ...filesUnder('test').filter(file => !file.startsWith('test/meta/'))], /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([])
  })
  it('no folder is a drawer', () => {
    expect(source.filter(file => /(^|\/)(src|lib|utils?|common|helpers?|misc|manager)(\/|\.ts$)/.test(file))).toEqual([])
  })
})

describe('size', () => {
  const lines = (file: string) => text(file).split('\n').length
  it('a file over 300 lines says in its first line why', () => {
    expect(source.filter(file => lines(file) > 300 && !/over 300/i.test(text(file).split('\n')[0] ?? ''))).toEqual([])
  })
  it('the contract stays under 120 lines', () => { expect(lines('core/plugin.ts')).toBeLessThan(120) })
  it('there is at least as much test as source', () => {
    const sum = (files: readonly string[]) => files.reduce((total, file) => total + lines(file), 0)
    expect(sum(filesUnder('test'))).toBeGreaterThanOrEqual(sum(source))
  })
})

describe('every plugin folder looks like every other', () => {
  const folders = readdirSync(join(root, 'plugins')).filter(name => statSync(join(root, 'plugins', name)).isDirectory())
  it.each(folders)('%s has a README with the fixed sections, a manifest and an index', name => {
    const files = readdirSync(join(root, 'plugins', name))
    expect(files).toEqual(expect.arrayContaining(['README.md', 'index.ts', 'manifest.ts']))
    const readme = text(join('plugins', name, 'README.md')).toLowerCase()
    for (const section of ['what it does', 'configuration', 'how it works', 'ports', 'limits']) expect(readme).toContain(`## ${section}`)
  })
})
