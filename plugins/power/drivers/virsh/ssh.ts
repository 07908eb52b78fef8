/** Commands on hosts over SSH: one connection to each host, opened when it is needed and kept for the next command. */
import { createHash } from 'node:crypto'
import { BedplateError } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import type { Closable } from '../../kept.ts'
import { createQueue, type Queue } from '../../rack/queue.ts'
import { explained, openMaster, type Host, type Master } from './master.ts'
import { run, type Ran } from './run.ts'

const atOnce = 8 // sessions over one connection; sshd takes 10 (MaxSessions)
const idle = 300_000 // ms a connection is kept for the next command

/** A word for a POSIX shell, whatever is in it. Pure. */
export const quoted = (word: string): string => `'${word.replaceAll('\'', '\'\\\'\'')}'`

/** Connections by host, user and keys, for `kept`. */
export interface Connections extends Closable {
  /** Runs a command line of the host's shell. POWER_AUTHENTICATION, POWER_REFUSED (not the known host), POWER_PARAMETERS_INVALID (the key), POWER_FAILED. */
  exec(host: Host, command: string, input: string, options: Options): Promise<Ran>
}
interface Line { readonly master: Promise<Master>, readonly lanes: Queue, count: number, uses: number, idling: AbortController }

export function createConnections (): Connections {
  const lines = new Map<string, Line>()
  const closing = new Set<Promise<void>>()
  /** No command gets it any more; it is closed when the last one that has it is done: others may still go well. */
  const retire = (name: string, line: Line): void => {
    if (lines.get(name) === line) lines.delete(name)
    line.idling.abort()
    if (line.uses > 0) return
    const closed = line.master.then(master => master.close(), () => {}).finally(() => { closing.delete(closed) })
    closing.add(closed)
  }
  return {
    async exec (host, command, input, options) {
      const name = createHash('sha256').update(JSON.stringify(host)).digest('hex') // the key is in it
      const line: Line = lines.get(name) ?? { master: openMaster(host, { ...options, signal: AbortSignal.timeout(options.pace.request) }), lanes: createQueue(), count: 0, uses: 0, idling: new AbortController() } // not this command's signal: others wait for it as well
      lines.set(name, line)
      line.uses++
      line.idling.abort()
      try {
        const { ssh, args } = await orAborted(line.master, options.signal)
        const ran = await line.lanes.run(String(line.count++ % atOnce), () => run(ssh, [...args, command], { input, limit: options.pace.request, signal: options.signal }))
        if (ran.code === 255) throw explained(ran.stderr, host.host)
        return ran
      } catch (error) {
        if (!options.signal.aborted && lines.get(name) === line) lines.delete(name) // the next command begins anew
        throw error
      } finally {
        line.uses--
        if (lines.get(name) !== line) retire(name, line)
        else if (line.uses === 0) {
          const { signal } = line.idling = new AbortController()
          void options.clock.sleep(idle, signal).then(() => { if (!signal.aborted) retire(name, line) })
        }
      }
    },
    async close () {
      for (const [name, line] of lines) { line.uses = 0; retire(name, line) }
      await Promise.all(closing)
    }
  }
}

/** What it resolves with, unless the signal comes first. */
async function orAborted<T> (work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => { reject(new BedplateError('POWER_FAILED', { action: 'action', reason: 'the time for it was over before the host answered' })) }
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try { return await Promise.race([work, promise]) } finally { signal.removeEventListener('abort', abort) }
}
