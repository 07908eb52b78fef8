/** The image and the scripts on a virtual machine, with nothing of Bedplate but the rack half's routes: looked at, installed, started from disk with either firmware, wiped. */
import { execFile, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { buildDebianImage } from '../../../plugins/images/build/debian.ts'
import { renderCommission } from '../../../plugins/provision/collect.ts'
import { renderInstall } from '../../../plugins/provision/install.ts'
import { readInventory } from '../../../plugins/provision/inventory.ts'
import { renderMetadata } from '../../../plugins/provision/metadata.ts'
import { renderRelease } from '../../../plugins/provision/release.ts'
import type { Image } from '../../../plugins/images/manifest.ts'
import type { Inventory, Machine } from '../../../plugins/machines/manifest.ts'
import { until } from '../../kit/wait.ts'
import { labImage } from '../../lab/image.ts'
import { ensurePackages, packages } from '../../lab/packages.ts'
import { createSshKey } from '../../lab/ssh.ts'
import { rackHalf, session } from './rack.rig.ts'

const run = promisify(execFile)
const mac = '52:54:00:00:99:01'
const size = 4 * 2 ** 30
const minutes = (count: number) => ({ timeout: count * 60_000, interval: 250 })

let folder: string
let directory: string
let rack: Awaited<ReturnType<typeof rackHalf>>
let files: Server
let rootUrl: string
let inventory: Inventory
let key: Awaited<ReturnType<typeof createSshKey>>
const requested: (string | undefined)[] = [] // Range headers, in order
const running = new Set<() => Promise<void>>()

/** The root file system over HTTP, with ranges; the first answer breaks off after 30 MB, as when a rack is killed. */
async function serveRoot (): Promise<void> {
  const path = join(folder, 'root.squashfs')
  const total = (await stat(path)).size
  files = createServer((request, response) => {
    const range = request.headers.range
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
    requested.push(range)
    response.writeHead(range ? 206 : 200, { 'content-length': total - start, 'accept-ranges': 'bytes', ...(range ? { 'content-range': `bytes ${start}-${total - 1}/${total}` } : {}) })
    const broken = requested.length === 1
    const content = createReadStream(path, { start, ...(broken ? { end: 30_000_000 } : {}) })
    content.on('end', () => { if (broken) response.destroy() }).pipe(response, { end: !broken })
    response.on('close', () => content.destroy())
  })
  await new Promise<void>(resolve => files.listen(0, '127.0.0.1', resolve))
  rootUrl = `http://10.0.2.2:${(files.address() as AddressInfo).port}/root.squashfs`
}

/** Starts QEMU; resolves `ended` when the machine is off. `token`: boots the image for that session; without one, the disk. */
async function machine (name: string, disk: string, options: { readonly token?: string, readonly uefi?: boolean, readonly ssh?: number }) {
  const serial = join(directory, `${name}.log`)
  const vars = join(directory, `${name}.vars`)
  if (options.uefi) await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', vars)
  const url = `${rack.base.replace('127.0.0.1', '10.0.2.2')}/${options.token}`
  const command = `boot=bedplate console=ttyS0,115200 BOOTIF=01-${mac.replaceAll(':', '-')} bedplate.url=${url} bedplate.root=${rootUrl} bedplate.size=${(await stat(join(folder, 'root.squashfs'))).size}`
  const child = spawn('qemu-system-x86_64', [
    '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max,erms=off,fsrm=off', '-m', '1536', '-display', 'none', '-serial', `file:${serial}`, '-no-reboot',
    ...(options.token === undefined ? [] : ['-kernel', join(folder, 'vmlinuz'), '-initrd', join(folder, 'initrd.img'), '-append', command]),
    ...(options.uefi ? ['-drive', 'if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd', '-drive', `if=pflash,format=raw,file=${vars}`] : []),
    '-drive', `file=${disk},if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap`, '-device', 'virtio-blk-pci,drive=disk0,serial=lab-disk',
    '-netdev', `user,id=net0${options.ssh ? `,hostfwd=tcp:127.0.0.1:${options.ssh}-10.0.2.15:22` : ''}`, '-device', `virtio-net-pci,netdev=net0,mac=${mac}`, '-device', 'virtio-rng-pci'
  ], { stdio: 'ignore' })
  const ended = new Promise<void>(resolve => { child.once('exit', () => resolve()) })
  const stop = async () => { child.kill('SIGKILL'); await ended; running.delete(stop) }
  running.add(stop)
  onTestFailed(async () => { console.error((await readFile(serial, 'utf8').catch(() => '')).slice(-4000)) })
  return { stop, ended, off: () => until(() => child.exitCode !== null || child.signalCode !== null, { ...minutes(6), what: `${name} goes off` }) }
}

const image = (): Image => ({ id: 'i1', name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: '', way: 'http', kernel: { sha256: '', size: 0 }, initrd: { sha256: '', size: 0 }, root: { sha256: '', size: 0 }, createdAt: new Date(0) })
const target = (): Machine => ({ id: 'm1', hostname: 'amber-crane', status: 'Deploying', reason: null, since: new Date(0), deadline: null, architecture: 'amd64', firmware: 'bios', interfaces: [], owner: null, inventory, deployment: null, installed: false, hostKeys: [], tags: [], bootWay: null })
const reported = (stage: string, status: string) => rack.reports.filter(({ kind, body }) => kind === 'report' && body['stage'] === stage && body['status'] === status)
const failures = () => rack.reports.filter(({ body }) => body['status'] === 'failed').map(({ body }) => `${String(body['stage'])}: ${String(body['message'])}`)

beforeAll(async () => {
  await ensurePackages(packages.machines, () => {})
  folder = await labImage(line => { console.error(line) })
  directory = await mkdtemp(join(tmpdir(), 'bedplate-image-'))
  key = await createSshKey(directory)
  rack = await rackHalf()
  await serveRoot()
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(directory, 'disk.qcow2'), String(size)])
})
afterAll(async () => {
  for (const stop of [...running]) await stop()
  await rack?.close()
  files?.closeAllConnections()
  files?.close()
  if (directory) await rm(directory, { recursive: true, force: true })
})

describe('the image', () => {
  test('an image that was built is not built again', async () => {
    const lines: string[] = []
    expect(await buildDebianImage({ directory: join(folder, '..'), architecture: 'amd64', progress: line => lines.push(line) })).toBe(folder)
    expect(lines).toEqual([])
  })

  test('is small enough to travel: the root below 200 MB, kernel and initrd below 20 MB each', async () => {
    for (const [name, limit] of [['root.squashfs', 200e6], ['vmlinuz', 20e6], ['initrd.img', 20e6]] as const) expect((await stat(join(folder, name))).size, name).toBeLessThan(limit)
  })

  test('holds nothing two machines may not share, and no credentials', async () => {
    const { stdout } = await run('unsquashfs', ['-lln', join(folder, 'root.squashfs')], { maxBuffer: 64 << 20 })
    expect(stdout).not.toMatch(/ssh_host_\w+_key|\/var\/lib\/cloud\/instance|\/var\/lib\/apt\/lists\/\S+_Packages/)
    expect(/^\S+ \S+ +(\d+) \S+ \S+ squashfs-root\/etc\/machine-id$/m.exec(stdout)?.[1]).toBe('0')
    const { stdout: sources } = await run('unsquashfs', ['-cat', join(folder, 'root.squashfs'), 'etc/apt/sources.list'])
    expect(sources).toMatch(/^deb https?:\/\/[^@\s]+ \w+ main$/m)
  })
})

describe('a machine with it', () => {
  test('commissioning survives a download that breaks off, tells what the machine is, and switches it off', async () => {
    rack.running.apply!({ put: [session('t-commission', { purpose: 'commission', script: renderCommission() })], remove: [] }, false)
    await (await machine('commission', join(directory, 'disk.qcow2'), { token: 't-commission' })).off()
    expect(requested[0]).toBeUndefined()
    expect(requested[1]).toMatch(/^bytes=\d{7,}-$/)
    const uploads = rack.reports.filter(({ kind }) => kind === 'inventory')
    const found = readInventory(uploads[0]?.body['files'] as Record<string, string>)
    if ('problem' in found) throw new Error(found.problem)
    inventory = found.inventory
    expect(found.bootMac).toBe(mac)
    expect(inventory).toMatchObject({ architecture: 'amd64', firmware: 'bios', cpu: { count: 1 } })
    expect(inventory.disks).toMatchObject([{ name: 'vda', size, serial: 'lab-disk' }])
    expect(inventory.interfaces.map(one => one.mac)).toEqual([mac])
    expect(failures()).toEqual([])
  })

  test('installation reports its progress and ends with a machine that starts again', async () => {
    const deployment = { imageId: 'i1', sshKeys: [key.publicKey], userData: '#cloud-config\nwrite_files:\n- {path: /etc/wished, content: kept}\n', disk: null }
    const metadata = renderMetadata({ machine: target(), image: image(), deployment, network: { mac, address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2', dns: ['10.0.2.3'] } })
    rack.running.apply!({ put: [session('t-deploy', { script: renderInstall({ machine: target(), image: image(), disk: null }), ...metadata })], remove: [] }, false)
    await (await machine('install', join(directory, 'disk.qcow2'), { token: 't-deploy' })).off()
    expect(failures()).toEqual([])
    expect(reported('installed', 'ok')).toHaveLength(1)
    expect(reported('system', 'progress').length).toBeGreaterThan(0)
  })

  test.each([['BIOS', false, 42201], ['UEFI', true, 42202]] as const)('its disk starts with %s: cloud-init finds the seed, phones home, and the user can log in', async (name, uefi, port) => {
    const disk = join(directory, `${name}.qcow2`) // each on a copy: both are a first start
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', join(directory, 'disk.qcow2'), '-F', 'qcow2', disk])
    const before = rack.reports.length
    const virtual = await machine(name, disk, { uefi, ssh: port })
    const call = await until(() => rack.reports.slice(before).find(({ kind }) => kind === 'phoneHome'), { ...minutes(6), what: `${name} phones home` })
    const hostKeys = call.body['hostKeys'] as string[]
    expect(hostKeys.map(one => one.split(' ')[0]).sort()).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519'])
    const known = join(directory, `${name}.known`)
    await writeFile(known, hostKeys.map(one => `[127.0.0.1]:${port} ${one}\n`).join(''))
    const command = 'hostname; test -d /sys/firmware/efi && echo uefi || echo bios; cat /etc/wished; echo; sudo -n true && echo root; cloud-init status --wait; systemctl --failed --no-legend; findmnt -no FSTYPE /; ip -4 -br address show scope global'
    const { stdout } = await run('ssh', ['-F', '/dev/null', '-i', key.privateFile, '-p', String(port), '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${known}`, '-o', 'StrictHostKeyChecking=yes', 'debian@127.0.0.1', command], { timeout: 60_000 })
    await virtual.stop()
    expect(stdout.trim().split('\n').map(line => line.trim().replace(/^\.+/, '')).filter(Boolean)).toEqual(['amber-crane', uefi ? 'uefi' : 'bios', 'kept', 'root', 'status: done', 'ext4', expect.stringMatching(/ 10\.0\.2\.15\/24$/)])
  })

  test('release leaves neither partitions nor signatures', async () => {
    rack.running.apply!({ put: [session('t-release', { purpose: 'release', script: renderRelease() })], remove: [] }, false)
    await (await machine('release', join(directory, 'disk.qcow2'), { token: 't-release' })).off()
    expect(failures()).toEqual([])
    expect(reported('released', 'ok')).toHaveLength(1)
    await run('qemu-img', ['convert', '-O', 'raw', join(directory, 'disk.qcow2'), join(directory, 'disk.raw')])
    const { stdout } = await run('wipefs', [join(directory, 'disk.raw')])
    expect(stdout.trim()).toBe('')
  })

  test('a machine whose session is over goes off by itself', async () => {
    rack.running.apply!({ put: [], remove: [] }, true)
    await (await machine('over', join(directory, 'disk.qcow2'), { token: 't-release' })).off()
  })
})
