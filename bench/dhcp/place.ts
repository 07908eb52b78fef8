/** Where the DHCP bench measures: scratch folder, network, PostgreSQL and generator; servers are started when a case first needs them. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { scratch } from '../../test/kit/scratch.ts'
import { compileLoad } from './load.ts'
import { startPostgresql } from './postgresql.ts'
import type { Postgresql } from './postgresql.ts'
import { createSegment } from './segment.ts'
import type { Segment } from './segment.ts'

/** Something that serves DHCP on the segment. */
export interface Server {
  readonly address: string
  /** What its work is charged to. */
  pids(): readonly number[]
  stop(): Promise<void>
}
export interface Place {
  readonly folder: string
  readonly segment: Segment
  readonly database: Postgresql
  readonly program: string
  readonly say: (line: string) => void
  /** Numbers of clients nobody has seen, in this whole run. */
  clients(count: number): number
  /** The server of this name, started by whoever needs it first and stopped with the place. */
  server<S extends Server>(name: string, start: () => Promise<S>): Promise<S>
  /** Ends it now, so that it takes nothing from the cases that follow. */
  end(name: string): Promise<void>
  /** Ends everything. */
  close(): Promise<void>
}

export async function openPlace (say: (line: string) => void): Promise<Place> {
  const folder = await mkdtemp(join(scratch(), 'bedplate-bench-'))
  await chmod(folder, 0o755)
  const program = await compileLoad(folder)
  say('making the network and the database')
  const [segment, database] = await Promise.all([createSegment(), startPostgresql(join(folder, 'pg'))])
  const servers = new Map<string, Promise<Server>>()
  let seen = 0
  const end = async (name: string): Promise<void> => {
    const ending = servers.get(name)
    servers.delete(name)
    const server = await ending?.catch(() => undefined) // one that never started
    await server?.stop()
  }
  return {
    folder, segment, database, program, say,
    clients (count) { seen += count; return seen - count },
    server<S extends Server> (name: string, start: () => Promise<S>) {
      const known = servers.get(name)
      if (known !== undefined) return known as Promise<S> // of one name there is one kind
      say(`starting ${name}`)
      const made = start()
      servers.set(name, made)
      return made
    },
    end,
    async close () {
      for (const name of [...servers.keys()]) await end(name)
      await segment.close()
      await database.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
