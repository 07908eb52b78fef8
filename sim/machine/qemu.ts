/** One virtual machine under QEMU, with the power button, reset and one-time boot device of a real one. */
import { spawn, execFile, type ChildProcess } from 'node:child_process'
import { copyFile, mkdir, access } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BedplateError } from '../../core/errors.ts'
import { findProgram } from '../../core/program.ts'
import { createMemory, hardwareOf, type BootDevice, type Firmware, type Machine } from './machine.ts'

const run = promisify(execFile)
/** The devices it has; from what else a BMC may ask for it boots in its usual order. */
export type Bootable = Extract<BootDevice, 'network' | 'disk'>
/** `tap`: the interface it is plugged into, or 'user' for QEMU's own network, which reaches nobody. `memory` in MiB. */
export interface QemuSpec { readonly name: string, readonly firmware: Firmware, readonly mac: string, readonly tap: string, readonly directory: string, readonly memory: number, readonly diskGiB: number, readonly namespace?: string, readonly uuid?: string }

const uefi = { code: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_CODE.fd'], vars: ['/usr/share/OVMF/OVMF_VARS_4M.fd', '/usr/share/OVMF/OVMF_VARS.fd'] }
async function firstOf (paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await access(path).then(() => true, () => false)) return path
  throw new BedplateError('PROGRAM_MISSING', { program: 'OVMF', remedy: 'apt-get install ovmf' })
}

/** QEMU's arguments. Without erms and fsrm the guest clears pages by words: emulated byte by byte, that doubled the time of a boot. The firmware tries `first`, then the other device: the way a one-time boot device reaches a virtual machine. */
export function qemuArguments (spec: QemuSpec, first: Bootable, files: { readonly disk: string, readonly serial: string, readonly qmp: string, readonly code?: string, readonly vars?: string }): string[] {
  const [net, disk] = first === 'network' ? [1, 2] : [2, 1]
  return [
    '-name', spec.name, '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max,erms=off,fsrm=off', '-smp', '1', '-m', String(spec.memory),
    '-display', 'none', '-serial', `file:${files.serial}`, '-qmp', `unix:${files.qmp},server=on,wait=off`, '-no-reboot', '-rtc', 'base=utc',
    ...(files.code && files.vars ? ['-drive', `if=pflash,format=raw,readonly=on,file=${files.code}`, '-drive', `if=pflash,format=raw,file=${files.vars}`] : []),
    '-drive', `file=${files.disk},if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap`, '-device', `virtio-blk-pci,drive=disk0,bootindex=${disk},serial=${spec.name}-disk0`,
    '-netdev', spec.tap === 'user' ? 'user,id=net0,restrict=on' : `tap,id=net0,ifname=${spec.tap},script=no,downscript=no`,
    // UEFI machines boot by their firmware's own network stack; BIOS machines by the card's ROM
    '-device', `virtio-net-pci,netdev=net0,mac=${spec.mac},bootindex=${net}${spec.firmware === 'uefi' ? ',romfile=' : ''}`,
    '-device', 'virtio-rng-pci', '-smbios', `type=1,manufacturer=Bedplate,product=Lab,serial=${spec.name}`, '-uuid', uuidFor(spec)
  ]
}

/** Follows QEMU's monitor and tells why it went down. */
function watch (path: string, alive: () => boolean, heard: (event: string, reason: string) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const attempt = (left: number) => {
      const socket = createConnection(path)
      socket.once('error', error => { if (left > 0 && alive()) setTimeout(attempt, 50, left - 1); else reject(error) })
      socket.once('connect', () => {
        let text = ''
        socket.on('error', () => {})
        socket.on('data', chunk => {
          text += chunk.toString()
          for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
            const line = JSON.parse(text.slice(0, end)) as { event?: string, data?: { reason?: string } }
            text = text.slice(end + 1)
            if (line.event) heard(line.event, line.data?.reason ?? '')
          }
        })
        socket.write('{"execute":"qmp_capabilities"}\n')
        resolve(socket)
      })
    }
    attempt(200)
  })
}

const uuidFor = ({ name, mac, uuid }: QemuSpec): string => uuid ?? hardwareOf(`${name} ${mac}`).uuid

/** What a lab works with: `spec` tells how it was made. */
export interface VirtualMachine extends Machine { readonly spec: QemuSpec }

/** A machine that is off. `order`: the device its firmware usually tries first. Its disk is made when missing. PROGRAM_MISSING. */
export async function createQemu (spec: QemuSpec, order: Bootable, say: (line: string) => void): Promise<VirtualMachine> {
  await findProgram('qemu-system-x86_64', 'apt-get install qemu-system-x86 qemu-utils')
  await mkdir(spec.directory, { recursive: true })
  const files = { disk: join(spec.directory, 'disk.qcow2'), serial: join(spec.directory, 'serial.log'), qmp: join(spec.directory, 'qmp'), ...(spec.firmware === 'uefi' ? { code: await firstOf(uefi.code), vars: join(spec.directory, 'vars.fd') } : {}) }
  await access(files.disk).catch(() => run('qemu-img', ['create', '-q', '-f', 'qcow2', files.disk, `${spec.diskGiB}G`]))
  if (files.vars) await copyFile(await firstOf(uefi.vars), files.vars)
  const memory = createMemory()
  let child: ChildProcess | undefined
  let monitor: Socket | undefined
  let gone: Promise<void> = Promise.resolve()

  async function start (how?: 'warm'): Promise<void> {
    if (child) return
    const wanted = memory.started(how)
    const first = wanted === 'network' || wanted === 'disk' ? wanted : order
    say(`power on, ${first} first`)
    const within = spec.namespace === undefined ? [] : ['ip', 'netns', 'exec', spec.namespace] // which execs it, so that the pid is its own
    const [program = '', ...args] = [...within, 'qemu-system-x86_64', ...qemuArguments(spec, first, { ...files, serial: join(spec.directory, `serial-${Date.now()}.log`) })]
    const qemu = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    qemu.stderr.on('data', chunk => say(`qemu: ${String(chunk).trim()}`))
    child = qemu
    let reason = ''
    gone = new Promise(resolve => {
      qemu.once('error', error => { say(`qemu: ${error.message}`); child = undefined; memory.stopped(); resolve() })
      qemu.once('exit', code => {
        monitor?.destroy()
        if (child === qemu) child = undefined
        const again = reason === 'guest-reset' || warm
        say(again ? 'the machine was reset' : `power off (${reason || `exit ${code}`})`)
        if (!again) memory.stopped()
        resolve()
        if (reason === 'guest-reset' && !warm) start('warm').catch((error: unknown) => { say(`qemu: ${String(error)}`) })
      })
    })
    monitor = await watch(files.qmp, () => child === qemu, (event, why) => { if (event === 'SHUTDOWN') reason = why })
  }
  let warm = false // it is ended to be started again
  async function stop (): Promise<void> { child?.kill('SIGKILL'); await gone }

  return {
    ...memory, spec,
    hardware: hardwareOf(spec.name, { uuid: uuidFor(spec), model: 'Lab', serial: spec.name, macs: [spec.mac], firmware: spec.firmware, memoryGiB: Math.max(1, Math.round(spec.memory / 1024)) }),
    state: () => child ? 'on' : 'off',
    on: () => start(),
    off: stop,
    shutdown: async () => { if (child) { memory.asked(); monitor?.write('{"execute":"system_powerdown"}\n') } },
    reset: async () => {
      if (!child) return
      warm = true
      try { await stop() } finally { warm = false }
      await start('warm')
    }
  }
}
