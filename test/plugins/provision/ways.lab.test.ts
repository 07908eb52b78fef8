/** The ways to the root file system that are not HTTP into memory, on a virtual machine: over iSCSI, with the rack dead for longer than a minute in the middle of an installation, and beside the initrd. */
import { execFile, spawn } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest'
import { openFile } from '../../../iscsi/disk/file.ts'
import { serve, type TargetServer } from '../../../iscsi/server.ts'
import type { Image } from '../../../plugins/images/manifest.ts'
import type { Machine } from '../../../plugins/machines/manifest.ts'
import { renderCommission } from '../../../plugins/provision/collect.ts'
import { renderInstall } from '../../../plugins/provision/install.ts'
import { readInventory } from '../../../plugins/provision/inventory.ts'
import { until } from '../../kit/wait.ts'
import { labImage } from '../../lab/image.ts'
import { ensurePackages, packages } from '../../lab/packages.ts'
import { rackHalf, session } from './rack.rig.ts'

const run = promisify(execFile)
const mac = '52:54:00:00:99:02'
const size = 4 * 2 ** 30
const target = `iqn.2026-11.io.bedplate:root.${'a'.repeat(64)}`
const outage = 70_000 // ms: longer than a SCSI command's and an initiator's usual patience
const minutes = (count: number) => ({ timeout: count * 60_000, interval: 250 })

let folder: string
let directory: string
let rack: Awaited<ReturnType<typeof rackHalf>>
let disks: TargetServer
let logins: string[] = []
const running = new Set<() => Promise<void>>()

/** The target as a rack has it; `port` 0 takes a free one. */
async function serveRoot (port: number): Promise<void> {
  disks = await serve({ portals: [{ host: '127.0.0.1', port }], log: (_level, about, text) => { if (text === 'an initiator has logged in') logins.push(String(about.initiator)) } })
  const open = () => openFile(join(folder, 'root.squashfs'), { readOnly: true })
  disks.offer([{ name: target, units: new Map([[0, { open, shared: true, readOnly: true, blockLength: 512, serial: 'a'.repeat(32), thin: false }]]) }])
}
const portOf = ({ addresses }: TargetServer): number => addresses[0]?.port ?? 0

/** Starts QEMU with the image's kernel; resolves when the machine is off. `root`: of the kernel's command line. */
async function machine (name: string, root: string, initrd = join(folder, 'initrd.img')) {
  const serial = join(directory, `${name}.log`)
  const command = `boot=bedplate console=ttyS0,115200 BOOTIF=01-${mac.replaceAll(':', '-')} bedplate.url=${rack.base.replace('127.0.0.1', '10.0.2.2')}/t-${name} bedplate.root=${root} bedplate.size=${(await stat(join(folder, 'root.squashfs'))).size}`
  const child = spawn('qemu-system-x86_64', [
    '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max,erms=off,fsrm=off', '-m', '1024', '-display', 'none', '-serial', `file:${serial}`, '-no-reboot',
    '-kernel', join(folder, 'vmlinuz'), '-initrd', initrd, '-append', command,
    '-drive', `file=${join(directory, 'disk.qcow2')},if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap`, '-device', 'virtio-blk-pci,drive=disk0,serial=lab-disk',
    '-netdev', 'user,id=net0', '-device', `virtio-net-pci,netdev=net0,mac=${mac}`, '-device', 'virtio-rng-pci'
  ], { stdio: 'ignore' })
  const ended = new Promise<void>(resolve => { child.once('exit', () => resolve()) })
  const stop = async () => { child.kill('SIGKILL'); await ended; running.delete(stop) }
  running.add(stop)
  onTestFailed(async () => { console.error((await readFile(serial, 'utf8').catch(() => '')).slice(-4000)) })
  return { off: () => until(() => child.exitCode !== null || child.signalCode !== null, { ...minutes(8), what: `${name} goes off` }), said: () => readFile(serial, 'utf8') }
}
const reports = (stage: string, status: string) => rack.reports.filter(({ kind, body }) => kind === 'report' && body['stage'] === stage && body['status'] === status)
const failures = () => rack.reports.filter(({ body }) => body['status'] === 'failed').map(({ body }) => `${String(body['stage'])}: ${String(body['message'])}`)

beforeAll(async () => {
  await ensurePackages(packages.machines, () => {})
  folder = await labImage(line => { console.error(line) })
  directory = await mkdtemp(join(tmpdir(), 'bedplate-ways-'))
  rack = await rackHalf()
  await serveRoot(0)
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(directory, 'disk.qcow2'), String(size)])
})
afterAll(async () => {
  for (const stop of [...running]) await stop()
  await rack?.close()
  await disks?.close()
  if (directory) await rm(directory, { recursive: true, force: true })
})

test('over iSCSI: a machine is installed from a root that is gone for more than a minute in the middle of it, and comes back elsewhere', async () => {
  const disk = { name: 'vda', size, model: null, serial: 'lab-disk', rotational: false }
  const inventory = { architecture: 'amd64', firmware: 'bios' as const, cpu: { count: 1, model: '' }, memory: 1024, disks: [disk], interfaces: [], dmi: {} }
  const file = { sha256: '', size: 0 }
  const image: Image = { id: 'i1', name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: '', way: 'iscsi', kernel: file, initrd: file, root: file, createdAt: new Date(0) }
  const whose: Machine = { id: 'm1', hostname: 'amber-crane', status: 'Deploying', reason: null, since: new Date(0), deadline: null, architecture: 'amd64', firmware: 'bios', interfaces: [], owner: null, inventory, deployment: null, installed: false, hostKeys: [], tags: [], bootWay: null }
  rack.running.apply!({ put: [session('t-iscsi', { script: renderInstall({ machine: whose, image, disk: null }) })], remove: [] }, false)
  const port = portOf(disks)
  const virtual = await machine('iscsi', `iscsi:10.0.2.2:${port}:${target}`)

  await until(() => reports('system', 'progress').some(({ body }) => Number(body['done']) > 40e6), { ...minutes(6), what: 'some of the system to be on the disk' })
  const down = performance.now()
  await disks.close()
  await until(() => performance.now() - down > outage, { ...minutes(3), what: 'the outage to be over' })
  const before = reports('system', 'progress').length
  await serveRoot(port)

  await virtual.off()
  expect(failures()).toEqual([])
  expect(reports('installed', 'ok')).toHaveLength(1)
  expect(logins.length).toBeGreaterThan(1)
  expect(new Set(logins)).toEqual(new Set([`iqn.2026-11.io.bedplate:machine.${mac.replaceAll(':', '')}`])) // the target ends the session before by this name
  expect(reports('system', 'progress').length).toBeGreaterThan(before)
  expect(await virtual.said()).toContain('detected conn error')
})

test('beside the initrd: nothing is fetched after the boot loader but the script, and the machine tells what it is', async () => {
  await disks.close()
  const path = join(folder, 'root.squashfs')
  const initrd = join(directory, 'initrd.img')
  await copyFile(join(folder, 'initrd.img'), initrd)
  // what a boot loader does with a file it is given a name for: a cpio header before it, each archive at a multiple of four
  const total = (await stat(path)).size
  const gap = (await stat(initrd)).size
  const header = (name: string, mode: number, length: number): Buffer => {
    const fields = [0, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name.length + 1, 0].map(value => value.toString(16).padStart(8, '0')).join('')
    const text = `070701${fields}${name}\0`
    return Buffer.from(text.padEnd(Math.ceil(text.length / 4) * 4, '\0'))
  }
  async function * archive (): AsyncGenerator<Buffer> {
    yield Buffer.alloc((4 - gap % 4) % 4)
    yield header('root.squashfs', 0o100644, total)
    yield * createReadStream(path) as AsyncIterable<Buffer>
    yield Buffer.alloc((4 - total % 4) % 4)
    yield header('TRAILER!!!', 0, 0)
  }
  await pipeline(archive, createWriteStream(initrd, { flags: 'a' }))
  rack.running.apply!({ put: [session('t-initrd', { purpose: 'commission', script: renderCommission() })], remove: [] }, false)
  const virtual = await machine('initrd', 'initrd', initrd)
  await virtual.off()
  expect(failures()).toEqual([])
  const found = readInventory(rack.reports.find(({ kind }) => kind === 'inventory')?.body['files'] as Record<string, string>)
  if ('problem' in found) throw new Error(found.problem)
  expect(found.bootMac).toBe(mac)
  expect(found.inventory.disks.map(({ name }) => name)).toEqual(['vda'])
})
