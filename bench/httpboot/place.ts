/** Where content is served and measured: scratch folder, network, PostgreSQL and a client program of ours; servers are started when a case first needs them. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { scratch } from '../../test/kit/scratch.ts'
import { startPostgresql } from '../dhcp/postgresql.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { createSegment } from '../dhcp/segment.ts'

/** Opens it with the client program compiled from this C source. */
export async function openPlace (source: string, say: (line: string) => void): Promise<Place> {
  const folder = await mkdtemp(join(scratch(), 'bedplate-bench-'))
  await chmod(folder, 0o755)
  const program = join(folder, basename(source, '.c'))
  await promisify(execFile)('gcc', ['-O2', '-pthread', '-o', program, source])
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
    folder, segment, database, program, say, end,
    clients (count) { seen += count; return seen - count },
    server<S extends Server> (name: string, start: () => Promise<S>) {
      const known = servers.get(name)
      if (known !== undefined) return known as Promise<S> // of one name there is one kind
      say(`starting ${name}`)
      const made = start()
      servers.set(name, made)
      return made
    },
    async close () {
      for (const name of [...servers.keys()]) await end(name)
      await segment.close()
      await database.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
