/** A clean stop, also when the database answers no more: refused at once, or silent. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { plugins } from '../../core/plugins.ts'
import { server, testDatabase } from '../kit/database.ts'
import { startDaemon } from '../kit/daemon.ts'
import { until } from '../kit/wait.ts'

/** A way to the database that can break off or fall silent. */
async function way (): Promise<{ port: number, breakOff(): void, silence(): void }> {
  const sockets = new Set<Socket>()
  const listening = createServer(client => {
    const upstream = connect(join(server().host, `.s.PGSQL.${server().port}`))
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => { sockets.delete(from); to.destroy() })
      from.pipe(to)
    }
  })
  await new Promise<void>(resolve => { listening.listen(0, '127.0.0.1', resolve) })
  return {
    port: (listening.address() as AddressInfo).port,
    breakOff () { listening.close(); for (const socket of sockets) socket.destroy() },
    silence () { for (const socket of sockets) { socket.unpipe(); socket.resume() } listening.removeAllListeners('connection').on('connection', socket => { sockets.add(socket.on('error', () => {})) }) }
  }
}

test.each(['breakOff', 'silence'] as const)('a stop after the database did %s ends in time and without a complaint', async how => {
  const database = await testDatabase({ migrations: plugins.map(({ manifest }) => manifest) })
  const path = await way()
  try {
    const daemon = await startDaemon({ plugins, database, config: { database: { hosts: [`127.0.0.1:${path.port}`], name: database.options.database, user: database.options.user } } })
    path[how]()
    // Everything that looks at the database now and then has found out, and waits for an answer.
    await until(() => daemon.kernel.status().services.filter(({ plugin, state }) => plugin === 'core' && state === 'degraded').length >= 2, { timeout: 60_000, what: 'the loss to be noticed' })
    const began = performance.now()
    await daemon.kernel.stop()
    expect(performance.now() - began).toBeLessThan(30_000)
    await daemon.stop()
  } finally {
    path.breakOff()
    await database.drop()
  }
}, 120_000)
