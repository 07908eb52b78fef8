/** A process with the boot addresses of a rack and nothing else, and an HTTP answer with its name. Told what to do over IPC. */
import { createServer } from 'node:http'
import { systemClock } from '../../../../core/clock.ts'
import { createLogger } from '../../../../core/log.ts'
import { createMetrics } from '../../../../core/metrics.ts'
import { createFloating } from '../../../../plugins/boot/floating/service.ts'
import type { FloatingEntry } from '../../../../plugins/boot/manifest.ts'

export type Told = { readonly what: 'stop' | 'start' | 'health' } | { readonly what: 'want', readonly entries: readonly (readonly [vlan: string, entry: FloatingEntry])[] }
const [name = '', level = 'silent'] = process.argv.slice(2)
const floating = createFloating({ clock: systemClock, log: createLogger(level as 'silent').child({ rack: name }), metrics: createMetrics() })
createServer((_request, response) => { response.setHeader('connection', 'close').end(name) }).listen(80, '::')
process.on('message', async (told: Told) => {
  if (told.what === 'want') floating.want(new Map(told.entries))
  else if (told.what === 'start') await floating.service.start(new AbortController().signal)
  else if (told.what === 'stop') await floating.service.stop()
  process.send?.({ of: told.what, health: floating.service.health(), held: floating.held() })
})
process.send?.({ of: 'ready' })
