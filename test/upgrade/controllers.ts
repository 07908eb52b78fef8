/** Controllers as processes of a given tree, on loopback, each with its own folder and ports that stay the same across versions. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'
import { plugins as builtIn } from '../../core/plugins.ts'
import { until } from '../kit/wait.ts'
import type { Tree } from './trees.ts'

export interface Member {
  readonly name: string
  readonly directory: string
  /** Of the API; of the rack's pages for a rack alone. */
  readonly url: string
  /** For racks' `regions`. */
  readonly rpc: string
  /** Starts it from that tree, and resolves when it is ready. Rejects with its output when it ends instead. */
  start(tree: Tree, settings?: Readonly<Record<string, unknown>>): Promise<void>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
  kill(): void
  output(): string
}

/** A port that was free a moment ago. */
async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

export async function member (folder: string, name: string, role: 'region' | 'rack', database: Readonly<Record<string, unknown>>): Promise<Member> {
  const [api, rpc] = [await freePort(), await freePort()]
  const host = '127.0.0.1'
  const directory = join(folder, name)
  const file = join(folder, `${name}.yaml`)
  const without = builtIn.map(({ manifest }) => manifest.name).filter(plugin => !['access', 'network'].includes(plugin))
  let child: ChildProcess | undefined
  let ended: Promise<number | null> = Promise.resolve(null)
  let output = ''
  await mkdir(directory, { recursive: true })
  const url = `http://${host}:${api}`
  return {
    name,
    directory,
    url,
    rpc: `${host}:${rpc}`,
    async start (tree, settings = {}) {
      const own = role === 'region' ? { http: { host, port: api }, rpc: { host, port: rpc, advertise: [host] }, database } : { rackHttp: { host, port: api } }
      await writeFile(file, JSON.stringify({ roles: [role], hostname: name, dataDirectory: directory, plugins: [tree.ledger], without, ...own, ...settings }))
      output = ''
      const process_ = spawn(join(tree.directory, 'bin/bedplate'), ['run', '--config', file], { env: { PATH: process.env.PATH ?? '', HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
      child = process_
      for (const stream of [process_.stdout, process_.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
      let code: number | null | undefined
      ended = new Promise(resolve => process_.once('close', status => { code = status; child = undefined; resolve(status) }))
      const answers = await until(async () => code !== undefined ? 'ended' as const : (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).status === 200 ? 'ready' as const : undefined, { timeout: 60_000, interval: 50, what: `${name} to be ready` })
        .catch((error: unknown) => { throw new Error(`${String(error)}\n${output}`) })
      if (answers === 'ended') throw new Error(`${name} ended with ${String(code)}:\n${output}`)
    },
    async stop () { child?.kill('SIGTERM'); return await ended },
    kill () { child?.kill('SIGKILL') },
    output: () => output
  }
}

export const adminToken = async (region: Member): Promise<string> => (await readFile(join(region.directory, 'admin.token'), 'utf8')).trim()
