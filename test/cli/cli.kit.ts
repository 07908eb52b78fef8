/** The command line against a real region with the real plugins, and the machines' lifecycle at hand to play the machine's part. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { Build } from '../../cli/build.ts'
import { runCli } from '../../cli/program.ts'
import type { Environment } from '../../cli/session.ts'
import { definePlugin, defineRegion, defineManifest } from '../../core/plugin.ts'
import type { Plugin } from '../../core/plugin.ts'
import { Type } from 'typebox'
import access from '../../plugins/access/index.ts'
import dhcp from '../../plugins/dhcp/index.ts'
import images from '../../plugins/images/index.ts'
import machines from '../../plugins/machines/index.ts'
import { Machines } from '../../plugins/machines/manifest.ts'
import type { MachineEvent, MachineService } from '../../plugins/machines/manifest.ts'
import network from '../../plugins/network/index.ts'
import power from '../../plugins/power/index.ts'
import tracking from '../../plugins/tracking/index.ts'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'

export interface Result { readonly code: number, readonly out: string, readonly err: string }
export interface RunOptions { readonly env?: Environment, readonly signal?: AbortSignal, readonly terminal?: boolean, readonly build?: Build, readonly input?: string }

/** Standard output or error, kept. */
export function sink (terminal = false): Writable & { text: string } {
  const stream = Object.assign(new Writable({ write (chunk, _, done) { stream.text += String(chunk); done() } }), { text: '', isTTY: terminal })
  return stream
}

/** Runs one command as the program does; `line` is split at spaces. */
export async function run (line: string | readonly string[], { env = {}, signal, terminal, build, input }: RunOptions = {}): Promise<Result> {
  const [stdout, stderr] = [sink(terminal), sink(terminal)]
  const code = await runCli(typeof line === 'string' ? line.split(' ').filter(word => word !== '') : line, env, { stdout, stderr, signal, build, pollMs: 20, ...input === undefined ? {} : { stdin: Readable.from([input]) } })
  return { code, out: stdout.text, err: stderr.text }
}

export interface Bench {
  readonly daemon: Daemon
  readonly env: Environment
  readonly token: string
  /** Runs a command; the first token of the region is found as on its own host. */
  bedplate(line: string | readonly string[], options?: RunOptions): Promise<Result>
  /** The same, as JSON; rejects with standard error when it fails. */
  json<T = Record<string, any>>(line: string): Promise<T>
  /** What the machine itself, or whoever watches it, says. */
  machine(name: string, event: MachineEvent, details?: Parameters<MachineService['act']>[3]): Promise<void>
  close(): Promise<void>
}

/** `besides`: plugins that have a say in what machines do, which most commands are tried without. */
export async function openBench (besides: readonly Plugin[] = []): Promise<Bench> {
  let service: MachineService | undefined
  const manifest = defineManifest({ name: 'stage', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
  const stage = definePlugin({ manifest, region: async () => defineRegion(manifest, { requires: { machines: Machines }, provides: {}, setup (ctx) { service = ctx.deps.machines; return { provides: {}, rpc: {}, services: [] } } }) })
  const daemon = await startDaemon({ plugins: [access, network, tracking, power, images, machines, dhcp, ...besides, stage], roles: ['region'], config: { hostname: 'region-1' } })
  const token = (await readFile(join(daemon.dataDirectory, 'admin.token'), 'utf8')).trim()
  const env = { BEDPLATE_URL: daemon.url, BEDPLATE_DATA_DIRECTORY: daemon.dataDirectory }
  return {
    daemon, env, token,
    bedplate: (line, options = {}) => run(line, { ...options, env: { ...env, ...options.env } }),
    async json (line) {
      const { code, out, err } = await run(`${line} -o json`, { env })
      if (code !== 0) throw new Error(err)
      return JSON.parse(out)
    },
    async machine (name, event, details = {}) {
      const { db } = daemon.kernel
      if (db === undefined || service === undefined) throw new Error('there is no region')
      const machine = (await service.list(db)).find(({ hostname }) => hostname === name)
      await db.tx(async tx => { await service!.act(tx, machine!.id, event, details) })
    },
    close: () => daemon.stop()
  }
}
