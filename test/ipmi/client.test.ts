/** The client against the simulator: sessions kept, forgotten, refused and closed; packets lost, repeated and forged. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient, type Client, type ClientOptions } from '../../ipmi/client/client.ts'
import type { Target } from '../../ipmi/client/terms.ts'
import { getChassisStatus } from '../../ipmi/commands/chassis.ts'
import { getDeviceId } from '../../ipmi/commands/device.ts'
import { decodePlus, payloadType } from '../../ipmi/lanplus.ts'
import { createProber } from '../../ipmi/probe.ts'
import { decodeOpenRequest } from '../../ipmi/rakp.ts'
import { udpTransport, type OpenTransport } from '../../ipmi/transport.ts'
import { defaultAccount, startBmc, type Bmc, type BmcOptions } from '../../sim/bmc/bmc.ts'
import { until } from '../kit/wait.ts'

const undo: (() => Promise<void>)[] = []
afterEach(async () => { for (const one of undo.splice(0).reverse()) await one() })

/** A transport that counts, and may lose or change what passes. */
interface Wire { readonly open: OpenTransport, readonly sent: Buffer[], readonly received: Buffer[], lose: (datagram: Buffer, way: 'out' | 'in') => boolean, inject: (datagram: Buffer) => void }
function createWire (): Wire {
  const wire: Wire = {
    sent: [], received: [], lose: () => false, inject: () => undefined,
    open (receive) {
      let from: readonly [string, number] = ['', 0]
      const transport = udpTransport((datagram, address, port) => {
        from = [address, port]
        if (wire.lose(datagram, 'in')) return
        wire.received.push(datagram)
        receive(datagram, address, port)
      })
      wire.inject = datagram => { receive(datagram, ...from) }
      return { ...transport, send (datagram, address, port) { wire.sent.push(datagram); if (!wire.lose(datagram, 'out')) transport.send(datagram, address, port) } }
    }
  }
  return wire
}
async function start (options: Omit<BmcOptions, 'ipmi'> & { readonly kg?: string } = {}, client: ClientOptions = {}) {
  const { kg, ...rest } = options
  const bmc = await startBmc({ ...rest, ipmi: { port: 0, ...(kg === undefined ? {} : { kg }) } })
  undo.push(() => bmc.close())
  const wire = createWire()
  const ours = createClient({ transport: wire.open, ...client })
  undo.push(() => ours.close())
  return { bmc, wire, client: ours, target: targetOf(bmc) }
}
const targetOf = (bmc: Bmc): Target => ({ host: '127.0.0.1', port: bmc.ipmi?.port ?? 0, user: defaultAccount.user, password: defaultAccount.password })
const sessions = (bmc: Bmc): number => bmc.ipmi?.sessions.size ?? 0
const forget = (bmc: Bmc): void => { (bmc.ipmi?.sessions as Map<number, unknown>).clear() }
const openings = (wire: Wire): number[] => wire.sent.flatMap(datagram => { const packet = decodePlus(datagram); const asked = packet?.payloadType === payloadType.openRequest ? decodeOpenRequest(packet.payload) : undefined; return asked === undefined ? [] : [asked.authentication] })
const ask = (client: Client, target: Target, timeout = 2_000) => client.request(target, getChassisStatus, undefined, { timeout })

describe('sessions', () => {
  test('one is opened with SHA-256 where the BMC has it, and kept: each further question is one datagram each way', async () => {
    const { wire, client, target } = await start()
    await ask(client, target)
    expect(openings(wire)).toEqual([3])
    const [sent, received] = [wire.sent.length, wire.received.length]
    for (let count = 0; count < 100; count++) await ask(client, target)
    expect([wire.sent.length - sent, wire.received.length - received]).toEqual([100, 100])
    expect(client.sessions).toBe(1)
  })
  test.each([1, 2, 3, 15, 16, 17])('cipher suite %i', async cipher => {
    const { client, target } = await start()
    expect((await ask(client, { ...target, cipher })).on).toBe(false)
  })
  test('SHA-1 where the BMC has nothing better', async () => {
    const { wire, client, target } = await start({ profile: { ipmi: { manufacturer: 0, product: 1, guid: 'smbios', sessions: 4, suites: [1, 2, 3], lan15: true } } })
    await ask(client, target)
    expect(openings(wire)).toEqual([1])
  })
  test('a BMC that does not answer which suites it has is asked for the one all must have', async () => {
    const { wire, client, target } = await start()
    wire.lose = (datagram, way) => way === 'out' && datagram[4] === 0 && datagram.includes(Buffer.of(0x54, 0x0e)) // Get Channel Cipher Suites
    await ask(client, target)
    expect(openings(wire)).toEqual([1])
  })
  test('IPMI 1.5 when it is asked for', async () => {
    const { bmc, client, target } = await start()
    expect((await ask(client, { ...target, lan: '1.5' })).on).toBe(false)
    expect([...bmc.ipmi?.sessions.values() ?? []].map(({ version }) => version)).toEqual(['1.5'])
  })
  test('a key of the BMC must be given, and must be right', async () => {
    const { client, target } = await start({ kg: 'a key of twenty byte' })
    const kg = Buffer.from('a key of twenty byte')
    expect((await ask(client, { ...target, kg })).on).toBe(false)
    await expect(ask(client, target)).rejects.toMatchObject({ kind: 'authentication', message: expect.stringContaining('K_g') })
    await expect(ask(client, { ...target, kg: Buffer.from('another') })).rejects.toMatchObject({ kind: 'authentication' })
  })
  test.each([['the password', { password: 'wrong' }], ['the user', { user: 'nobody' }]])('%s is wrong: told, and told apart from silence', async (_, wrong) => {
    const { client, target } = await start()
    const error: unknown = await ask(client, { ...target, ...wrong }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ kind: 'authentication' })
    expect(JSON.stringify([String(error), error])).not.toContain('password"')
  })
  test('a BMC that forgot the session is asked again over a new one, and the caller hears nothing of it', async () => {
    const { bmc, wire, client, target } = await start()
    await ask(client, target)
    forget(bmc)
    expect((await ask(client, target, 1_000)).on).toBe(false)
    expect(openings(wire)).toHaveLength(2)
    expect(client.sessions).toBe(1)
  })
  test('no session is free: busy, and worth another try', async () => {
    const { bmc, client, target } = await start()
    bmc.faults.exhausted = true
    await expect(ask(client, target)).rejects.toMatchObject({ kind: 'busy' })
    bmc.faults.exhausted = false
    await ask(client, target)
  })
  test('of more sessions than may be open the one used longest ago is closed, at the BMC, too', async () => {
    const { bmc, client, target } = await start({}, { sessions: 2 })
    const [a, b, c] = [target, { ...target, cipher: 3 }, { ...target, cipher: 2 }]
    await ask(client, a)
    await ask(client, b)
    await ask(client, a)
    await ask(client, c) // b makes room
    await until(() => sessions(bmc) === 2)
    expect(client.sessions).toBe(2)
    expect([...bmc.ipmi?.sessions.values() ?? []].map(({ suite }) => suite?.id).sort()).toEqual([17, 2])
  })
  test('one that is silent hears something before the BMC ends it, and one nobody uses is closed', async () => {
    const { bmc, wire, client, target } = await start({}, { silence: 80, keep: 600 })
    await ask(client, target)
    const before = wire.received.length
    await until(() => wire.received.length >= before + 3)
    await until(() => sessions(bmc) === 0)
    expect(client.sessions).toBe(0)
  })
  test('a BMC that never answered is forgotten as well', async () => {
    const { wire, client, target } = await start({}, { silence: 80, keep: 160 })
    wire.lose = () => true
    await expect(ask(client, target, 40)).rejects.toMatchObject({ kind: 'timeout' })
    expect(client.bmcs).toBe(1)
    await until(() => client.bmcs === 0)
    wire.lose = () => false
    await ask(client, target) // and found again
  })
  test.each(['repeated', 'begun, with a session', 'begun, without one'])('nothing is %s for a caller whose signal says, when asked, that it is over', async what => {
    const { wire, client, target } = await start()
    if (what !== 'begun, without one') await ask(client, target)
    wire.lose = () => true
    const caller = new AbortController()
    let over = false // known to the signal, and not told yet: as after a pause of the whole process, before any timer fired
    Object.defineProperty(caller.signal, 'aborted', { get () { if (over) caller.abort(); return over } })
    const first = new AbortController()
    const before = what === 'repeated' ? undefined : client.request(target, getChassisStatus, undefined, { signal: first.signal }).catch(() => undefined)
    const waiting = client.request(target, getDeviceId, undefined, { timeout: 5_000, signal: caller.signal }).catch((error: unknown) => error)
    over = true
    const sent = wire.sent.length
    first.abort() // now it would be the next one's turn
    await before
    await expect(waiting).resolves.toMatchObject({ kind: 'aborted' })
    expect(wire.sent).toHaveLength(sent)
  })
  test('a client that is closed closes them, and whoever waits hears of it', async () => {
    const { bmc, wire, client, target } = await start()
    await ask(client, target)
    wire.lose = (_, way) => way === 'in'
    const waiting = ask(client, target)
    await client.close()
    await expect(waiting).rejects.toMatchObject({ kind: 'aborted' })
    await until(() => sessions(bmc) === 0)
    await expect(ask(client, target)).rejects.toMatchObject({ kind: 'aborted' })
  })
})

describe('on the way', () => {
  test('every third datagram is lost: everything is answered', async () => {
    const { wire, client, target } = await start()
    let count = 0
    wire.lose = () => count++ % 3 === 2
    for (let number = 0; number < 4; number++) expect((await ask(client, target, 1_000)).on).toBe(false)
  })
  test('what was recorded is not taken a second time, nor is what somebody changed', async () => {
    const { wire, client, target } = await start()
    await ask(client, target)
    const recorded = [...wire.received]
    wire.lose = (datagram, way) => {
      if (way === 'out') return false
      const changed = Buffer.from(datagram)
      changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1
      // Who can change the opening on its way can keep it from succeeding; the session's packets are signed.
      for (const forged of decodePlus(datagram)?.authenticated === true ? [...recorded, changed] : recorded) wire.inject(forged)
      return true
    }
    await expect(ask(client, target, 300)).rejects.toMatchObject({ kind: 'timeout' })
  })
  test('nobody there: a timeout in its time', async () => {
    const { wire, client, target } = await start()
    wire.lose = () => true
    await expect(ask(client, target, 200)).rejects.toMatchObject({ kind: 'timeout' })
  })
  test('a caller who gives up is told at once, and the next question is answered', async () => {
    const { wire, client, target } = await start()
    await ask(client, target)
    wire.lose = (_, way) => way === 'in'
    const controller = new AbortController()
    const given = client.request(target, getChassisStatus, undefined, { signal: controller.signal })
    const next = ask(client, target, 400) // waits for its turn
    controller.abort()
    await expect(given).rejects.toMatchObject({ kind: 'aborted' })
    wire.lose = () => false
    expect((await next).on).toBe(false)
  })
  test('many questions to one BMC are asked one after the other, all answered', async () => {
    const { client, target } = await start()
    const answers = await Promise.all(Array.from({ length: 50 }, (_, number) => number % 2 === 0 ? ask(client, target) : client.request(target, getDeviceId, undefined)))
    expect(answers).toHaveLength(50)
  })
  test.each([['the password', { password: 'x'.repeat(21) }], ['the user', { user: 'x'.repeat(17) }], ['the port', { port: 0 }], ['the suite', { cipher: 4 }]])('%s that cannot be sent is refused before anything is', async (_, wrong) => {
    const { wire, client, target } = await start()
    await expect(ask(client, { ...target, ...wrong })).rejects.toMatchObject({ kind: 'parameter' })
    expect(wire.sent).toEqual([])
  })
  test('a name nobody knows', async () => {
    const { client, target } = await start()
    await expect(ask(client, { ...target, host: 'nobody.invalid' })).rejects.toMatchObject({ kind: expect.stringMatching(/unreachable|timeout/) })
  })
})

test('a probe tells who answers, how fast, and what it can; and who does not', async () => {
  const { bmc, target: { port = 0 } } = await start()
  const prober = createProber()
  undo.push(() => prober.close())
  const found = await Promise.all(Array.from({ length: 20 }, () => prober.probe('127.0.0.1', port, { timeout: 2_000 })))
  for (const { reachable, rtt, capabilities } of found) { expect([reachable, capabilities?.v20]).toEqual([true, true]); expect(rtt).toBeGreaterThan(0) }
  await bmc.close()
  expect(await prober.probe('127.0.0.1', port, { timeout: 100 })).toEqual({ reachable: false, rtt: null, capabilities: null })
})

test('the example in the README runs', async () => {
  const { bmc, target } = await start()
  const folder = join(import.meta.dirname, '../../ipmi')
  const [, example = ''] = /```ts\n([^]*?)```/.exec(await readFile(join(folder, 'README.md'), 'utf8')) ?? []
  const scratch = await mkdtemp(join(tmpdir(), 'ipmi-example-'))
  undo.push(() => rm(scratch, { recursive: true }))
  await writeFile(join(scratch, 'example.ts'), example.replaceAll("'./", `'${folder}/`).replaceAll('192.0.2.10', '127.0.0.1').replaceAll('623', String(target.port)))
  const { seen } = await import(pathToFileURL(join(scratch, 'example.ts')).href) as { readonly seen: unknown }
  expect(seen).toEqual({ reachable: true, rtt: expect.any(Number), on: false })
  expect(bmc.machine.state()).toBe('on')
})
