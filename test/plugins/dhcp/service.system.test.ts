/** The service of the rack half, held against the contract every service keeps. Binds port 67 of the loopback device: needs root. */
import { createHooks } from '../../../core/hooks.ts'
import { systemClock } from '../../../core/clock.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Service } from '../../../core/plugin.ts'
import rack from '../../../plugins/dhcp/rack.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { segmentEntry } from './segment.ts'

function make (device: string): { service: Service } {
  const running = rack.setup({
    config: { historyDays: 90, leaseSeconds: 600, firmwareLeaseSeconds: 120, rapidCommit: true, probeSeconds: 0, blockSize: 8, rackHttpPort: 5248, quarantineSeconds: 600, autonomySeconds: 3600, reserveSize: 0, newClientPoolSeconds: 60, newClientsPerSecond: 20, newClientsPerPort: 10, newClientsPortBurst: 100, rogueProbeSeconds: 0 },
    deps: {}, hooks: createHooks(), log: createLogger('silent'), clock: systemClock, metrics: createMetrics(),
    controller: { id: 'rack', hostname: 'rack', roles: ['rack'], version: '0', dataDirectory: '/nonexistent' },
    region: { bind: async () => ({ answers: [] }), grant: async () => ({ addresses: [] }), sync: async () => ({ standing: '1', autonomySeconds: 3600, through: 0, refused: [], reserves: [], surplus: [] }) },
    report: () => ({ stored: async () => true })
  })
  running.apply?.({ put: [segmentEntry('127.0.0.1', { interface: device })], remove: [] }, true)
  const [service] = running.services
  if (service === undefined) throw new Error('the rack half has a service')
  return { service }
}

serviceConformance('dhcp', { make: () => make('lo') })
serviceConformance('dhcp without its interface', { make: () => make('none0'), starts: false })
