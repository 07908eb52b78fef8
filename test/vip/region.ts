/** A process with the floating address and nothing else: the real elector and service on a real database, and an HTTP answer with its name. Told what to do over IPC. */
import { createServer } from 'node:http'
import { systemClock } from '../../core/clock.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { createElector } from '../../core/leader/elector.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import { readFloating } from '../../core/vip/address.ts'
import { createFloatingAddress } from '../../core/vip/service.ts'

interface Given { readonly name: string, readonly host: string, readonly port: number, readonly database: string, readonly user: string, readonly addresses: readonly string[], readonly interface?: string }
const given = JSON.parse(process.argv[2] ?? '') as Given
const log = createLogger('info').child({ region: given.name })
const db = await openDatabase({ hosts: [{ host: given.host, port: given.port }], database: given.database, user: given.user, log, size: 3 })
let ready = true
const service = createFloatingAddress({
  addresses: readFloating(given, ['region']), interface: given.interface, holder: given.name, db, clock: systemClock, log,
  metrics: createMetrics(), ready: () => ready, createElector
})
createServer((_request, response) => { response.setHeader('connection', 'close').end(given.name) }).listen(80, '::')
process.on('message', async (told: { readonly what: 'stop' | 'ready' | 'unready' | 'health' }) => {
  if (told.what === 'ready' || told.what === 'unready') ready = told.what === 'ready'
  if (told.what === 'health') process.send?.({ health: service.health(), held: service.held() })
  if (told.what !== 'stop') return
  await service.stop()
  await db.close()
  process.exit(0)
})
await service.start(new AbortController().signal)
process.send?.({ started: true })
