/** The target under test: `bedplate iscsi serve`, as a user starts it. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { scratch } from '../../kit/scratch.ts'
import type { Urls } from './suite.ts'

export interface Target {
  readonly urls: Urls
  readonly directory: string
  readonly pid: number
  /** How it ended by itself; undefined while it runs. */
  readonly fate: string | undefined
  end(): Promise<void>
}

const program = join(import.meta.dirname, '../../../core/main.ts')
const name = 'iqn.2030-01.org.example:conformance'
const size = 256 << 20 // bytes; sparse

/** Units: 0 to be written, 1 the same to be read. Rejects with what it said when it does not serve. */
export async function startTarget (command: readonly string[] = [process.execPath]): Promise<Target> {
  const directory = mkdtempSync(join(scratch(), 'bedplate-conformance-'))
  const file = join(directory, 'disk')
  writeFileSync(file, '')
  truncateSync(file, size)
  const [first = '', ...rest] = [...command, program, 'iscsi', 'serve', '-o', 'json', '--iqn', name, '--portal', '127.0.0.1:0', '--portal', '127.0.0.1:0', '--lun', file, '--lun', `${file}:ro`]
  const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [fate, errors]: [string | undefined, string] = [undefined, '']
  const ended = new Promise<void>(resolve => { child.once('close', (code, signal) => { fate = `${signal ?? `exit code ${code}`}: ${errors.slice(-500)}`; resolve() }) })
  child.stderr.on('data', chunk => { errors = `${errors}${String(chunk)}`.slice(-10_000) })
  const portals = await new Promise<readonly string[]>((resolve, reject) => {
    let text = ''
    createInterface(child.stdout).on('line', line => {
      text += line
      if (line === '}') resolve((JSON.parse(text) as { portals: string[] }).portals)
    })
    void ended.then(() => { reject(new TypeError(`the target did not start: ${fate}`)) })
  })
  const url = (portal: number, lun: number): string => `iscsi://${portals[portal]}/${name}/${lun}`
  return {
    urls: { first: url(0, 0), second: url(1, 0), readOnly: url(0, 1) }, directory, pid: child.pid ?? 0,
    get fate () { return fate },
    async end () { child.kill('SIGINT'); await ended; rmSync(directory, { recursive: true }) }
  }
}
