/** A real controller in this process: the kernel with the given plugins on free ports of loopback, on a test database. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../core/config.ts'
import { startKernel } from '../../core/kernel.ts'
import type { Kernel } from '../../core/kernel.ts'
import type { Logger } from '../../core/log.ts'
import { parts } from '../../core/parts.ts'
import type { Parts } from '../../core/parts.ts'
import type { Plugin, Role } from '../../core/plugin.ts'
import { server, testDatabase } from './database.ts'
import type { TestDatabase } from './database.ts'
import { quiet } from './parts.ts'

export interface DaemonOptions {
  readonly plugins: readonly Plugin[]
  readonly roles?: readonly Role[]
  /** Settings as the configuration file would give them; laid over the free ports and the fresh folder. */
  readonly config?: Readonly<Record<string, unknown>>
  /** A region joins this database instead of one of its own; whoever made it drops it. */
  readonly database?: TestDatabase
  readonly dataDirectory?: string // kept by stop() when given
  readonly log?: Logger
  readonly parts?: Partial<Parts>
}

export interface Daemon {
  readonly kernel: Kernel
  readonly url: string // of the region API; of the rack's pages where there is no region
  readonly rackUrl: string
  /** Admits everything, whatever plugin `access` knows. */
  readonly token: string
  readonly db: TestDatabase | undefined
  readonly dataDirectory: string
  /** A request to the API with the token; `body` is sent as JSON, and the answer's JSON is read. */
  request<T = Record<string, unknown>>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<{ readonly status: number, readonly body: T, readonly headers: Headers }>
  /** Stops it and removes what it made. */
  stop(): Promise<void>
}

export const testToken = 'test-admin'

/** Starts one. Rejects as the kernel does. */
export async function startDaemon ({ plugins, roles = ['region', 'rack'], config = {}, database, dataDirectory, log = quiet, parts: replaced = {} }: DaemonOptions): Promise<Daemon> {
  const folder = dataDirectory ?? await mkdtemp(join(tmpdir(), 'bedplate-daemon-'))
  const db = roles.includes('region') ? database ?? await testDatabase({ migrations: migrationsOf(plugins) }) : undefined
  const cleanUp = async (): Promise<void> => {
    if (db !== undefined && database === undefined) await db.drop()
    if (dataDirectory === undefined) await rm(folder, { recursive: true, force: true })
  }
  const host = '127.0.0.1'
  try {
    const values = {
      roles,
      dataDirectory: folder,
      http: { host, port: 0 },
      rackHttp: { host, port: 0 },
      rpc: { host, port: 0 },
      ...(db === undefined ? {} : { database: { hosts: [server().host], name: db.options.database, user: db.options.user } }),
      ...config
    }
    const kernel = await startKernel({ config: await readConfig(plugins.map(plugin => plugin.manifest), { values }), plugins, log, parts: { ...parts, ...replaced } })
    kernel.hooks.authenticate.tap('test', ({ authorization }) => authorization === `Bearer ${testToken}` ? { id: 'test', name: 'test', scopes: ['admin'] } : undefined)
    const ports = kernel.hosts.ports()
    const rackUrl = `http://${host}:${ports.rack}`
    const url = ports.api === undefined ? rackUrl : `http://${host}:${ports.api}`
    return {
      kernel,
      url,
      rackUrl,
      token: testToken,
      db,
      dataDirectory: folder,
      async request (method, path, body, headers = {}) {
        const answer = await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${testToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
        const text = await answer.text()
        return { status: answer.status, headers: answer.headers, body: /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : text }
      },
      async stop () { try { await kernel.stop() } finally { await cleanUp() } }
    }
  } catch (error) {
    await cleanUp()
    throw error
  }
}

const migrationsOf = (plugins: readonly Plugin[]) => plugins.flatMap(({ manifest: { name, migrations } }) => migrations === undefined ? [] : [{ name, directory: migrations }])
