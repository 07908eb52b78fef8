/** What the run against a Redfish service says of one that does as it should, and of one that does not. */
import { expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { BedplateError } from '../../../core/errors.ts'
import { startBmc, type BmcOptions } from '../../../sim/bmc/bmc.ts'
import { quickPace } from '../../kit/conformance/power-driver.ts'
import { NotTried } from './checks.ts'
import { line, row, run, verdictOf, type Outcome } from './suite.ts'

const account = { user: 'root', password: 'hunter2' } as const
async function against (given: BmcOptions, switching = true): Promise<{ readonly outcomes: readonly Outcome[], readonly log: readonly string[], readonly of: (verdict: string) => string[], readonly open: number }> {
  const bmc = await startBmc({ account, redfish: {}, ...given })
  try {
    const outcomes = await run({ address: bmc.redfish?.address(0) ?? '', image: 'http://images.example/a.iso', switching }, { signal: new AbortController().signal, clock: systemClock, pace: quickPace })
    return { outcomes, log: bmc.log, of: verdict => outcomes.filter(one => one.verdict === verdict).map(one => one.check), open: bmc.redfish?.sessions.size ?? -1 }
  } finally { await bmc.close() }
}

test.each(['generic', 'dell', 'ilo5', 'ilo6', 'supermicro', 'lenovo', 'openbmc'])('a BMC as %s makes it passes everything, and is left without a session', async profile => {
  const { outcomes, of, open } = await against({ profile })
  expect(outcomes.filter(({ verdict }) => verdict !== 'passed')).toEqual([])
  expect([of('passed').length, open]).toEqual([outcomes.length, 0])
})

test('a BMC that lies fails what it lies about, and nothing else', async () => {
  const { of } = await against({ faults: { lies: true } })
  expect(of('failed')).toEqual(['on, from the network once', 'on when it is on', 'off, and on from disk once', 'four who switch on at once'])
})

test('without switching nothing but reading is asked for', async () => {
  const { of, log } = await against({}, false)
  expect(of('failed')).toEqual([])
  expect(log.filter(asked => !/^GET |Sessions/.test(asked))).toEqual([])
})

test('what a service does not have is no failure, and says why; the password is in nothing', async () => {
  const { of, outcomes } = await against({ profile: { without: ['LogServices', 'VirtualMedia', 'Thermal', 'Power', 'Sensors', 'ThermalSubsystem'] } })
  expect(of('not offered')).toEqual(['sensors', 'log', 'virtual drive', 'an image put in and taken out'])
  expect(of('failed')).toEqual([])
  expect(outcomes.map(one => line(one) + row(one)).join('\n')).not.toContain('hunter2')
})

test('a service that is not there fails, check by check', async () => {
  const outcomes = await run({ address: 'redfish+http://root:hunter2@127.0.0.1:9', switching: false, only: 'power state' }, { signal: new AbortController().signal, clock: systemClock, pace: quickPace })
  expect(outcomes).toEqual([expect.objectContaining({ verdict: 'failed', said: expect.stringContaining('cannot be reached') })])
})

test('only what the service does not do is not offered', () => {
  expect([new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: 'x' }), new BedplateError('POWER_REFUSED', { reason: 'x' }), new NotTried('x'), new TypeError('x')].map(verdictOf)).toEqual(['not offered', 'failed', 'not tried', 'failed'])
})
