/** A TFTP server in a process of its own, to be started inside a namespace: serves a folder at port 69 of every address there, and tells its parent of each transfer. */
import { systemClock } from '../../../../core/clock.ts'
import { createLoaders } from '../../../../plugins/boot/firmware/loaders.ts'
import { createTftpServer } from '../../../../plugins/boot/tftp/server.ts'
import { quiet } from '../../../kit/parts.ts'

const loaders = createLoaders([process.argv[2] ?? ''])
await loaders.scan()
const server = createTftpServer({ port: 69, log: quiet, clock: systemClock, open: name => loaders.open(name), served: what => { process.send?.(what) } })
await server.start(new AbortController().signal)
process.send?.({ listening: server.listening().map(({ address }) => address) })
