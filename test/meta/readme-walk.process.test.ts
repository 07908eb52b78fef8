/** The README's way from nothing to a deployed machine, gone as it is written: a whole controller, and a machine in the test's own process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { plugins } from '../../core/plugins.ts'
import { run } from '../cli/cli.kit.ts'
import { blocks, commands, read } from '../cli/documents.ts'
import { writeImage } from '../cli/image.kit.ts'
import { createServer, hostKey } from '../cli/server.ts'
import type { BareServer } from '../cli/server.ts'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'
import { until } from '../kit/wait.ts'
import { freePort } from '../plugins/boot/rig.ts'

let daemon: Daemon
let server: BareServer
let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'readme-'))
  daemon = await startDaemon({ plugins, config: { boot: { tftpPort: await freePort(), iscsiPort: 0, httpsPort: 0 } } })
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

it('the README\'s way from nothing to a deployed machine is told in commands alone', () => {
  expect(lines.length).toBeGreaterThanOrEqual(9)
  expect(lines.length).toBe(block.text.split('\n').filter(line => line !== '').length)
})

it('and gone as it is written', { timeout: 90_000 }, async () => {
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
