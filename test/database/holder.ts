/** A process that holds an embedded server until it is killed: stands for a daemon in the tests of crashes and accounts. Arguments: data directory, folder for what cannot be there. */
import { startEmbedded } from '../../core/database/embedded.ts'
import { createLogger } from '../../core/log.ts'

const [dataDirectory = '', system = '', once = ''] = process.argv.slice(2)
const { connection, data, adopted, stop } = await startEmbedded({ dataDirectory, system, log: createLogger('silent'), settings: { fsync: 'off' } })
process.stdout.write(`${JSON.stringify({ connection, data, adopted })}\n`)
if (once === 'once') await stop()
else setInterval(() => {}, 60_000)
