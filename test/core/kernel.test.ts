/** The kernel's phases: order, undo, deadlines, and what may fail without stopping the daemon. */
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { dead, off, running } from '../../core/health.ts'
import { startKernel } from '../../core/kernel.ts'
import type { Service } from '../../core/plugin.ts'
import { fakeParts } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { kernelOptions, toy, toyToken } from './toys.ts'

const rejection = async (promise: Promise<unknown>): Promise<BedplateError> => {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BedplateError)
  return error as BedplateError
}

describe('kernel', () => {
  test('two plugins with both roles start in order and stop in reverse', async () => {
    const trace: string[] = []
    const noun = toyToken('first.noun')
    const kernel = await startKernel(await kernelOptions([toy('second', trace, { requires: { noun } }), toy('first', trace, { provides: { noun } })], trace))
    expect(kernel.status().ready).toBe(true)
    const { api, rack } = kernel.hosts.ports()
    expect(await (await fetch(`http://127.0.0.1:${api}/readyz`)).json()).toMatchObject({ status: 'ready' })
    expect((await fetch(`http://127.0.0.1:${rack}/livez`)).status).toBe(200)
    const started = trace.splice(0)
    expect(started).toEqual([
      'open database', 'migrate core', 'start feed',
      'start first (region)', 'start second (region)', 'start first (rack)', 'start second (rack)', 'restore',
      'start first-region', 'start second-region', 'start first-rack', 'start second-rack',
      'start region-link', 'start rack-link', 'start leader'
    ])
    await kernel.stop()
    expect(trace).toEqual([
      'stop leader', 'stop rack-link', 'stop region-link',
      'stop second-rack', 'stop first-rack', 'stop second-region', 'stop first-region',
      'stop second (rack)', 'stop first (rack)', 'stop second (region)', 'stop first (region)',
      'unsubscribe', 'stop feed', 'close database', 'stop server'
    ])
    await expect(fetch(`http://127.0.0.1:${api}/readyz`)).rejects.toThrow()
  })

  test('a rack alone loads no region half and opens no database', async () => {
    const trace: string[] = []
    const kernel = await startKernel(await kernelOptions([toy('only', trace)], trace, { roles: ['rack'] }))
    await kernel.stop()
    expect(trace.filter(line => /database|region/.test(line))).toEqual([])
    expect(kernel.db).toBeUndefined()
  })
})
