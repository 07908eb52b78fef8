/** `bedplate events`: what changes, as it changes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import type { Noun } from '../session.ts'
import { integer } from './vlan.ts'

interface Change { readonly seq: string, readonly topic: string, readonly id: string }

export const eventCommands: Noun = (program, on) => {
  on<{ follow?: boolean, topic?: string[], count?: number }>(program.command('events').description('what changes, as it changes; one line each')
    .option('-f, --follow', 'go on when the region restarts').option('--topic <topic...>', 'only these, or those beginning with them: machines, machines.machine').option('--count <number>', 'end after so many', integer), async ({ client, output, io }, _, { follow = false, topic = [], count = Infinity }) => {
    const query = new URLSearchParams(topic.map((name): [string, string] => ['topic', name]))
    const seen = new Set<string>() // a change may come twice
    let last: string | undefined
    let left = count
    const json = (change: Change) => { io.stdout.write(`${JSON.stringify(change)}\n`) }
    const format = (program.opts<{ output: string }>()).output
    while (left > 0) {
      try {
        for await (const { event, data, id } of client.events(`/events${query.size > 0 ? `?${query}` : ''}`, last)) {
          last = id ?? last
          if (event === 'gap') output.note('Some changes are no longer known: read everything again.')
          if (event !== 'change') continue
          const change = JSON.parse(data) as Change
          if (seen.has(change.seq)) continue
          if (seen.size >= 10_000) seen.clear()
          seen.add(change.seq)
          if (format === 'table') output.done(`${change.topic} ${change.id}`, change)
          else json(change) // one object a line, also for yaml: it is a stream
          if (--left <= 0) return
        }
      } catch (error) {
        if (!follow || !(error instanceof Failure) || error.code !== 'UNREACHABLE') throw error
        output.note(error.message)
      }
      if (!follow) return
      await sleep(io.pollMs ?? 1000, undefined, io.signal === undefined ? {} : { signal: io.signal }).catch(() => { throw new Failure('Interrupted.') })
    }
  })
}
