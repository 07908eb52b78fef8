/** What the README and the guides tell people to do works: the commands run, the rest is accepted, and every link and script is there. */
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createProgram } from '../../cli/program.ts'
import { readConfig } from '../../core/config.ts'
import { plugins } from '../../core/plugins.ts'
import { settingsHelp } from '../../core/settings.ts'
import { run, sink } from '../cli/cli.kit.ts'
import { blocks, commands, read, root, words } from '../cli/documents.ts'
import { writeImage } from '../cli/image.kit.ts'
import { createServer, hostKey } from '../cli/server.ts'
import type { BareServer } from '../cli/server.ts'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'
import { until } from '../kit/wait.ts'
import { freePort } from '../plugins/boot/rig.ts'

const guides = readdirSync(join(root, 'docs/guides')).filter(name => name.endsWith('.md')).map(name => `docs/guides/${name}`)
const documents = ['README.md', 'CONTRIBUTING.md', ...guides]

describe('the README\'s way from nothing to a deployed machine', () => {
  let daemon: Daemon
  let server: BareServer
  let home: string
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'readme-'))
    daemon = await startDaemon({ plugins, config: { boot: { tftpPort: await freePort() } } })
    // The README's subnet is put onto loopback, where this machine can be a server in it.
    await daemon.kernel.db!.query(`insert into network.rack_interface values ('rack-1', 'eth0', '52:54:00:00:00:01', true)`)
    await daemon.kernel.db!.query(`insert into network.rack_address values ('rack-1', 'eth0', '127.0.0.3', 24)`)
    server = await createServer(daemon.rackUrl, '52:54:00:00:00:42', '127.0.0.42')
    await writeImage(join(home, 'image'), 'debian-12')
    await writeFile(join(home, 'key.pub'), 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4vS me@here\n')
  })
  afterAll(async () => { await server?.close(); await daemon?.stop(); await rm(home, { recursive: true, force: true }) })

  const [block = { text: '', language: '' }] = blocks(read('README.md').split('## Use it')[1] ?? '')
  const lines = commands(`\`\`\`\n${block.text}\`\`\``)
  let hostname = ''
  const here = (word: string): string => word === 'NAME' ? hostname : word.startsWith('redfish+') ? server.bmc : word.startsWith('~/.ssh/') ? join(home, 'key.pub') : word.replaceAll('10.0.0.', '127.0.0.')
  // a command that waits for ever is ended, so that what it told of its machine is in the failure
  const bedplate = (line: readonly string[]) => run(line, { signal: AbortSignal.timeout(60_000), env: { BEDPLATE_URL: daemon.url, BEDPLATE_TOKEN: daemon.token, HOME: home }, build: async () => join(home, 'image') })

  it('is told in commands alone', () => {
    expect(lines.length).toBeGreaterThanOrEqual(9)
    expect(lines.length).toBe(block.text.split('\n').filter(line => line !== '').length)
  })

  it('is gone as it is written', { timeout: 90_000 }, async () => {
    for (const line of lines) {
      if (line.join(' ') === 'machine list') await enlisted()
      const { code, err } = await bedplate(line.map(here))
      expect({ line, code, err: code === 0 ? '' : err }).toEqual({ line, code: 0, err: '' })
      if (line[1] === 'deploy') await deployed()
    }
    expect(server.boots).toEqual(['enlist', 'commission', 'deploy', 'release'])
    expect(JSON.parse((await bedplate(['machine', 'show', hostname, '-o', 'json'])).out)).toMatchObject({ status: 'Ready', addresses: [], power: { driver: 'redfish' } })
  })

  async function enlisted (): Promise<void> {
    await server.press()
    const [machine] = await until(async () => {
      const found = JSON.parse((await bedplate(['machine', 'list', '-o', 'json'])).out) as { hostname: string, status: string }[]
      return found.length > 0 ? found : undefined
    }, { timeout: 15_000, what: 'the machine to be known' })
    expect(machine?.status).toBe('New')
    hostname = machine?.hostname ?? ''
  }
  async function deployed (): Promise<void> {
    const { out } = await bedplate(['machine', 'show', hostname, '-o', 'json'])
    expect(JSON.parse(out)).toMatchObject({ status: 'Deployed', hostKeys: [hostKey], addresses: [expect.stringMatching(/^127\.0\.0\.\d+$/)] })
  }
})

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
