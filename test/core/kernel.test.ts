/** The kernel's phases: order, undo, deadlines, and what may fail without stopping the daemon. */
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { dead, degraded, off, running } from '../../core/health.ts'
import type { Health } from '../../core/health.ts'
import { startKernel } from '../../core/kernel.ts'
import { Self, definePlugin, defineRack } from '../../core/plugin.ts'
import type { Service, ServiceStatus, Status } from '../../core/plugin.ts'
import { fakeParts } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { emptyManifest, kernelOptions, toy, toyToken } from './toys.ts'

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

  const phases: [phase: string, make: (trace: string[]) => ReturnType<typeof kernelOptions>, code: string, undone: readonly string[]][] = [
    ['load', async trace => kernelOptions([{ ...toy('broken', trace), region: () => Promise.reject(new SyntaxError('half a half')) }], trace), 'START_FAILED', []],
    ['check', async trace => kernelOptions([toy('lonely', trace, { requires: { noun: toyToken('missing.noun') } })], trace), 'GRAPH_INVALID', []],
    ['identify', async trace => kernelOptions([toy('one', trace)], trace, { dataDirectory: '/dev/null/nowhere' }), 'START_FAILED', []],
    ['connect', async trace => ({ ...await kernelOptions([toy('one', trace)], trace), parts: fakeParts(trace, { openDatabase: () => Promise.reject(new BedplateError('DATABASE_UNREACHABLE', { hosts: 'db1', reason: 'no route' })) }) }), 'DATABASE_UNREACHABLE', []],
    ['migrate', async trace => {
      const real = fakeParts(trace)
      const openDatabase: typeof real.openDatabase = async (...given) => { const opened = await real.openDatabase(...given); return { ...opened, db: { ...opened.db, migrate: () => Promise.reject(new BedplateError('MIGRATION_FAILED', { migration: 'core 0001', reason: 'syntax' })) } } }
      return { ...await kernelOptions([toy('one', trace)], trace), parts: { ...real, openDatabase } }
    }, 'MIGRATION_FAILED', ['close database', 'stop server']],
    ['setup', async trace => kernelOptions([toy('one', trace, { setup: () => { throw new RangeError('bad wiring') } })], trace), 'START_FAILED', ['close database', 'stop server']],
    ['setup check', async trace => kernelOptions([toy('one', trace, { region: { rpc: { surprise: async () => ({}) } } })], trace), 'GRAPH_INVALID', ['close database', 'stop server']],
    ['routes', async trace => kernelOptions([toy('one', trace, { region: { routes: async () => { throw new RangeError('bad route') } } })], trace), 'START_FAILED', ['close database', 'stop server']],
    ['start', async trace => kernelOptions([toy('one', trace), toy('two', trace, { region: { start: () => Promise.reject(new RangeError('cannot')) } })], trace), 'START_FAILED',
      ['stop two (region)', 'stop one (region)', 'unsubscribe', 'stop feed', 'close database', 'stop server']],
    ['restore', async trace => ({ ...await kernelOptions([toy('one', trace)], trace), parts: { ...fakeParts(trace), createRackEnd: () => ({ ...fakeParts(trace).createRackEnd({} as never), restore: () => Promise.reject(new RangeError('disk')) }) } }), 'START_FAILED',
      ['stop one (rack)', 'stop one (region)', 'unsubscribe', 'stop feed', 'close database', 'stop server']]
  ]
  test.each(phases)('a failure in %s undoes what was done, in reverse', async (_phase, make, code, undone) => {
    const trace: string[] = []
    const error = await rejection(startKernel(await make(trace)))
    expect(error.code).toBe(code)
    expect(trace.filter(line => /^(stop|close|unsubscribe)/.test(line))).toEqual(undone)
  })

  test('an undo that fails too is told with the first error, and does not keep the rest from being undone', async () => {
    const trace: string[] = []
    const error = await rejection(startKernel(await kernelOptions([
      toy('one', trace, { region: { stop: () => Promise.reject(new RangeError('will not stop')) } }),
      toy('two', trace, { region: { start: () => Promise.reject(new RangeError('will not start')) } })
    ], trace)))
    expect(error.message).toMatch(/will not start.*one \(region\) did not stop cleanly: will not stop/)
    expect((error.cause as AggregateError).errors).toHaveLength(2)
    expect(trace).toContain('stop server')
  })

  test('a start that hangs is named and undone', async () => {
    const trace: string[] = []
    const options = await kernelOptions([toy('quick', trace), toy('sleepy', trace, { rack: { start: () => new Promise(() => {}) } })], trace)
    const error = await rejection(startKernel({ ...options, startTimeout: 100 }))
    expect(error).toMatchObject({ code: 'START_TIMEOUT', details: { what: 'sleepy (rack) start' } })
    expect(trace.slice(-1)).toEqual(['stop server'])
  })

  test('a service that cannot start leaves the daemon up, ready, and telling why', async () => {
    let attempts = 0
    const unable: Service = { name: 'low-port', start: async () => { attempts++; throw new BedplateError('PRIVILEGE_MISSING', { what: 'port 67', remedy: 'run setcap' }) }, stop: async () => {}, health: () => off('Not started.') }
    const kernel = await startKernel(await kernelOptions([toy('one', [], { services: [unable], roles: ['rack'] })]))
    try {
      expect(attempts).toBe(1)
      const { ready, degraded } = kernel.status()
      expect(ready).toBe(true)
      expect(degraded).toEqual([{ part: 'one/low-port', state: 'dead', reason: expect.stringContaining('run setcap') }])
      const answer = await fetch(`http://127.0.0.1:${kernel.hosts.ports().rack}/readyz`)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({ degraded: [{ part: 'one/low-port' }] })
    } finally { await kernel.stop() }
  })

  test('a dead part of the core makes it not ready, by name', async () => {
    const failing: Service = { name: 'rack-link', start: async () => {}, stop: async () => {}, health: () => dead('the disk is full') }
    const options = await kernelOptions([])
    const kernel = await startKernel({ ...options, parts: { ...fakeParts(), createRackEnd: () => ({ ...fakeParts().createRackEnd({} as never), services: [failing] }) } })
    try {
      const answer = await fetch(`http://127.0.0.1:${kernel.hosts.ports().api}/readyz`)
      expect(answer.status).toBe(503)
      expect(await answer.json()).toMatchObject({ status: 'not ready', notReady: [{ part: 'core/rack-link', state: 'dead', reason: 'the disk is full' }] })
    } finally { await kernel.stop() }
  })

  test('callers of stop share one promise, and it tells every error', async () => {
    const kernel = await startKernel(await kernelOptions([toy('one', [], { roles: ['rack'], rack: { stop: () => Promise.reject(new RangeError('no')) } }), toy('two', [], { roles: ['rack'], rack: { stop: () => Promise.reject(new RangeError('never')) } })]))
    const first = kernel.stop()
    expect(kernel.stop()).toBe(first)
    expect(kernel.status().phase).toBe('stopping')
    const error = await rejection(first)
    expect((error.cause as AggregateError).errors.map((each: Error) => each.message)).toEqual([expect.stringContaining('never'), expect.stringContaining('no')])
  })

  test('a part that does not stop is given up after its deadline, and the rest stops', async () => {
    const trace: string[] = []
    const options = await kernelOptions([toy('stuck', trace, { roles: ['rack'], rack: { stop: () => new Promise(() => {}) } })], trace)
    const kernel = await startKernel({ ...options, stopTimeout: 100 })
    expect((await rejection(kernel.stop())).message).toContain('stuck (rack) did not stop within 0.1 s')
    expect(trace.slice(-1)).toEqual(['stop server'])
  })

  test('is stopped while it starts', async () => {
    const trace: string[] = []
    const interrupt = new AbortController()
    const { promise: begun, resolve } = Promise.withResolvers<void>()
    const options = await kernelOptions([toy('one', trace), toy('slow', trace, { region: { start: () => { resolve(); return new Promise(() => {}) } } })], trace)
    const starting = rejection(startKernel({ ...options, signal: interrupt.signal }))
    await begun
    interrupt.abort()
    expect((await starting).code).toBe('UNAVAILABLE')
    expect(trace.slice(-4)).toEqual(['unsubscribe', 'stop feed', 'close database', 'stop server'])
  })

  test('is stopped by its signal once it runs', async () => {
    const interrupt = new AbortController()
    const kernel = await startKernel({ ...await kernelOptions([]), signal: interrupt.signal })
    interrupt.abort()
    await kernel.stopped
    await expect(kernel.stop()).resolves.toBeUndefined()
  })

  test('runs leader services on gain of the term alone, reconciles, and hands on changes', async () => {
    const trace: string[] = []
    let options: Parameters<ReturnType<typeof fakeParts>['createElector']>[0] | undefined
    let tellChanges: ((changes: readonly { seq: string, topic: string, id: string }[]) => void) | undefined
    const real = fakeParts()
    const single: Service = { name: 'single', on: 'leader', start: async (_signal, term) => { trace.push(`lead ${term?.number}`) }, stop: async () => { trace.push('follow') }, health: () => running }
    const kernelParts = fakeParts([], {
      createElector: given => { options = given; return real.createElector(given) },
      openDatabase: async (...given) => { const opened = await real.openDatabase(...given); return { ...opened, db: { ...opened.db, feed: { ...opened.db.feed, subscribe: listener => { tellChanges = listener; return () => {} } } } } }
    })
    const kernel = await startKernel({ ...await kernelOptions([toy('one', [], {
      roles: ['region'],
      services: [single],
      region: { reconcile: async () => { trace.push('reconcile') }, changed: changes => { trace.push(`changed ${changes[0]?.id}`) } }
    }), toy('two', [], { roles: ['region'], region: { changed: () => { throw new RangeError('not now') } } })]), parts: kernelParts })
    try {
      await until(() => trace.includes('reconcile'))
      expect(trace).not.toContain('lead 7')
      const term = { number: 7n, valid: () => true, signal: new AbortController().signal, write: async () => { throw new RangeError('no writes') } }
      options?.onGain(term)
      await until(() => trace.includes('lead 7') && trace.filter(line => line === 'reconcile').length === 2)
      tellChanges?.([{ seq: '1', topic: 'one.row', id: 'r1' }])
      expect(trace).toContain('changed r1')
      await options?.onLoss(term)
      expect(trace.at(-1)).toBe('follow')
    } finally { await kernel.stop() }
  })

  test('announces what becomes of services until it stops, and gives a half that asks the whole list', async () => {
    let state: Health = running
    const flaky: Service = { name: 'flaky', start: async () => {}, stop: async () => { state = off('Stopped.') }, health: () => state }
    let self: { status(): Status } | undefined
    const manifest = emptyManifest('curious')
    const curious = definePlugin({ manifest, rack: async () => defineRack(manifest, { requires: { self: Self }, provides: {}, setup (ctx) { self = ctx.deps.self; return { provides: {}, rpc: {}, services: [flaky] } } }) })
    const kernel = await startKernel(await kernelOptions([curious], [], { roles: ['rack'] }))
    const heard: ServiceStatus[] = []
    kernel.hooks.service.tap('test', status => { heard.push(status) })
    expect(self?.status()).toMatchObject({ phase: 'ready', services: kernel.status().services })
    state = degraded('slow')
    await until(() => heard.length > 0)
    expect(heard).toMatchObject([{ plugin: 'curious', role: 'rack', service: 'flaky', state: 'degraded', reason: 'slow', restarts: 0 }])
    await kernel.stop()
    expect(heard.length).toBe(1)
  })
})
