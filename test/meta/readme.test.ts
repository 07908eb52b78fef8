/** What the README and the guides tell people to do works: every command and configuration is accepted, every link and script is there. That the README's commands do what they say: readme-walk.process.test.ts. */
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createProgram } from '../../cli/program.ts'
import { readConfig } from '../../core/config.ts'
import { plugins } from '../../core/plugins.ts'
import { settingsHelp } from '../../core/settings.ts'
import { sink } from '../cli/cli.kit.ts'
import { blocks, commands, read, root, words } from '../cli/documents.ts'

const guides = readdirSync(join(root, 'docs/guides')).filter(name => name.endsWith('.md')).map(name => `docs/guides/${name}`)
const documents = ['README.md', 'CONTRIBUTING.md', ...guides]

describe('every command of the documents', () => {
  const all = documents.flatMap(file => commands(read(file)).map(line => ({ file, line })))
  it('is found', () => { for (const file of ['README.md', 'docs/guides/first-machine.md', 'docs/guides/region-and-rack.md']) expect(all.filter(one => one.file === file).length, file).toBeGreaterThan(3) })

  it.each(all.filter(({ line }) => line[0] !== 'run').map(({ file, line }) => [line.join(' '), file, line] as const))('%s (%s) is accepted', async (_text, _file, line) => {
    const [stdout, stderr] = [sink(), sink()]
    let accepted = 0
    await createProgram({ stdout, stderr }, async () => { accepted++ }).parseAsync([...line], { from: 'user' }).catch((error: unknown) => { stderr.text += String(error) })
    expect([accepted, stderr.text]).toEqual([1, ''])
  })

  it.each(all.filter(({ line }) => line[0] === 'run').map(({ file, line }) => [line.join(' '), file, line] as const))('%s (%s) has settings that exist', (_text, _file, line) => {
    for (const word of line.slice(1).filter(one => one.startsWith('--'))) expect(`${settingsHelp()}  --config  --help `).toContain(`  ${word.split('=')[0]} `)
  })

  it.each(guides.flatMap(file => blocks(read(file)).filter(({ language }) => language === 'yaml').map(({ text }) => [file, text] as const)))('a configuration in %s is valid', async (_file, text) => {
    await expect(readConfig(plugins.map(plugin => plugin.manifest), { values: parse(text) })).resolves.toBeDefined()
  })
})

describe('what the documents point at is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  it.each(documents)('%s: every npm script', file => {
    const named = [...read(file).matchAll(/npm (?:run ([\w:]+)|(test|start)\b)/g)].map(([, name, short = '']) => name ?? short)
    expect(named.filter(name => !(name in scripts))).toEqual([])
  })
  it.each(documents)('%s: every link', file => {
    const links = [...read(file).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link = '']) => link).filter(link => !/^[a-z]+:/.test(link))
    expect(links.filter(link => !existsSync(join(root, dirname(file), link)))).toEqual([])
  })
  it.each(documents)('%s: every path in this repository', file => {
    const paths = [...read(file).matchAll(/`((?:core|plugins|cli|test|docs|bin)\/[\w./-]*)`/g)].map(([, path = '']) => path)
    expect(paths.filter(path => !existsSync(join(root, path)))).toEqual([])
  })
  it('the README is one page', () => { expect(read('README.md').split('\n').length).toBeLessThanOrEqual(62) })
})

describe('reading commands out of a document', () => {
  it('takes words as a shell does', () => {
    expect(words(`bedplate a 'b c' --d="e f" g#h # i`)).toEqual(['bedplate', 'a', 'b c', '--d=e f', 'g#h'])
    expect(words('# only a comment')).toEqual([])
  })
  it('finds them behind prompts, sudo, variables and others', () => {
    expect(commands('```\n$ sudo bedplate a && X=1 bin/bedplate b > /etc/b | cat\n  c bedplate d\nbedplate e \\\n  f\n```\nbedplate g\n```json\nbedplate h\n```')).toEqual([['a'], ['b'], ['e', 'f']])
  })
})
