/** --wait: follows a machine until it stops moving, telling what happens meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from './failure.ts'
import { path } from './commands/machine.ts'
import type { Machine, MachineEvent } from './commands/machine.ts'
import { duration } from './output.ts'
import type { Session } from './session.ts'

const moving = new Set(['Commissioning', 'Deploying', 'Releasing'])
const patienceMs = 120_000 // a region may restart meanwhile

/**
 * The machine once it is in state `goal`. Each change of state and each new event goes to standard error with the time since
 * the start. Throws Failure with the reason when the machine ends anywhere else, or nobody answers for two minutes.
 */
export async function watch ({ client, output, io }: Session, id: string, goal: string): Promise<Machine> {
  const started = performance.now()
  const elapsed = () => duration(performance.now() - started)
  const tell = (line: string) => output.note(`[${elapsed()}] ${line}`)
  let status: string | undefined
  let last = (await client.list<MachineEvent>(path(id, '/events'))).at(-2)?.id // what has just been begun is told too
  let answered = performance.now()
  for (;;) {
    try {
      const machine = await client.get<Machine & { readonly id: string }>(path(id))
      const { items } = await client.get<{ readonly items: readonly MachineEvent[] }>(path(id, `/events?limit=1000${last === undefined ? '' : `&after=${last}`}`))
      answered = performance.now()
      if (machine.status !== status) tell(`${machine.hostname} is ${machine.status}`)
      status = machine.status
      for (const event of items) tell(`  ${event.level === 'info' || event.level === 'debug' ? '' : `${event.level}: `}${event.message}`)
      last = items.at(-1)?.id ?? last
      if (status === goal) return machine
      if (!moving.has(status)) throw new Failure(`Machine ${machine.hostname} is ${status}, not ${goal}${machine.reason === null ? '' : `: ${machine.reason}`}`, { code: 'NOT_REACHED' })
    } catch (error) {
      if (!(error instanceof Failure) || !['UNREACHABLE', 'UNAVAILABLE', 'DATABASE_UNREACHABLE', 'INTERNAL'].includes(error.code ?? '')) throw error
      if (performance.now() - answered > patienceMs) throw error
      tell(error.message)
    }
    await sleep(io.pollMs ?? 1000, undefined, io.signal === undefined ? {} : { signal: io.signal }).catch(() => { throw new Failure('Interrupted.') })
  }
}
