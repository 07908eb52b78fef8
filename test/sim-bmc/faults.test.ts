/** Faults of a simulated BMC: each does what it says, over both protocols, and goes away again. */
import { afterEach, describe, expect, it } from 'vitest'
import { startBmc, type Bmc, type BmcOptions } from '../../sim/bmc/bmc.ts'
import { createFaults, faultNames, lost, parseFault } from '../../sim/bmc/faults.ts'
import { until } from '../kit/wait.ts'
import { asking } from './client.ts'
import { openConsole, type Console } from './console.ts'

const open: { close(): Promise<void> | void }[] = []
afterEach(async () => { for (const one of open.splice(0).reverse()) await one.close() })
async function start (options: BmcOptions = {}): Promise<{ readonly bmc: Bmc, readonly ask: ReturnType<typeof asking>, readonly on: () => Promise<number>, readonly console: () => Promise<Console> }> {
  const bmc = await startBmc({ redfish: {}, ipmi: {}, ...options })
  open.push(bmc)
  const ask = asking(bmc)
  return {
    bmc, ask,
    on: async () => (await ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType: 'On' })).status,
    console: async () => { const made = await openConsole(bmc.ipmi?.port ?? 0); open.push(made); return made }
  }
}
const system = '/redfish/v1/Systems/1'
const [status, control] = [[0x00, 0x01], [0x00, 0x02]] as const

describe('over Redfish', () => {
  it.each<readonly [string, BmcOptions['faults'] & object, (s: Awaited<ReturnType<typeof start>>) => Promise<unknown>, unknown]>([
    ['busy: so many times 503', { busy: 2 }, async ({ ask }) => [await ask('GET', system), await ask('GET', system), await ask('GET', system)].map(answer => answer.status), [503, 503, 200]],
    ['lies: says yes, does nothing', { lies: true }, async ({ on, bmc }) => [await on(), bmc.machine.state()], [204, 'off']],
    ['tells: the wrong state', { tells: 'on' }, async ({ ask, bmc }) => [(await ask('GET', system)).body.PowerState, bmc.machine.state()], ['On', 'off']],
    ['tells: none', { tells: 'hidden' }, async ({ ask }) => 'PowerState' in (await ask('GET', system)).body, false],
    ['loseAnswer: done, but nobody hears', { loseAnswer: 1 }, async ({ on, bmc }) => [await on().catch(() => 'cut'), bmc.machine.state(), await on()], ['cut', 'on', 204]],
    ['hangsUp: not done, and nobody hears', { hangsUp: 1 }, async ({ on, bmc }) => [await on().catch(() => 'cut'), bmc.machine.state(), await on()], ['cut', 'off', 204]],
    ['garbage: no JSON', { garbage: true }, async ({ ask }) => (await ask('GET', system)).body, undefined],
    ['exhausted: no session', { exhausted: true }, async ({ ask }) => (await ask('POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'password' }, {})).status, 503],
    ['needsEtag: no change without If-Match', { needsEtag: true }, async ({ ask }) => (await ask('PATCH', system, { Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } })).status, 428],
    ['takes: shows after so many reads', { takes: 1 }, async ({ ask, on }) => { await on(); return [(await ask('GET', system)).body.PowerState, (await ask('GET', system)).body.PowerState] }, ['PoweringOn', 'On']],
    ['closed: not even the root', { closed: true }, async ({ ask }) => (await ask('GET', '/redfish/v1', undefined, {})).status, 401],
    ['noSessions: only Basic', { noSessions: true }, async ({ ask }) => [(await ask('POST', '/redfish/v1/SessionService/Sessions', { UserName: 'admin', Password: 'password' }, {})).status, (await ask('GET', system)).status], [404, 200]]
  ])('%s', async (_, faults, work, expected) => { expect(await work(await start({ faults }))).toEqual(expected) })

  it('changing: the ETag that was read is old already', async () => {
    const { ask, bmc } = await start({ faults: { changing: 1 } })
    const change = async () => {
      const { headers } = await ask('GET', system)
      return (await ask('PATCH', system, { Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } }, { authorization: `Basic ${Buffer.from(`${bmc.account.user}:${bmc.account.password}`).toString('base64')}`, 'if-match': String(headers.etag) })).status
    }
    expect([await change(), await change()]).toEqual([412, 200])
  })
  it('slow: answers, but later than one that was asked afterwards', async () => {
    const { ask, bmc, on } = await start({ faults: { slow: 3_600_000 } })
    const answered: string[] = []
    on().then(() => answered.push('the slow one'), () => answered.push('the slow one, cut'))
    await until(() => bmc.log.length === 1)
    bmc.faults.slow = 1
    expect((await ask('GET', system)).body.PowerState).toBe('Off') // nothing is done before the answer, either
    expect(answered).toEqual([])
  })
  it('loss: some requests are cut', async () => {
    const { ask, bmc } = await start({ faults: { loss: 1 } })
    await expect(ask('GET', '/redfish/v1')).rejects.toThrow()
    bmc.faults.loss = 0
    expect((await ask('GET', '/redfish/v1')).status).toBe(200)
  })
})

describe('over IPMI', () => {
  it('busy: so many times node busy', async () => {
    const { bmc, console } = await start()
    const to = await console()
    bmc.faults.busy = 2
    expect([(await to.ask(status))[0], (await to.ask(status))[0], (await to.ask(status))[0]]).toEqual([0xc0, 0xc0, 0])
  })
  it('lies, and tells what is not', async () => {
    const { bmc, console } = await start({ faults: { lies: true } })
    const to = await console()
    expect((await to.ask(control, [1]))[0]).toBe(0)
    expect(bmc.machine.state()).toBe('off')
    bmc.faults.tells = 'on'
    expect((await to.ask(status))[1]! & 1).toBe(1)
    bmc.faults.tells = 'hidden'
    expect((await to.ask(status))[0]).toBe(0xd5)
  })
  it('loseAnswer: done, but nobody hears; hangsUp: not done either', async () => {
    const { bmc, console } = await start()
    const to = await console()
    bmc.faults.loseAnswer = 1
    expect(await to.silence(() => to.ask(control, [1]))).toBe(true)
    expect(bmc.machine.state()).toBe('on')
    bmc.faults.hangsUp = 1
    expect(await to.silence(() => to.ask(control, [0]))).toBe(true)
    expect(bmc.machine.state()).toBe('on')
    expect((await to.ask(control, [0]))[0]).toBe(0)
    expect(bmc.machine.switches()).toBe(2)
  })
  it('garbage and wrongIntegrity: nothing that can be believed', async () => {
    const { bmc, console } = await start()
    const to = await console()
    for (const fault of ['garbage', 'wrongIntegrity'] as const) {
      bmc.faults[fault] = true
      await expect(to.ask(status, [], 'the first'), fault).rejects.toThrow('cannot be believed')
      bmc.faults[fault] = false
    }
    expect((await to.ask(status))[0]).toBe(0)
  })
  it('completion: each command fails so, sessions still begin', async () => {
    const { console } = await start({ faults: { completion: 0xd4 } })
    expect((await (await console()).ask(status))[0]).toBe(0xd4)
  })
  it('exhausted: no session', async () => {
    const { console } = await start({ faults: { exhausted: true } })
    await expect(console()).rejects.toThrow('no session left')
  })
})

describe('faults as words', () => {
  it.each([['slow=200', { slow: 200 }], ['loss=0.1', { loss: 0.1 }], ['lies', { lies: true }], ['lies=false', { lies: false }], ['tells=off', { tells: 'off' }]] as const)('%s', (text, fault) => { expect(parseFault(text)).toEqual(fault) })
  it.each(['', 'nonsense', 'slow', 'slow=', 'slow=-1', 'slow=x', 'loss=2', 'tells=maybe', 'lies=3', 'constructor', '__proto__=1'])('%j is refused', text => { expect(() => parseFault(text)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' })) })
  it('are all there are', () => { expect(faultNames.map(name => name.split('=')[0])).toEqual(Object.keys(createFaults())) })
  it('lose the share they say', () => {
    const draws = [0.05, 0.2, 0.09, 0.1]
    expect(draws.map(draw => lost(createFaults({ loss: 0.1 }), () => draw))).toEqual([true, false, true, false])
    expect(lost(createFaults(), () => 0)).toBe(false)
  })
  it('are changed where the simulator is asked, all or none', async () => {
    const { ask, bmc } = await start()
    expect((await ask('PATCH', '/bedplate/faults', { slow: 5, lies: true }, {})).body).toMatchObject({ slow: 5, lies: true })
    expect(bmc.faults).toMatchObject({ slow: 5, lies: true })
    expect((await ask('PATCH', '/bedplate/faults', { slow: 0, loss: 7 }, {})).status).toBe(400)
    expect((await ask('GET', '/bedplate/faults', undefined, {})).body).toMatchObject({ slow: 5, loss: 0 })
  })
})
