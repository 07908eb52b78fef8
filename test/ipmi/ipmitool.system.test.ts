/** What our console says, beside what ipmitool says for the same: both to OpenIPMI's ipmi_sim, through a relay that reads along. Suite 2 signs and does not encrypt. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { pace } from '../../plugins/power/driver.ts'
import { ipmi } from '../../plugins/power/drivers/ipmi.ts'
import { createKept, type Kept } from '../../plugins/power/kept.ts'
import { checked } from '../../plugins/power/parameters.ts'
import { until } from '../kit/wait.ts'
import { commandsOf } from './console.ts'
import { account, startOpenIpmi, type OpenIpmi } from './openipmi.ts'
import { startRelay, type Relay } from './relay.ts'

const run = promisify(execFile)
/** Close Session has the number the BMC gave the session. */
const isGoodbye = (line: string): boolean => /^06\/3c [0-9a-f]{8}$/.test(line)
let bmc: OpenIpmi
let relay: Relay
let kept: Kept
beforeAll(async () => { bmc = await startOpenIpmi() })
afterAll(async () => { await bmc.close() })
beforeEach(async () => { kept = createKept(); relay = await startRelay(bmc.port); bmc.machine.set('off') })
afterEach(async () => { await kept.close(); await relay.close() })

async function ipmitool (...args: readonly string[]) {
  relay.passed.length = 0
  await run('ipmitool', ['-I', 'lanplus', '-C', '2', '-L', 'OPERATOR', '-H', '127.0.0.1', '-p', String(relay.port), '-U', account.user, '-P', account.password, ...args])
  return commandsOf(relay.passed)
}
async function ours (work: (parameters: Readonly<Record<string, unknown>>, options: Parameters<typeof ipmi.query>[1]) => Promise<unknown>) {
  relay.passed.length = 0
  await work(checked(ipmi, { address: `ipmi://127.0.0.1:${relay.port}?cipher=2`, ...account }), { signal: new AbortController().signal, clock: systemClock, pace: { ...pace, poll: 5 }, kept })
  await kept.close()
  await until(() => commandsOf(relay.passed).in.some(isGoodbye), { what: 'the session is closed' })
  return commandsOf(relay.passed)
}
/** What ipmitool says at the beginning of every session, and we do not: it asks which extensions of chassis and blades (PICMG, VITA) it talks to, and for the BMC's name. */
const prelude = ['2c/3e 0002', '06/01', '2c/00 00', '2c/00 03']
const raised = '06/3b 03'
const look = '00/01'
const core = (lines: readonly string[], without: readonly string[] = []): string[] => lines.filter(line => line !== raised && !isGoodbye(line) && !without.includes(line))

describe('beside ipmitool', () => {
  test('a session is opened with the same steps and the same fields, raised, and closed', async () => {
    const [theirs, own] = [await ipmitool('chassis', 'status'), await ours((parameters, options) => ipmi.query(parameters, options))]
    expect(own.before).toEqual(theirs.before)
    expect(own.before).toEqual(['06/38 8e03', 'open: privilege 3, algorithms 1 1 0, 32 bytes', `RAKP 1: role 13, user ${account.user}, ${28 + account.user.length} bytes`, 'payload 14: 28 bytes'])
    for (const { in: said } of [theirs, own]) {
      expect(said[0]).toBe(raised)
      expect(said.at(-1)).toMatch(/^06\/3c/)
      expect(said.slice(1, -1).filter(line => !prelude.includes(line))).toEqual([look])
    }
  })

  // `looks`: a driver looks before it switches and until it is done; ipmitool does neither.
  const powerOn = (boot: 'network' | 'disk' | null, firmware?: 'bios' | 'uefi') => (parameters: Readonly<Record<string, unknown>>, options: Parameters<typeof ipmi.query>[1]) => ipmi.power(parameters, 'on', { ...options, boot, ...(firmware === undefined ? {} : { firmware }) })
  test.each([
    { what: 'on', theirs: [['power', 'on']], own: powerOn(null), state: 'off' },
    { what: 'off', theirs: [['power', 'off']], own: (parameters, options) => ipmi.power(parameters, 'off', { ...options, boot: null }), state: 'on' },
    { what: 'shutdown', theirs: [['power', 'soft']], own: (parameters, options) => ipmi.power(parameters, 'shutdown', { ...options, boot: null }), state: 'on' },
    { what: 'network boot', theirs: [['bootdev', 'pxe'], ['power', 'on']], own: powerOn('network', 'bios'), state: 'off' },
    { what: 'network boot by UEFI', theirs: [['bootdev', 'pxe', 'options=efiboot'], ['power', 'on']], own: powerOn('network', 'uefi'), state: 'off' },
    { what: 'disk boot by UEFI', theirs: [['bootdev', 'disk', 'options=efiboot'], ['power', 'on']], own: powerOn('disk', 'uefi'), state: 'off' }
  ] satisfies readonly { what: string, theirs: readonly (readonly string[])[], own: (parameters: Readonly<Record<string, unknown>>, options: Parameters<typeof ipmi.query>[1]) => Promise<unknown>, state: 'on' | 'off' }[])('$what: the same commands in the same order, but for the looks', async ({ theirs, own, state }) => {
    const said: string[] = []
    bmc.machine.set(state)
    for (const command of theirs) said.push(...core((await ipmitool('chassis', ...command)).in, prelude))
    bmc.machine.set(state)
    const spoken = (await ours(own)).in
    expect(core(spoken, [look])).toEqual(said)
    expect(core(spoken)[0], 'it looks first').toBe(look)
    expect(core(spoken).at(-1), 'and last').toBe(look)
  })

  test('the identifier of the machine', async () => {
    expect(core((await ipmitool('mc', 'guid')).in, prelude)).toEqual(['06/37'])
    expect(core((await ours((parameters, options) => ipmi.identify?.(parameters, options) ?? Promise.reject(new Error('not there')))).in)).toEqual(expect.arrayContaining(['06/01', '06/37']))
  })

  test('the log: record by record, whole; ours reads the sensors\' names before, ipmitool does not', async () => {
    const theirs = core((await ipmitool('sel', 'list')).in, prelude)
    const own = core((await ours((parameters, options) => ipmi.log?.(parameters, options) ?? Promise.reject(new Error('not there')))).in)
    expect(theirs).toEqual(['0a/40', '0a/43 0000000000ff', '0a/43 0000020000ff'])
    expect(own.filter(line => /^0a\/4/.test(line))).toEqual(theirs)
    expect(own.every(line => /^0a\/(4|2)/.test(line))).toBe(true)
  })
})
