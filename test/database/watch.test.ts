/** The watch over the embedded server: sees a death, starts it again, and keeps the contract of a service. */
import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createServerWatch } from '../../core/database/watch.ts'
import { BedplateError } from '../../core/errors.ts'
import { createSupervisor } from '../../core/supervise.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'

/** A server that may be killed, and refuse to come back. */
function toyServer () {
  const server = {
    data: '/data', living: true, starts: 0, refuses: false,
    alive: async () => server.living,
    start: async () => {
      server.starts++
      if (server.refuses) throw new BedplateError('EMBEDDED_DATABASE', { reason: 'the disk is full' })
      server.living = true
    }
  }
  return server
}
const watched = (server: ReturnType<typeof toyServer>) => createServerWatch({ server, start: server.start, clock: systemClock, every: 5 })

serviceConformance('the watch over the embedded database', {
  make: () => ({ service: watched(toyServer()) }),
  failing: () => ({ service: watched(Object.assign(toyServer(), { living: false, refuses: true })) }),
  turns: 10
})

test('leaves a server that runs alone, and starts one again that has died, as often as it takes', async () => {
  const server = toyServer()
  const supervisor = createSupervisor({ log: quiet, clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal) } })
  const service = watched(server)
  await supervisor.start({ plugin: 'core' }, [service])
  expect([supervisor.list()[0]?.state, server.starts]).toEqual(['running', 0])
  server.refuses = true
  server.living = false
  await until(() => supervisor.list()[0]?.state === 'dead', { what: 'the death to be seen' })
  await until(() => server.starts >= 2, { what: 'several attempts' })
  expect(supervisor.list()[0]?.reason).toContain('the disk is full')
  server.refuses = false
  await until(() => supervisor.list()[0]?.state === 'running', { what: 'the server to be back' })
  await supervisor.stop([service])
  const { starts } = server
  server.living = false
  expect([service.health().state, server.starts]).toEqual(['off', starts])
})

test('says in its reason where to look', async () => {
  const server = toyServer()
  const service = watched(server)
  await service.start(new AbortController().signal)
  server.living = false
  await until(() => service.health().state === 'dead')
  expect(JSON.stringify(service.health())).toMatch(/has died and is started again.*\/data\/log.*dmesg/)
  await service.stop()
})
