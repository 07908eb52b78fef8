/** A tiny machine under QEMU: no system, but a few instructions on each device, which say where they were loaded from and obey the power button. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMonitor } from '../../../../plugins/power/drivers/qemu/monitor.ts'
import { onceEvent, until } from '../../../kit/wait.ts'

/**
 * A boot sector: writes `mark` to the debug port, enables the ACPI power button (PM1a_EN at 0x602 of the PIIX4 as SeaBIOS sets it up), waits for it in PM1a_STS, and
 * enters S5 by PM1a_CNT.
 *   mov al,mark; out 0xe9,al; mov dx,0x602; mov ax,0x100; out dx,ax; sti
 *   wait: hlt; mov dx,0x600; in ax,dx; test ah,1; jz wait
 *   mov dx,0x604; mov ax,0x2000; out dx,ax; jmp $
 */
const sector = (mark: string): Buffer => {
  const code = Buffer.from(`b0${Buffer.from(mark).toString('hex')}e6e9ba0206b80001effbf4ba0006edf6c40174f6ba0406b80020efebfe`, 'hex')
  return Buffer.concat([code, Buffer.alloc(510 - code.length), Buffer.from('55aa', 'hex')])
}

export interface TinyMachine {
  readonly monitor: string // path of the monitor for the driver
  readonly uuid: string
  /** What its own second monitor says. */
  status(): Promise<string>
  /** Starts and stops seen since it was made. */
  switches(): number
  /** Which device the last start was from, once its code runs: N, D, or O for the one that is usually first. */
  booted(): Promise<string>
  /** Resolves once it is reset: a machine that is let run before its reset came is reset among its first instructions, after which it was seen to hang now and then (with SeaBIOS; why, was not found). */
  reset(): Promise<void>
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  bootindex(device: string): Promise<unknown>
  close(): Promise<void>
}

export async function startTinyMachine (): Promise<TinyMachine> {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-qemu-'))
  const file = (name: string) => join(folder, name)
  const uuid = '4d1cf3a6-2f5b-4b3e-8f49-0d5f2f1c9a77'
  await Promise.all([['disk', 'D'], ['other', 'O'], ['network', 'N']].map(([name = '', mark = '']) => writeFile(file(name), Buffer.concat([sector(mark), Buffer.alloc(name === 'network' ? 0 : 1_048_064)]))))
  const disk = (id: string, image: string, bootindex: number) => ['-drive', `file=${file(image)},if=none,id=${image},format=raw`, '-device', `virtio-blk-pci,drive=${image},bootindex=${bootindex}${id}`]
  const program = spawn('qemu-system-x86_64', [
    '-accel', 'tcg', '-M', 'pc', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none', '-uuid', uuid, '-S', '-no-shutdown', '-boot', 'menu=off',
    '-qmp', `unix:${file('monitor')},server=on,wait=off`, '-qmp', `unix:${file('judge')},server=on,wait=off`, '-chardev', `file,id=log,path=${file('log')}`, '-device', 'isa-debugcon,iobase=0xe9,chardev=log',
    ...disk('', 'other', 0), ...disk(',id=disk0', 'disk', 2), '-netdev', `user,id=lan,tftp=${folder},bootfile=network`, '-device', 'virtio-net-pci,id=net0,netdev=lan,bootindex=1'
  ], { stdio: 'ignore' })
  let switches = 0
  const judge = await until(() => openMonitor({ path: file('judge') }, 'the judge', { pace: { request: 10_000, poll: 0, settle: 0, shutdown: 0 }, signal: new AbortController().signal }), { what: 'QEMU to greet' })
  const starts = () => existsSync(file('log')) ? readFileSync(file('log'), 'latin1') : '' // a mark for each
  let before = 0 // marks at the last start
  const count = (name: string): void => { judge.event(name, 'whenever it comes').then(() => { switches++; if (name === 'RESUME') before = starts().length; count(name) }, () => {}) } // until it is closed
  count('RESUME')
  count('STOP')
  return {
    monitor: file('monitor'), uuid, execute: judge.execute,
    switches: () => switches,
    reset: async () => { await Promise.all([judge.event('RESET'), judge.execute('system_reset')]) },
    status: async () => { const answer = await judge.execute('query-status'); return typeof answer === 'object' && answer !== null && 'status' in answer ? String(answer.status) : '' },
    async booted () {
      await judge.execute('query-status') // events that came before its reply have been heard
      await until(() => starts().length > before, { timeout: 60_000, what: 'the machine to boot from a device' })
      return starts().at(-1) ?? ''
    },
    bootindex: device => judge.execute('qom-get', { path: `/machine/peripheral/${device}`, property: 'bootindex' }),
    async close () {
      judge.close()
      const ended = onceEvent(program, 'exit')
      program.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    }
  }
}
