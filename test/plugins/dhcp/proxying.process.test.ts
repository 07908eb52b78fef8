/** The service of ProxyDHCP, held against the contract every service keeps. Binds port 4011 of the loopback device. */
import { createMetrics } from '../../../core/metrics.ts'
import { createProxy } from '../../../plugins/dhcp/proxy/proxying.ts'
import { createTraffic } from '../../../plugins/dhcp/rack/traffic.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { quiet } from '../../kit/parts.ts'
import { segmentWith } from './build.ts'

const on = (device: string) => ({
  make: () => ({ service: createProxy({ segments: () => new Map([['5', { ...segmentWith(), interface: device, mode: 'proxy' as const }]]), bootOf: () => undefined, traffic: createTraffic(createMetrics()), log: quiet }).service })
})
serviceConformance('ProxyDHCP', on('lo'))
serviceConformance('ProxyDHCP without its interface', on('none0'))
