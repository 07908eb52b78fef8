/** A process that scans as a rack does, and powers through what it found: asked and answered over its channel. */
import { systemClock } from '../../../../core/clock.ts'
import { createLogger } from '../../../../core/log.ts'
import { reasonOf } from '../../../../core/errors.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { createCall, createCalls } from '../../../../plugins/power/rack/calls.ts'
import { createQueue } from '../../../../plugins/power/rack/queue.ts'
import { createStanding } from '../../../../plugins/power/rack/standing.ts'
import { createWay } from '../../../../plugins/power/rack/way.ts'
import { createScanning } from '../../../../plugins/power/rack/scan.ts'

export interface Asked { readonly id: number, readonly method: 'scan' | 'query', readonly params: unknown }
export interface Answered { readonly id: number, readonly result?: unknown, readonly error?: string }

const kept = createKept()
const { query } = createCalls({ call: createCall({ kept, queue: createQueue(), standing: createStanding(systemClock), way: createWay() }), timeout: 30_000, rack: 'r1', begins: () => {} })
const { scan } = createScanning({ clock: systemClock, log: createLogger('silent'), kept })
const methods = { scan, query } as Readonly<Record<string, (params: never, caller: { readonly controller: string, readonly signal: AbortSignal }) => Promise<unknown>>>

process.on('message', message => {
  const { id, method, params } = message as Asked
  const answer = (what: Omit<Answered, 'id'>): void => { process.send?.({ id, ...what } satisfies Answered) }
  methods[method]?.(params as never, { controller: 'c1', signal: new AbortController().signal }).then(result => { answer({ result }) }, (error: unknown) => { answer({ error: reasonOf(error) }) })
})
process.send?.('ready')
process.once('disconnect', () => { process.exit(0) })
