/** The service dhcp6, held against the contract every service keeps. Binds port 547 of the loopback device: needs root. */
import { systemClock } from '../../../../core/clock.ts'
import { createLogger } from '../../../../core/log.ts'
import type { Service } from '../../../../core/plugin.ts'
import { Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { createDhcp6 } from '../../../../plugins/dhcp/v6/service6.ts'
import { serviceConformance } from '../../../kit/conformance/service.ts'
import { segment6Entry } from './build6.ts'

function make (device: string): { service: Service } {
  const six = createDhcp6({
    memory: new Memory6(), wishes: { ask: () => {} }, problems: () => [], traffic: { received: () => {}, sent: () => {}, dropped: () => {}, bound: () => {} },
    clock: systemClock, log: createLogger('silent'), report: () => {}, httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120
  })
  six.apply([{ kind: 'segment6', id: '5', value: segment6Entry({ interface: device }) }], [], true)
  return { service: six.service }
}

serviceConformance('dhcp6', { make: () => make('lo') })
serviceConformance('dhcp6 without its interface', { make: () => make('none0'), starts: false })
