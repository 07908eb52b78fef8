/** What every power driver must do. A driver's test calls this with its driver and a BMC it can be tried on. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { BedplateError } from '../../../core/errors.ts'
import { isFatal, secretFields, type Driver, type Options, type Pace } from '../../../plugins/power/driver.ts'
import { createKept, type Kept } from '../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../plugins/power/manifest.ts'
import { checked } from '../../../plugins/power/parameters.ts'

type Later<T> = T | Promise<T> // real programs are asked and told, which takes its time

/** One BMC to try the driver on. What a driver cannot do (`manual` switches nothing) it leaves out. */
export interface Subject {
  readonly parameters: Readonly<Record<string, unknown>>
  /** For BMCs that need longer than `quickPace`. */
  readonly pace?: Partial<Pace>
  /** The machine behind the BMC, for drivers that switch one. */
  readonly machine?: {
    state(): Later<'on' | 'off'>
    set(state: 'on' | 'off'): Later<void>
    switches(): Later<number> // since the start
    bootedFrom(): Later<'network' | 'disk' | null> // at its last start
  }
  /** What the BMC is known to tell of the machine, for drivers that ask for it. */
  readonly hardware?: {
    readonly identity?: Readonly<Record<string, unknown>> // a part of it is enough
    readonly sensor?: Readonly<Record<string, unknown>> // one there is
    readonly logged?: string // words of a record there is
    readonly firmware?: Readonly<Record<string, unknown>> // one item there is
    readonly image?: string // a URL the virtual drive takes
    readonly members?: number // how many machines are behind it
  }
  readonly faults?: {
    /** The same with credentials the BMC does not know. */
    readonly wrongCredentials?: Readonly<Record<string, unknown>>
    /** A BMC nobody answers for. */
    readonly unreachable: Readonly<Record<string, unknown>>
    busy(times: number): Later<void>
    lie(): Later<void>
    slow(ms: number): Later<void>
    loseAnswer(): Later<void> // carries the next switching out, but its answer is lost
  }
  close(): Promise<void>
}

const reached: Readonly<Record<PowerActionName, 'on' | 'off'>> = { on: 'on', off: 'off', cycle: 'on', shutdown: 'off' }
export const quickPace = { request: 1_000, poll: 5, settle: 1_000, shutdown: 1_000 } // short, for what never comes is waited for; long enough for a machine that has other work

let kept: Kept = createKept()
let slower: Partial<Pace> = {}
const options = (signal = new AbortController().signal): Options => ({ signal, clock: systemClock, pace: { ...quickPace, ...slower }, kept })
const thrown = async (work: Promise<unknown>): Promise<BedplateError> => {
  const error = await work.then(() => undefined, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(BedplateError)
  return error as BedplateError
}

declare module 'vitest' {
  interface TaskMeta {
    /** A conformance test that had nothing to hold this driver to: the table has no mark for it. */
    inapplicable?: boolean
  }
}

export function powerDriverConformance (driver: Driver, start: () => Promise<Subject>): void {
  describe(`power driver ${driver.name}`, () => {
    let subject: Subject
    beforeEach(async () => { kept = createKept(); subject = await start(); slower = subject.pace ?? {} })
    afterEach(async () => { await kept.close(); await subject.close() })
    const power = (action: PowerActionName, boot: 'network' | 'disk' | null = null, parameters = subject.parameters, given = options()) => driver.power(checked(driver, parameters), action, { ...given, boot })
    const noSecretIn = (error: BedplateError): void => {
      for (const field of secretFields(driver.parameters)) expect(`${error.message} ${JSON.stringify(error.details)}`).not.toContain(String(subject.parameters[field] ?? '\0'))
    }

    test('its parameters are an object schema that refuses what it does not know and tells a person what each field is', () => {
      expect(driver.parameters).toMatchObject({ additionalProperties: false })
      for (const field of Object.values(driver.parameters.properties)) expect('title' in field && field.title).toMatch(/\S/)
      expect(() => checked(driver, { ...subject.parameters, nonsense: 1 })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' }))
      expect(checked(driver, checked(driver, subject.parameters))).toEqual(checked(driver, subject.parameters))
    })

    test('an action it does not list is refused for good', async ({ task }) => {
      task.meta.inapplicable = driver.actions.length === 4
      for (const action of (['on', 'off', 'cycle', 'shutdown'] as const).filter(one => !driver.actions.includes(one))) expect((await thrown(power(action))).code).toBe('POWER_UNSUPPORTED')
    })

    test('each action ends in its state, and repeated switches nothing', async () => {
      for (const action of driver.actions) {
        await subject.machine?.set(reached[action] === 'on' ? 'off' : 'on')
        const { state, note } = await power(action)
        if (subject.machine === undefined) { expect({ state, note }).toEqual({ state: 'unknown', note: expect.stringMatching(/\S/) }); continue }
        expect(state).toBe(reached[action])
        expect(await subject.machine.state()).toBe(reached[action])
        if (action === 'cycle') continue
        const before = await subject.machine.switches()
        await power(action)
        expect(await subject.machine.switches(), `${action} again`).toBe(before)
      }
    })

    test('the state it tells is the machine\'s', async ({ task }) => {
      task.meta.inapplicable = subject.machine === undefined
      const ask = () => driver.query(checked(driver, subject.parameters), options())
      if (!driver.queries || subject.machine === undefined) { expect(await ask()).toBe('unknown'); return }
      for (const state of ['on', 'off'] as const) { await subject.machine.set(state); expect(await ask()).toBe(state) }
    })

    test('a machine is started from the device asked for, once', async ({ task }) => {
      task.meta.inapplicable = !driver.boots || subject.machine === undefined
      if (!driver.boots || subject.machine === undefined) { expect((await power('on', 'network')).note).toMatch(/network/); return }
      for (const boot of ['network', 'disk', null] as const) {
        await subject.machine.set('off')
        await power('on', boot)
        expect(await subject.machine.bootedFrom()).toBe(boot)
      }
    })

    const tellers = [['identify', 'identity'], ['sensors', 'sensor'], ['log', 'logged'], ['inventory', 'firmware'], ['insert', 'image'], ['members', 'members']] as const
    test('what it says it can tell of the hardware, it tells; the rest it leaves out', async ({ task }) => {
      task.meta.inapplicable = tellers.every(([method]) => driver[method] === undefined)
      const { hardware = {} } = subject
      const parameters = checked(driver, subject.parameters)
      expect(tellers.filter(([method, known]) => (driver[method] === undefined) !== (hardware[known] === undefined)), 'a method the test knows nothing of, or the other way round').toEqual([])
      if (driver.identify) {
        const identity = await driver.identify(parameters, options())
        expect(identity).toMatchObject(hardware.identity ?? {})
        if (identity.uuid !== null) expect(identity.uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      }
      if (driver.sensors) expect(await driver.sensors(parameters, options())).toContainEqual(expect.objectContaining(hardware.sensor ?? {}))
      if (driver.log) expect((await driver.log(parameters, options())).map(({ message }) => message)).toContainEqual(expect.stringContaining(hardware.logged ?? '\0'))
      if (driver.inventory) expect(await driver.inventory(parameters, options())).toContainEqual(expect.objectContaining(hardware.firmware ?? {}))
      if (driver.members) expect(await driver.members(parameters, options())).toHaveLength(hardware.members ?? -1)
      if (driver.insert && driver.media) {
        const image = hardware.image ?? ''
        expect(await driver.insert(parameters, image, options())).toEqual({ image })
        expect(await driver.insert(parameters, image, options()), 'again').toEqual({ image })
        expect(await driver.media(parameters, options())).toEqual({ image })
        expect(await driver.insert(parameters, null, options())).toEqual({ image: null })
        expect(await driver.insert(parameters, null, options()), 'again').toEqual({ image: null })
      }
      expect(driver.insert === undefined).toBe(driver.media === undefined)
    })

    test('where its BMC is can be told without asking it', ({ task }) => {
      task.meta.inapplicable = driver.endpoint === undefined
      const endpoint = driver.endpoint?.(checked(driver, subject.parameters))
      if (endpoint !== undefined) expect(endpoint).toEqual({ by: expect.stringMatching(/^(tcp|ipmi|broadcast)$/), host: expect.stringMatching(/\S/), port: expect.any(Number) })
      else expect(driver.queries && driver.experimental === undefined && driver.name !== 'qemu', 'a driver whose BMC has an address tells it').toBe(false)
    })

    test('it is re-entrant', async () => {
      await Promise.all(Array.from({ length: 4 }, () => power('on')))
      if (subject.machine !== undefined) expect(await subject.machine.state()).toBe('on')
    })

    test('wrong credentials are fatal, and no secret is told', async ({ task }) => {
      task.meta.inapplicable = subject.faults?.wrongCredentials === undefined
      const wrong = subject.faults?.wrongCredentials
      if (wrong === undefined) { expect(driver.queries ? secretFields(driver.parameters) : [], 'what never answers cannot refuse').toEqual([]); return }
      const error = await thrown(power('on', null, wrong))
      expect(error.code).toBe('POWER_AUTHENTICATION')
      expect(isFatal(error)).toBe(true)
      noSecretIn(error)
      if (subject.machine !== undefined) expect(await subject.machine.switches()).toBe(0)
    })

    test('a BMC that is busy or not there is worth another try', async ({ task }) => {
      task.meta.inapplicable = subject.faults === undefined
      const { faults } = subject
      if (faults === undefined) { expect(driver.queries).toBe(false); return }
      await faults.busy(1)
      const error = await thrown(power('on'))
      expect(error.code).toBe('POWER_FAILED')
      expect(isFatal(error)).toBe(false)
      noSecretIn(error)
      expect((await power('on')).state).toBe('on')
      expect(isFatal(await thrown(power('on', null, faults.unreachable)))).toBe(false)
    })

    test('a BMC that says yes and does nothing is found out', async ({ task }) => {
      task.meta.inapplicable = subject.faults === undefined
      if (subject.faults === undefined) { expect(driver.queries).toBe(false); return }
      await subject.faults.lie()
      const error = await thrown(power('on'))
      expect(error).toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('still off') })
    })

    test('an answer that gets lost costs a repetition, not a second switching', async ({ task }) => {
      task.meta.inapplicable = subject.faults === undefined || subject.machine === undefined
      if (subject.faults === undefined || subject.machine === undefined) { expect(driver.queries).toBe(false); return }
      await subject.faults.loseAnswer()
      await power('on').catch((error: unknown) => { expect(isFatal(error)).toBe(false) })
      expect((await power('on')).state).toBe('on')
      expect(await subject.machine.switches()).toBe(1)
    })

    test('it gives up soon when told to, or when the BMC does not answer in time', async ({ task }) => {
      task.meta.inapplicable = subject.faults === undefined
      if (subject.faults === undefined) { expect(driver.queries).toBe(false); return }
      await subject.faults.slow(3_600_000) // longer than any test may take: that it ends at all is what is asked
      const controller = new AbortController()
      const pending = thrown(power('on', null, subject.parameters, options(controller.signal)))
      setTimeout(() => { controller.abort() }, 50)
      expect(isFatal(await pending)).toBe(false)
      expect(isFatal(await thrown(power('on')))).toBe(false) // by its own limit
    })
  })
}
