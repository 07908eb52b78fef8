/** Which disks the scripts touch, when run in a folder that stands for /dev and /sys. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { renderInstall } from '../../../plugins/provision/install.ts'
import { renderRelease } from '../../../plugins/provision/release.ts'
import { fakeImage, fakeMachine } from '../boot/fakes.ts'

const run = promisify(execFile)
let folder: string
const path = (...names: string[]): string => join(folder, ...names)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bedplate-disks-'))
  for (const name of ['bin', 'dev', 'run/bedplate', 'sys/block']) await mkdir(path(name), { recursive: true })
  for (const name of ['sgdisk', 'report', 'blkdiscard', 'sync']) await tool(name, 'exit 0')
  await tool('wipefs', `for last; do :; done; echo "\${last##*/}" >> ${path('wiped')}`)
})
afterEach(() => rm(folder, { recursive: true }))

async function tool (name: string, body: string): Promise<void> {
  await writeFile(path('bin', name), `#!/bin/sh\n${body}\n`)
  await chmod(path('bin', name), 0o755)
}
/** A disk as the kernel shows it, with partitions and with a folder that is none. */
async function disk (name: string, partitions: readonly string[] = []): Promise<void> {
  for (const one of [name, ...partitions]) await writeFile(path('dev', one), '')
  for (const one of ['queue', ...partitions]) await mkdir(path('sys/block', name, one), { recursive: true })
  await writeFile(path('sys/block', name, 'ro'), '0\n')
  await writeFile(path('sys/block', name, 'size'), '8192\n')
}
/** Runs the script where plain files are the block devices; gives the names that were wiped, in order. */
async function wiped (script: string, root: string): Promise<string[]> {
  const here = script.replace(/\/(sys\/block|dev|run)\//g, (_, name: string) => `${path(name)}/`).replaceAll('[ -b', '[ -e').replaceAll('[ ! -b', '[ ! -e')
  await run('sh', ['-c', here], { timeout: 10_000, env: { PATH: `${path('bin')}:${process.env.PATH ?? ''}`, BEDPLATE_ROOT: path('dev', root) } })
  return (await readFile(path('wiped'), 'utf8')).trim().split('\n')
}
const install = (name: string): string => {
  const inventory = { disks: [{ name, size: 8e9, rotational: false, model: null, serial: null }] } as unknown as ReturnType<typeof fakeMachine>['inventory']
  const script = renderInstall({ machine: fakeMachine({ inventory }), image: fakeImage(), disk: name })
  return script.slice(0, script.indexOf('sgdisk'))
}

test('an installation wipes its disk and that disk\'s partitions, not those of a disk whose name begins alike', async () => {
  await disk('sda', ['sda1', 'sda15'])
  await disk('sdaa', ['sdaa1'])
  expect(await wiped(install('sda'), 'sdb')).toEqual(['sda1', 'sda15', 'sda'])
})
test('an NVMe disk likewise; one without partitions is wiped as it is', async () => {
  await disk('nvme0n1', ['nvme0n1p1', 'nvme0n1p2'])
  await disk('nvme0n11', ['nvme0n11p1'])
  await disk('vda')
  expect(await wiped(install('nvme0n1'), 'sdb')).toEqual(['nvme0n1p1', 'nvme0n1p2', 'nvme0n1'])
  await rm(path('wiped'))
  expect(await wiped(install('vda'), 'sdb')).toEqual(['vda'])
})
test('a release leaves the disk it is read from alone, also where another\'s name is the beginning of its own', async () => {
  await disk('sda', ['sda1'])
  await disk('sdaa', ['sdaa1'])
  expect(await wiped(renderRelease(), 'sdaa')).toEqual(['sda1', 'sda'])
})
