/** One cell of the matrix: a network, a rack, a machine with some firmware that boots through them, and what it said. */
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import { startMachine, type CellMachine, type FirmwareName, type MachineSpec } from './machine.ts'
import type { RackLine, RackSpec } from './rack.ts'

export interface Cell {
  readonly mac: string
  /** What the rack has said so far. */
  readonly lines: readonly RackLine[]
  readonly machine: CellMachine
  /** Switches it off, and on again, with what its firmware remembers. */
  again(): Promise<void>
  /** Waits until the machine's serial line or the rack's lines fulfil the condition; rejects with the last of both after `seconds`, or at once when the machine has gone. */
  until(condition: (serial: string, lines: readonly RackLine[]) => unknown, seconds: number, what: string): Promise<void>
}
export interface CellOptions { readonly firmware: FirmwareName, readonly rack: Omit<RackSpec, 'directory' | 'address' | 'interface'>, readonly keep?: string, readonly memory?: number, readonly disk?: string }

const address = '10.99.0.1'
export const cellMac = '52:54:00:be:d0:01'

/** Builds a cell, gives it to `work`, and takes it down again, whatever comes of it. `keep`: a folder for its logs. */
export async function withCell<T> (options: CellOptions, work: (cell: Cell) => Promise<T>): Promise<T> {
  const directory = options.keep ?? await mkdtemp(join(tmpdir(), 'bedplate-cell-'))
  await mkdir(directory, { recursive: true })
  const network = await createNetwork()
  let machine: CellMachine | undefined
  try {
    const host = await network.namespace()
    await network.bridge(host, 'br0', [`${address}/24`])
    await network.tap(host, 'tap0', 'br0')
    const spec: RackSpec = { ...options.rack, directory, address, interface: 'br0' }
    const rack = host.node(join(import.meta.dirname, 'rack.ts'), [JSON.stringify(spec)], { stdio: ['pipe', 'pipe', 'pipe'] })
    const lines: RackLine[] = []
    const log = createWriteStream(join(directory, 'rack.log'))
    let complaint = ''
    rack.stderr?.on('data', chunk => { complaint += String(chunk); log.write(String(chunk)) })
    if (rack.stdout !== null) createInterface(rack.stdout).on('line', line => { log.write(`${line}\n`); lines.push(JSON.parse(line) as RackLine) })
    const alive = (): boolean => { if (rack.exitCode !== null) throw new Error(`the rack has ended: ${complaint}`); return true }
    await until(() => alive() && lines.some(({ kind }) => kind === 'ready'), { timeout: 20_000, what: 'the rack serves' })
    const hardware: MachineSpec = { firmware: options.firmware, mac: cellMac, tap: 'tap0', directory, ...options.memory === undefined ? {} : { memory: options.memory }, ...options.disk === undefined ? {} : { disk: options.disk } }
    let here = machine = await startMachine(hardware, host, line => { complaint += line })
    return await work({
      mac: cellMac, lines, get machine () { return here },
      async again () {
        await here.off()
        here = machine = await startMachine({ ...hardware, worn: true }, host, line => { complaint += line })
      },
      async until (condition, seconds, what) {
        let serial = ''
        const gone = new Error(`the machine has ended before ${what}`)
        try {
          await until(async () => {
            const running = here.running // looked at first: what it said at its very end counts
            serial = await here.serial()
            if (condition(serial, lines)) return true
            if (!running) throw gone
            return false
          }, { timeout: seconds * 1000, interval: 100, what })
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : String(error)}\n--- the rack\n${lines.slice(-30).map(line => JSON.stringify(line)).join('\n')}\n--- the serial line\n${serial.slice(-3000)}\n${complaint}`, { cause: error })
        }
      }
    })
  } finally {
    await machine?.off()
    await network.destroy()
    if (options.keep === undefined) await rm(directory, { recursive: true, force: true })
  }
}
