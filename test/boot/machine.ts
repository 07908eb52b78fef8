/** The firmwares of the matrix as QEMU's arguments, and a machine that runs one and says on its serial line what it does. */
import type { ChildProcess } from 'node:child_process'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Namespace } from '../kit/network.ts'

export type FirmwareName = 'bios' | 'uefi-rom' | 'uefi-pxe' | 'uefi-http' | 'uefi-secure' | 'uefi-secure-http' | 'arm64-pxe' | 'arm64-http'
interface Kind {
  readonly title: string
  readonly program: 'qemu-system-x86_64' | 'qemu-system-aarch64'
  readonly architecture: 'amd64' | 'arm64'
  /** Firmware and its variables, where it is UEFI. */
  readonly code?: string
  readonly vars?: string
  readonly more: readonly string[]
  /** What stands behind the network device: its ROM, or none where the firmware's own network stack is to boot. */
  readonly rom?: string
}

// Without PXE the firmware's next network entry is HTTP boot.
const http = ['-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=no', '-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=no']
const x64 = { program: 'qemu-system-x86_64', architecture: 'amd64', more: ['-machine', 'q35', '-cpu', 'max,erms=off,fsrm=off'] } as const
const ovmf = { ...x64, code: '/usr/share/OVMF/OVMF_CODE_4M.fd', vars: '/usr/share/OVMF/OVMF_VARS_4M.fd', rom: '' } as const
// System management mode keeps the variables out of reach of what boots; without it Secure Boot's build does not start.
const secure = { ...ovmf, code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', vars: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd', more: ['-machine', 'q35,smm=on', '-global', 'driver=cfi.pflash01,property=secure,value=on', '-cpu', 'max,erms=off,fsrm=off'] } as const
const arm64 = { program: 'qemu-system-aarch64', architecture: 'arm64', more: ['-machine', 'virt', '-cpu', 'cortex-a57'], code: '/usr/share/AAVMF/AAVMF_CODE.fd', vars: '/usr/share/AAVMF/AAVMF_VARS.fd', rom: '' } as const

export const firmwares: Readonly<Record<FirmwareName, Kind>> = {
  bios: { ...x64, title: 'BIOS, iPXE in ROM' },
  'uefi-rom': { ...ovmf, title: 'UEFI x64, iPXE in ROM', rom: 'efi-virtio.rom' },
  'uefi-pxe': { ...ovmf, title: 'UEFI x64, PXE' },
  'uefi-http': { ...ovmf, title: 'UEFI x64, HTTP boot', more: [...ovmf.more, ...http] },
  'uefi-secure': { ...secure, title: 'UEFI x64, Secure Boot, PXE' },
  'uefi-secure-http': { ...secure, title: 'UEFI x64, Secure Boot, HTTP boot', more: [...secure.more, ...http] },
  'arm64-pxe': { ...arm64, title: 'UEFI arm64, PXE' },
  'arm64-http': { ...arm64, title: 'UEFI arm64, HTTP boot', more: [...arm64.more, ...http] }
}

export interface MachineSpec { readonly firmware: FirmwareName, readonly mac: string, readonly tap: string, readonly directory: string, readonly memory?: number, readonly disk?: string, /** Its firmware's variables and its serial line's log are there already. */ readonly worn?: boolean }

/** QEMU's arguments. The network is tried first, then the disk, where there is one. */
export function machineArguments ({ firmware, mac, tap, memory = 512, disk }: MachineSpec, files: { readonly serial: string, readonly vars: string }): string[] {
  const { code, vars, rom, more } = firmwares[firmware]
  return [
    ...more, '-accel', 'tcg,thread=multi', '-smp', '1', '-m', String(memory), '-display', 'none', '-chardev', `file,id=line,path=${files.serial},append=on`, '-serial', 'chardev:line', '-no-reboot',
    ...code === undefined || vars === undefined ? [] : ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`, '-drive', `if=pflash,unit=1,format=raw,file=${files.vars}`],
    '-netdev', `tap,id=net0,ifname=${tap},script=no,downscript=no`, '-device', `virtio-net-pci,netdev=net0,mac=${mac},bootindex=1${rom === undefined ? '' : `,romfile=${rom}`}`,
    '-device', 'virtio-rng-pci',
    ...disk === undefined ? [] : ['-drive', `file=${disk},if=none,id=disk0,format=raw,cache=unsafe`, '-device', 'virtio-blk-pci,drive=disk0,bootindex=2']
  ]
}

export interface CellMachine {
  /** Everything its serial line has said, without the terminal's control sequences. */
  serial(): Promise<string>
  readonly running: boolean
  off(): Promise<void>
}

/** A machine that is switched on. Its variables are a fresh copy: no cell knows what another one has learnt. */
export async function startMachine (spec: MachineSpec, within: Namespace, complain: (line: string) => void): Promise<CellMachine> {
  await mkdir(spec.directory, { recursive: true })
  const { program, vars } = firmwares[spec.firmware]
  const files = { serial: join(spec.directory, 'serial.log'), vars: join(spec.directory, 'vars.fd') }
  if (vars !== undefined && !spec.worn) await copyFile(vars, files.vars)
  if (!spec.worn) await rm(files.serial, { force: true })
  const qemu: ChildProcess = within.spawn([program, ...machineArguments(spec, files)], { stdio: ['ignore', 'ignore', 'pipe'] })
  qemu.stderr?.on('data', chunk => { complain(String(chunk).trim()) })
  let running = true
  const gone = new Promise<void>(resolve => { qemu.once('exit', () => { running = false; resolve() }) })
  return {
    serial: async () => plain(await readFile(files.serial, 'latin1').catch(() => '')),
    get running () { return running },
    async off () { qemu.kill('SIGKILL'); await gone }
  }
}

/** Text without escape sequences, as a person would read it on the console. Pure. */
export const plain = (text: string): string => text.replace(/\x1b\[[0-9;?=]*[A-Za-z]/g, '').replace(/\r/g, '')
