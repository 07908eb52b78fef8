/** power keeps the contract of a plugin, its services that of a service. */
import { systemClock } from '../../../core/clock.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import { createBmcs } from '../../../plugins/power/rack/bmcs.ts'
import { createHello } from '../../../plugins/power/rack/hello.ts'
import { createPoll } from '../../../plugins/power/rack/poll.ts'
import { createQueue } from '../../../plugins/power/rack/queue.ts'
import { createReach } from '../../../plugins/power/rack/reach.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { createParts, quiet, testTerm, type Parts } from '../machines/parts.ts'

pluginConformance(power, { besides: [network] })

for (const name of ['actions', 'pollers', 'scans']) {
  let parts: Parts | undefined
  serviceConformance(`power/${name}`, {
    async make () {
      parts = await createParts({ clock: systemClock })
      const service = parts.running.power.services.find(one => one.name === name)
      if (service === undefined) throw new TypeError(`no service ${name}`)
      await parts.db.query('select 1')
      return { service, term: testTerm(parts.db) }
    },
    clean: async () => { await parts?.db.drop() }
  })
}

for (const name of ['reach', 'poll']) {
  const kept = createKept()
  serviceConformance(`power/${name}`, {
    make () {
      const common = { clock: systemClock, log: quiet, rack: 'r1', seconds: 5, report: () => ({ stored: async () => true }) }
      const reach = createReach({ ...common, hello: createHello(kept) })
      const poll = createPoll({ ...common, kept, queue: createQueue(), reaching: reach, region: { credentials: async () => ({ machines: [] }) } })
      createBmcs([reach, poll])({ put: [{ kind: 'bmc', id: 'm1', value: { driver: 'redfish', endpoint: { by: 'tcp', host: '127.0.0.1', port: 9 }, poll: true, version: '1', turn: '0' } }], remove: [] }, true)
      return { service: name === 'reach' ? reach.service : poll.service }
    },
    clean: () => kept.close()
  })
}
