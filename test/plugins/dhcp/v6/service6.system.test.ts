/** The service dhcp6, held against the contract every service keeps, and what it is configured with. Binds port 547 of the loopback device: needs root. */
import { createSocket } from 'node:dgram'
import { expect, it } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { createLogger } from '../../../../core/log.ts'
import type { Service } from '../../../../core/plugin.ts'
import { limitsOf, usual } from '../../../../plugins/dhcp/rack/limits.ts'
import { Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { encode6 } from '../../../../plugins/dhcp/v6/packet6.ts'
import { createDhcp6 } from '../../../../plugins/dhcp/v6/service6.ts'
import type { Dhcp6Options } from '../../../../plugins/dhcp/v6/service6.ts'
import { serviceConformance } from '../../../kit/conformance/service.ts'
import { until } from '../../../kit/wait.ts'
import { duidLl, message, segment6Entry } from './build6.ts'

function make (device: string, options: Partial<Dhcp6Options> = {}): { service: Service } {
  const six = createDhcp6({
    memory: new Memory6(), wishes: { ask: () => {} }, problems: () => [], traffic: { received: () => {}, sent: () => {}, dropped: () => {}, bound: () => {} },
    clock: systemClock, log: createLogger('silent'), report: () => {}, httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120, limits: usual, ...options
  })
  six.apply([{ kind: 'segment6', id: '5', value: segment6Entry({ interface: device }) }], [], true)
  return { service: six.service }
}

serviceConformance('dhcp6', { make: () => make('lo') })
serviceConformance('dhcp6 without its interface', { make: () => make('none0'), starts: false })

it('limits new clients as it is configured, and not otherwise', async () => {
  const asked: string[] = []
  const dropped: string[] = []
  const { service } = make('lo', {
    limits: limitsOf({ newClientPoolSeconds: 60, newClientsPerSecond: 150, newClientsPerPort: 10, newClientsPortBurst: 100 }), // by the usual ones half of the range of 256 could come at once
    clock: { ...systemClock, monotonic: () => 0 },
    wishes: { ask: ({ client }) => { asked.push(client) } },
    traffic: { received: () => {}, sent: () => {}, dropped: reason => { dropped.push(reason) }, bound: () => {} }
  })
  const socket = createSocket('udp6')
  await service.start(new AbortController().signal)
  try {
    const request = (number: number) => encode6(message({ type: 'REQUEST', client: duidLl(`02:00:00:00:00:${number.toString(16).padStart(2, '0')}`), ias: [[1]] }))
    for (let number = 0; number < 200; number++) await new Promise(resolve => { socket.send(request(number), 547, '::1', resolve) })
    await until(() => asked.length + dropped.length === 200)
    expect([asked.length, new Set(dropped)]).toEqual([150, new Set(['starved'])])
  } finally {
    socket.close()
    await service.stop()
  }
})
