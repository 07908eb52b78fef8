/** The simulated IPMI BMC, datagram by datagram; that others understand it: ipmitool.system.test.ts. */
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { encodeBootFlags, bootDevice } from '../../ipmi/commands/boot.ts'
import { uuidOf } from '../../ipmi/commands/device.ts'
import { decodeSelRecord } from '../../ipmi/commands/sel.ts'
import { authType, encode15, decode15 } from '../../ipmi/lan15.ts'
import { encodePlus } from '../../ipmi/lanplus.ts'
import { decodeMessage, encodeMessage, request } from '../../ipmi/message.ts'
import { decodeAsf, encodePing } from '../../ipmi/rmcp.ts'
import { startBmc, type Bmc, type BmcOptions } from '../../sim/bmc/bmc.ts'
import { sensors } from '../../sim/bmc/hardware.ts'
import { createBootOptions, flagsLapseMs } from '../../sim/bmc/ipmi/boot.ts'
import { fruOf, repository } from '../../sim/bmc/ipmi/records.ts'
import { createIpmiSessions, idleMs, isNew } from '../../sim/bmc/ipmi/sessions.ts'
import { generic } from '../../sim/bmc/profile.ts'
import { profiles } from '../../sim/bmc/profiles.ts'
import { hardwareOf } from '../../sim/machine/machine.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { openConsole, type Console, type ConsoleOptions } from './console.ts'

const open: { close(): Promise<void> | void }[] = []
afterEach(async () => { for (const one of open.splice(0).reverse()) await one.close() })
async function start (options: BmcOptions = {}): Promise<{ readonly bmc: Bmc, readonly login: (how?: ConsoleOptions) => Promise<Console> }> {
  const bmc = await startBmc({ ipmi: {}, ...options })
  open.push(bmc)
  return { bmc, login: async how => { const made = await openConsole(bmc.ipmi?.port ?? 0, how); open.push(made); return made } }
}
const [status, control, setBoot, getBoot] = [[0, 1], [0, 2], [0, 8], [0, 9]] as const
const [app, storage] = [6, 0x0a]

describe('a login', () => {
  it.each([1, 2, 3, 15, 16, 17])('with suite %d is proven both ways', async suite => {
    const { login } = await start()
    expect((await (await login({ suite })).ask(status))[0]).toBe(0)
  })
  it('with K_g needs that as well', async () => {
    const { login } = await start({ ipmi: { kg: 'the other key' } })
    expect((await (await login({ kg: 'the other key' })).ask(status))[0]).toBe(0)
    await expect(login()).rejects.toThrow('does not prove')
  })
  it.each<readonly [string, ConsoleOptions, string]>([
    ['an unknown user', { user: 'nobody' }, 'does not know the user'], ['a wrong password', { password: 'wrong' }, 'the password or the key (K_g) is wrong'],
    ['a suite it does not have', { suite: 17 }, 'does not offer this cipher suite'], ['a suite without any proof', { suite: 0 }, 'does not offer this cipher suite']
  ])('of %s is refused, and takes no place', async (_, how, why) => {
    const { bmc, login } = await start({ profile: { ipmi: { ...generic.ipmi, suites: [3] } } })
    await expect(login(how)).rejects.toThrow(why)
    expect(bmc.ipmi?.sessions.size).toBe(0)
  })
  it('is refused once all places are taken, and not after one was left', async () => {
    const { bmc, login } = await start()
    const all = await Promise.all(Array.from({ length: 4 }, () => login()))
    await expect(login()).rejects.toThrow('no session left')
    const [first] = all
    const id = Buffer.alloc(4)
    id.writeUInt32LE(first!.sessionId)
    expect((await first!.ask([app, 0x3c], [...id]))[0]).toBe(0)
    expect(bmc.ipmi?.sessions.size).toBe(3)
    await login()
  })
  it('gives no more than the account has', async () => {
    const { login } = await start({ accounts: [{ user: 'guest', password: 'guest', privilege: 'user' }] })
    await expect(login({ user: 'guest', password: 'guest' })).rejects.toThrow('may not have this privilege')
    const guest = await login({ user: 'guest', password: 'guest', privilege: 2 })
    expect((await guest.ask(status))[0]).toBe(0)
    expect((await guest.ask(control, [1]))[0]).toBe(0xd4)
    expect((await guest.ask([app, 0x3b], [4]))[0]).toBe(0x80)
  })
  it('begins at the level of a user', async () => {
    const { login } = await start()
    const to = await login({ raise: false })
    expect((await to.ask(control, [1]))[0]).toBe(0xd4)
    await to.ask([app, 0x3b], [4])
    expect((await to.ask(control, [1]))[0]).toBe(0)
  })
})

describe('a session', () => {
  it('takes no datagram twice', async () => {
    const { bmc, login } = await start()
    const to = await login()
    await to.ask(control, [1])
    bmc.machine.watch(() => { expect.unreachable('it was switched again') })
    expect(await to.replay()).toBe(false)
  })
  it('ends when it was not used for 60 s', () => {
    let now = 0
    const sessions = createIpmiSessions(1, () => now)
    const { id } = sessions.open('2.0', {})!
    now = idleMs
    expect(sessions.find(id)).toBeDefined()
    expect(sessions.open('2.0', {})).toBeUndefined()
    now += idleMs + 1
    expect(sessions.find(id)).toBeUndefined()
    expect(sessions.open('2.0', {})).toBeDefined()
  })
  it('takes each sequence number once, and those up to 31 behind', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), numbers => {
      const heard = { highest: 0, seen: 0 }
      const taken = new Set<number>()
      for (const number of numbers) {
        const highest = Math.max(0, ...taken)
        const expected = !taken.has(number) && number > highest - 32
        expect(isNew(heard, number)).toBe(expected)
        if (expected) taken.add(number)
      }
    }))
    expect(isNew({ highest: 5, seen: 1 }, 0)).toBe(false)
  })
})

describe('commands', () => {
  it('switch the machine, and say so', async () => {
    const { bmc, login } = await start()
    const to = await login()
    const say = async (...data: number[]) => (await to.ask(control, data))[0]
    expect([await say(2), await say(3)], 'cycle and reset of one that is off').toEqual([0xd5, 0xd5])
    expect([await say(1), await say(2), await say(3), await say(5)]).toEqual([0, 0, 0, 0])
    expect(bmc.machine.state()).toBe('off')
    expect(bmc.machine.switches()).toBe(4)
    expect(bmc.machine.boots()).toHaveLength(3)
    expect(await say(9)).toBe(0xcc)
    expect(bmc.log).toContain('ipmi Chassis Control 05')
  })
  it('set what the next start is from, once or always, by UEFI or not', async () => {
    const { bmc, login } = await start()
    const to = await login()
    const set = async (device: number, persistent = false, efi = true) => (await to.ask(setBoot, [5, ...encodeBootFlags({ valid: true, persistent, efi, device })]))[0]
    expect(await set(bootDevice.network)).toBe(0)
    expect(bmc.machine.next()).toEqual({ device: 'network', lasting: false, uefi: true })
    expect([...(await to.ask(getBoot, [5, 0, 0])).subarray(1)]).toEqual([1, 5, 0xa0, 0x04, 0, 0, 0])
    await to.ask(control, [1])
    expect([...(await to.ask(getBoot, [5, 0, 0])).subarray(3, 5)]).toEqual([0, 0])
    await set(bootDevice.disk, true, false)
    expect(bmc.machine.next()).toEqual({ device: 'disk', lasting: true, uefi: false })
    expect(await set(bootDevice.none)).toBe(0)
    expect(bmc.machine.next()).toBeNull()
    expect([(await to.ask(setBoot, [77, 0]))[0], (await to.ask(getBoot, [77, 0, 0]))[0]]).toEqual([0x80, 0x80])
  })
  it('let nobody else write boot options while somebody does', async () => {
    const { login } = await start()
    const to = await login()
    const progress = async (value: number) => (await to.ask(setBoot, [0, value]))[0]
    expect([await progress(1), await progress(1), await progress(0), await progress(1)]).toEqual([0, 0x81, 0, 0])
  })
  it.each(profiles.map(({ name, ipmi }) => [name, ipmi.guid] as const))('tell the machine\'s UUID the way of %s (%s)', async (profile, order) => {
    const { bmc, login } = await start({ profile })
    const guid = await (await login()).ask([app, 0x37])
    expect(uuidOf(guid.subarray(1), order)).toBe(bmc.machine.hardware.uuid)
  })
  it('tell the log, record by record, until it is cleared', async () => {
    const { login } = await start()
    const to = await login()
    const read = async () => {
      const found: number[] = []
      for (let record = 0; record !== 0xffff;) {
        const answer = await to.ask([storage, 0x43], [0, 0, record & 255, record >> 8, 0, 0xff])
        if (answer[0] !== 0) return answer[0]
        found.push(decodeSelRecord(answer.subarray(3)).event?.sensorType ?? 0)
        record = answer.readUInt16LE(1)
      }
      return found
    }
    await to.ask(control, [1])
    expect(await read()).toEqual([0x10, 0x08, 0x1d])
    expect((await to.ask([storage, 0x47], [1, 0, 0x43, 0x4c, 0x52, 0xaa]))[0]).toBe(0)
    expect(await read()).toEqual([0x10])
    expect((await to.ask([storage, 0x43], [0, 0, 99, 0, 0, 0xff]))[0]).toBe(0xcb)
  })
  it('tell sensors only while there is something to measure', async () => {
    const { bmc, login } = await start()
    const to = await login()
    const cpu = sensors.find(({ name }) => name === 'CPU1 Temp')!
    expect((await to.ask([4, 0x2d], [cpu.number]))[2]! & 0x20).toBe(0x20)
    await bmc.machine.on()
    expect([...(await to.ask([4, 0x2d], [cpu.number])).subarray(1, 3)]).toEqual([cpu.on, 0xc0])
    expect((await to.ask([4, 0x2d], [200]))[0]).toBe(0xcb)
  })
  it('refuse what is not there, too short, too much, or without a session', async () => {
    const { bmc, login } = await start()
    const to = await login()
    expect((await to.ask([app, 0x7f]))[0]).toBe(0xc1)
    expect((await to.ask([storage, 0x23], [0]))[0]).toBe(0xc7)
    expect((await to.ask([storage, 0x11], [0, 0, 0, 200]))[0]).toBe(0xca)
    expect((await to.ask([storage, 0x11], [3, 0, 0, 8]))[0]).toBe(0xcb)
    const bare = await to.raw(encode15({ authType: authType.none, sequence: 0, sessionId: 0, message: encodeMessage(request(0, 2, Buffer.of(1), 1)) }))
    expect(decodeMessage(decode15(bare)!.message)!.data[0]).toBe(0xd4)
    expect(bmc.machine.state()).toBe('off')
  })
})

describe('boot options', () => {
  it('lapse when no start comes within 60 s, unless they are to stay or a start was asked for', () => {
    vi.useFakeTimers()
    try {
      for (const [validity, controlled, left] of [[0, false, null], [0x08, false, 'network'], [0, true, 'network']] as const) {
        const machine = createNothing()
        const options = createBootOptions({ machine, set: ({ device }) => { machine.bootOnce(device) } })
        options.set(3, Buffer.of(validity))
        options.set(5, encodeBootFlags({ valid: true, persistent: false, efi: false, device: bootDevice.network }))
        vi.advanceTimersByTime(flagsLapseMs - 1)
        expect(machine.next()?.device).toBe('network')
        if (controlled) options.controlled()
        vi.advanceTimersByTime(2)
        expect(machine.next()?.device ?? null, `${validity} ${controlled}`).toBe(left)
      }
    } finally { vi.useRealTimers() }
  })
})

describe('records', () => {
  it('are as long as they say, and the FRU\'s areas add up to nothing', () => {
    for (const record of repository) expect(record.length).toBe(5 + record[4]!)
    for (const profile of profiles) {
      const fru = fruOf(hardwareOf('x'), profile)
      const sum = (bytes: Buffer) => bytes.reduce((total, byte) => total + byte & 255, 0)
      expect(sum(fru.subarray(0, 8))).toBe(0)
      for (const at of [fru[2]! * 8, fru[3]! * 8, fru[4]! * 8]) expect(sum(fru.subarray(at, at + fru[at + 1]! * 8))).toBe(0)
    }
  })
})

describe('what is no request', () => {
  it('is not answered and changes nothing, whatever it is', async () => {
    const { bmc, login } = await start()
    const to = await login()
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 1, 2, 3), (bytes, kind) => {
      const datagram = kind === 0 ? bytes : kind === 1 ? Buffer.concat([Buffer.of(6, 0, 0xff, 7), bytes]) : kind === 2 ? encodePlus(bytes[0] ?? 0, bytes.subarray(1)) : encode15({ authType: 0, sequence: 0, sessionId: 0, message: Buffer.from(bytes) })
      to.send(datagram)
    }), { numRuns: 100 }) // as many as a socket holds
    expect((await to.ask(status))[0]).toBe(0)
    expect(bmc.machine.state()).toBe('off')
    expect(bmc.ipmi?.sessions.size).toBeLessThanOrEqual(4)
  })
  it('is a ping, which is answered', async () => {
    const { login } = await start()
    expect(decodeAsf(await (await login()).raw(encodePing(9)))).toEqual({ kind: 'pong', tag: 9, ipmi: true, oem: 4542 })
  })
})

it('a password that IPMI has no room for is refused before anything listens', async () => {
  await expect(startBmc({ ipmi: {}, account: { user: 'a', password: 'x'.repeat(21) } })).rejects.toThrow(expect.objectContaining({ code: 'OPTION_INVALID', message: expect.not.stringContaining('xxx') }))
})
