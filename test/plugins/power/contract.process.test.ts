/** power keeps the contract of a plugin, its services that of a service. */
import { systemClock } from '../../../core/clock.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'
import { createParts, testTerm, type Parts } from '../machines/parts.ts'

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
