/** What every service promises (core/plugin.ts, Service): run by the tests of each one. */
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import type { Health } from '../../../core/health.ts'
import type { Term } from '../../../core/leader/term.ts'
import type { Service } from '../../../core/plugin.ts'
import { nothingLeft, resources } from '../leaks.ts'

export interface ServiceCase {
  readonly service: Service
  readonly term?: Term // for a leader service
}

export interface ServiceConformance {
  /** A fresh service, not started. */
  readonly make: () => ServiceCase | Promise<ServiceCase>
  /** One whose start fails, if it can be made to: it must leave nothing behind, and start may be tried again. */
  readonly failing?: () => ServiceCase | Promise<ServiceCase>
  /** False where the environment cannot run it (no privilege): then only clean failure is asked for. Default true. */
  readonly starts?: boolean
  /** After each test, what `make` opened. */
  readonly clean?: () => Promise<void>
  readonly callers?: number // default 10
  readonly turns?: number // default 50
}

const never = new AbortController().signal
const start = ({ service, term }: ServiceCase, signal: AbortSignal = never): Promise<void> => term === undefined ? service.start(signal) : service.start(signal, term)

/** Health is told at once and, but for running, with a reason. */
export function expectHealth (health: Health): void {
  expect(health).not.toBeInstanceOf(Promise)
  expect(['running', 'degraded', 'dead', 'off', 'unknown']).toContain(health.state)
  if (health.state !== 'running') expect(health.reason.trim(), `the reason of ${health.state}`).not.toBe('')
}

/** A rejected start is an error made on purpose, not a slip. */
export const onPurpose = (promise: Promise<void>): Promise<void> => promise.catch((error: unknown) => { expect(error).toBeInstanceOf(BedplateError) })

/** Registers the suite. */
export function serviceConformance (name: string, { make, failing, starts = true, clean = async () => {}, callers = 10, turns = 50 }: ServiceConformance): void {
  const tidy = async (body: () => Promise<void>): Promise<void> => { try { await body() } finally { await clean() } }

  describe(`${name} keeps the contract of a service`, () => {
    test('tells its health at once and with a reason, before, during and after', () => tidy(async () => {
      const one = await make()
      expectHealth(one.service.health())
      expect(one.service.health().state).not.toBe('running')
      await onPurpose(start(one))
      expectHealth(one.service.health())
      if (starts) expect(['running', 'degraded']).toContain(one.service.health().state)
      await one.service.stop()
      expectHealth(one.service.health())
      expect(one.service.health().state).not.toBe('running')
    }))

    test('starts twice and stops twice like once, and leaves nothing', () => tidy(async () => {
      const one = await make()
      const before = resources()
      for (let round = 0; round < 3; round++) {
        await onPurpose(Promise.all([start(one), start(one)]).then(() => {}))
        await onPurpose(start(one))
        await Promise.all([one.service.stop(), one.service.stop()])
        await one.service.stop()
      }
      await nothingLeft(before)
    }))

    test('stops before it was ever started', () => tidy(async () => {
      const one = await make()
      await one.service.stop()
      expectHealth(one.service.health())
    }))

    test('stops while it starts, and leaves nothing', () => tidy(async () => {
      const one = await make()
      const before = resources()
      const starting = onPurpose(start(one))
      await one.service.stop()
      await starting
      await one.service.stop()
      expect(one.service.health().state).not.toBe('running')
      await nothingLeft(before)
    }))

    test('gives up a start that is aborted, and leaves nothing', () => tidy(async () => {
      const one = await make()
      const before = resources()
      const aborted = new AbortController()
      const starting = start(one, aborted.signal).catch(() => {})
      aborted.abort()
      await starting
      await one.service.stop()
      await nothingLeft(before)
    }))

    test(`${callers} callers start and stop it ${turns} times each, and it still works`, () => tidy(async () => {
      const one = await make()
      const before = resources()
      const caller = async (which: number): Promise<void> => {
        for (let turn = 0; turn < turns; turn++) await ((turn + which) % 2 === 0 ? onPurpose(start(one)) : one.service.stop())
      }
      await Promise.all(Array.from({ length: callers }, (_, which) => caller(which)))
      await one.service.stop()
      expect(one.service.health().state).not.toBe('running')
      await nothingLeft(before)
      await onPurpose(start(one))
      if (starts) expect(['running', 'degraded']).toContain(one.service.health().state)
      await one.service.stop()
      await nothingLeft(before)
    }), 60_000)

    if (failing !== undefined) {
      test('undoes a start that fails, says why, and may be started again', () => tidy(async () => {
        const one = await failing()
        const before = resources()
        for (let round = 0; round < 3; round++) {
          await expect(start(one)).rejects.toBeInstanceOf(BedplateError)
          expectHealth(one.service.health())
          expect(one.service.health().state).not.toBe('running')
        }
        await one.service.stop()
        await nothingLeft(before)
      }))
    }
  })
}
