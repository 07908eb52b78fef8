/** Where power is measured: a namespace with the BMCs, and, when a case needs them, PostgreSQL, a region and a rack that stands beside the BMCs. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createNetwork } from '../../test/kit/network.ts'
import type { Namespace, TestNetwork } from '../../test/kit/network.ts'
import { scratch } from '../../test/kit/scratch.ts'
import { until } from '../../test/kit/wait.ts'
import { askSocket, startDaemon, type Daemon } from '../dhcp/bedplate.ts'
import type { Place as Wide } from '../dhcp/place.ts'
import { startPostgresql } from '../dhcp/postgresql.ts'
import { cores, createSegment } from '../dhcp/segment.ts'
import { account, port, startBmcs, type Bmcs } from './bmcs.ts'

export interface Place {
  readonly folder: string
  readonly say: (line: string) => void
  /** So many BMCs in a namespace of their own; the same ones for all cases. */
  bmcs(count: number): Promise<{ readonly namespace: Namespace, readonly hosts: readonly string[] }>
  close(): Promise<void>
}

export async function openPlace (say: (line: string) => void): Promise<Place> {
  const folder = await mkdtemp(join(scratch(), 'bedplate-bench-'))
  await chmod(folder, 0o755)
  const network: TestNetwork = await createNetwork()
  const started = new Map<number, Promise<{ readonly namespace: Namespace, readonly hosts: readonly string[], readonly bmcs: Bmcs }>>()
  return {
    folder, say,
    bmcs (count) {
      const known = started.get(count)
      if (known !== undefined) return known
      const made = (async () => {
        const namespace = await network.namespace()
        say(`starting ${count} simulated BMCs`)
        const bmcs = await startBmcs(namespace, count)
        return { namespace, hosts: bmcs.hosts, bmcs }
      })()
      started.set(count, made)
      return made
    },
    async close () {
      for (const one of started.values()) await one.then(({ bmcs }) => bmcs.end(), () => {})
      await network.destroy()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** A region and a rack, and `count` machines whose BMCs the rack polls; resolves when each was polled once. */
export async function startRack ({ folder, say }: Place, count: number): Promise<{ readonly bmcs: Bmcs, readonly pid: number, end(): Promise<void> }> {
  const undo: (() => Promise<unknown>)[] = []
  const end = async (): Promise<void> => { for (const step of undo.splice(0).reverse()) await step() }
  try {
    const [segment, database] = await Promise.all([createSegment(), startPostgresql(join(folder, 'pg'))])
    undo.push(() => segment.close(), () => database.stop())
    const wide = { folder, segment, database } as Wide
    await database.database('bedplate')
    const socket = join(folder, 'api.sock')
    const log = { level: 'warn' }
    const region = await startDaemon(wide, { name: 'region', address: '10.64.0.10', cpus: cores.all, settings: { roles: ['region'], log, http: { socket }, rpc: { advertise: ['10.64.0.10'] }, database: { hosts: [database.host], name: 'bedplate', user: 'bedplate' } } })
    undo.push(() => region.stop())
    const token = (await readFile(join(region.directory, 'admin.token'), 'utf8')).trim()
    const ask = <T>(path: string, body: unknown) => askSocket<T>(socket, token)('POST', path, body)
    const enrolment = await ask<{ token: string }>('/api/v1/controllers/tokens', { roles: ['rack'] })
    const rack: Daemon = await startDaemon(wide, { name: 'rack', address: '10.64.0.11', cpus: cores.all, settings: { roles: ['rack'], log, regions: ['10.64.0.10'], enrolmentToken: enrolment.token } })
    undo.push(() => rack.stop())
    say(`starting ${count} simulated BMCs beside the rack`)
    const bmcs = await startBmcs(rack.host.namespace, count)
    undo.push(() => bmcs.end())
    say(`registering ${count} machines`)
    const waiting = [...bmcs.hosts.entries()]
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [index, host] = next
        const mac = `52:54:${[24, 16, 8, 0].map(shift => (index >>> shift & 255).toString(16).padStart(2, '0')).join(':')}`
        await ask('/api/v1/machines', { macs: [mac], power: { driver: 'ipmi', parameters: { address: `ipmi://${host}:${port}`, user: account.user, password: account.password, cipher: account.cipher } } })
      }
    }))
    say('waiting until each was asked once')
    await until(async () => (await bmcs.asked()).seen === count, { timeout: 300_000, interval: 1_000, what: 'every BMC to be asked' })
    return { bmcs, pid: rack.process.pid, end }
  } catch (error) { await end(); throw error }
}
