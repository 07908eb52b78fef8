/** A process that runs the rack half of dhcp alone; its calls, facts and wanted state go over IPC to the test that started it. */
import { createHooks } from '../../../core/hooks.ts'
import { systemClock } from '../../../core/clock.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { WantedChange } from '../../../core/plugin.ts'
import type { manifest } from '../../../plugins/dhcp/manifest.ts'
import rack from '../../../plugins/dhcp/rack.ts'

export type Down =
  | { type: 'apply', change: WantedChange<typeof manifest.wanted>, whole: boolean }
  | { type: 'answer', id: number, result?: unknown, failure?: string }
  | { type: 'start' | 'stop' | 'reconcile' | 'health' | 'health6' | 'healths' | 'metrics' }
export type Up =
  | { type: 'call', id: number, method: 'bind' | 'grant' | 'sync', params: unknown }
  | { type: 'report', kind: 'released' | 'declined' | 'occupied' | 'rogue', body: unknown }
  | { type: 'done', of: string, value?: unknown }

const up = (message: Up) => { process.send?.(message) }
const waiting = new Map<number, { resolve(value: unknown): void, reject(error: Error): void }>()
let calls = 0
const call = <T>(method: 'bind' | 'grant' | 'sync', params: unknown) => new Promise<T>((resolve, reject) => {
  const id = ++calls
  waiting.set(id, { resolve: value => { resolve(value as T) }, reject })
  up({ type: 'call', id, method, params })
})
const metrics = createMetrics()
const running = rack.setup({
  config: { historyDays: 90, leaseSeconds: 600, firmwareLeaseSeconds: 120, rapidCommit: true, probeSeconds: 0, blockSize: 8, rackHttpPort: 5248, quarantineSeconds: 600, autonomySeconds: 3600, reserveSize: 0, newClientPoolSeconds: 60, newClientsPerSecond: 20, newClientsPerPort: 10, newClientsPortBurst: 100, rogueProbeSeconds: 0, ...JSON.parse(process.argv[2] ?? '{}') as object },
  deps: {}, hooks: createHooks(), log: createLogger('warn'), clock: systemClock, metrics,
  controller: { id: 'rack', hostname: 'rack', roles: ['rack'], version: '0', dataDirectory: process.argv[3] ?? '/nonexistent' },
  region: { bind: params => call('bind', params), grant: params => call('grant', params), sync: params => call('sync', params) },
  report: (kind, body) => { up({ type: 'report', kind, body }); return { stored: async () => true } }
})
const [service] = running.services

async function act (message: Down): Promise<unknown> {
  switch (message.type) {
    case 'apply': return running.apply?.(message.change, message.whole)
    case 'start': return await Promise.all(running.services.map(one => one.start(new AbortController().signal)))
    case 'stop': return await Promise.all(running.services.map(one => one.stop()))
    case 'reconcile': return running.reconcile?.(new AbortController().signal)
    case 'health': return service?.health()
    case 'healths': return Object.fromEntries(running.services.map(one => [one.name, one.health()]))
    case 'health6': return running.services.find(({ name }) => name === 'dhcp6')?.health()
    case 'metrics': return metrics.registry.metrics()
    case 'answer': {
      const asker = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.failure === undefined) asker?.resolve(message.result)
      else asker?.reject(new Error(message.failure))
    }
  }
  return undefined
}
process.on('message', (message: Down) => { void act(message).then(value => { if (message.type !== 'answer') up({ type: 'done', of: message.type, value }) }) })
process.on('disconnect', () => { process.exit() })
up({ type: 'done', of: 'ready' })
