/** machines keeps the contract of a plugin, its service that of a service. */
import { systemClock } from '../../../core/clock.ts'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { createParts, testTerm, type Parts } from './parts.ts'

pluginConformance(machines, { besides: [network, power] })

let parts: Parts | undefined
serviceConformance('machines/deadlines', {
  async make () {
    parts = await createParts({ clock: systemClock })
    const [service] = parts.running.machines.services
    if (service === undefined) throw new TypeError('no service')
    await parts.db.query('select 1')
    return { service, term: testTerm(parts.db) }
  },
  clean: async () => { await parts?.db.drop() }
})
