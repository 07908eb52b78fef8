/** A process that runs the service and is there to be killed: tells the pid of its child. */
import { systemClock } from '../../../../core/clock.ts'
import { createIscsiService } from '../../../../plugins/boot/iscsi/service.ts'
import { quiet } from '../../../kit/parts.ts'

const service = createIscsiService({ port: 0, hosts: ['127.0.0.1'], files: { path: async () => '/dev/null', has: () => true }, log: quiet, clock: systemClock, served: () => {} })
await service.start(new AbortController().signal)
process.send?.({ pid: service.pid() })
