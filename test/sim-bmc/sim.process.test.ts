/** `bedplate sim bmc`: what it starts, what it prints, what it says when it cannot; thousands at once. */
import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { runCli } from '../../cli/program.ts'
import { encodePing, decodeAsf } from '../../ipmi/rmcp.ts'
import { checkFiles, closeFleet, openFilesLimit, placesFrom, startFleet } from '../../sim/bmc/fleet.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { run, sink } from '../cli/cli.kit.ts'
import { nothingLeft, resources } from '../kit/leaks.ts'
import { until } from '../kit/wait.ts'
import { openConsole } from './console.ts'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => { for (const end of ends.splice(0)) await end() })
const free = '--ipmi-port 0 --redfish-port 0'
async function simulated (line: string): Promise<{ readonly text: () => string, end(): Promise<{ readonly code: number, readonly err: string }> }> {
  const [stdout, stderr, interrupt] = [sink(), sink(), new AbortController()]
  const over = runCli(['sim', 'bmc', ...line.split(' ').filter(Boolean)], {}, { stdout, stderr, signal: interrupt.signal })
  const end = async () => { interrupt.abort(); return { code: await over, err: stderr.text } }
  ends.push(end)
  const ended = over.then(code => { throw new Error(`it ended with ${code}: ${stderr.text}`) })
  ended.catch(() => {})
  await Promise.race([ended, until(() => stdout.text.endsWith('\n'), { what: 'the BMCs' })])
  return { text: () => stdout.text, end }
}
const ask = (url: string, path: string, init: RequestInit = {}) => fetch(`${url}${path}`, { ...init, headers: { authorization: `Basic ${Buffer.from('admin:password').toString('base64')}` } })
const urlIn = (text: string, host = '127.0.0.1'): string => `http://${host}:${new RegExp(`@${host}:(\\d+)/redfish`).exec(text)?.[1]}`

describe('bedplate sim bmc', () => {
  it('prints where its BMCs are and what happens to them, until it is interrupted', async () => {
    const before = resources()
    const sim = await simulated(`--count 3 --http ${free}`)
    for (const host of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) expect(sim.text()).toMatch(new RegExp(`ipmi://admin:password@${host}:\\d+ +redfish\\+http://admin:password@${host}:\\d+/redfish/v1/Systems/1`))
    const url = urlIn(sim.text(), '127.0.0.2')
    await ask(url, '/redfish/v1/Systems/1', { method: 'PATCH', body: JSON.stringify({ Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' } }) })
    for (const ResetType of ['On', 'ForceRestart', 'ForceOff']) await ask(url, '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { method: 'POST', body: JSON.stringify({ ResetType }) })
    expect(sim.text().split('What happens:\n')[1]).toBe('bmc2: will boot from network, once, as UEFI\nbmc2: on, boots from network\nbmc2: reset, boots in its usual order\nbmc2: off\n')
    const { code, err } = await sim.end()
    expect([code, err]).toEqual([0, 'Stopped.\n'])
    await nothingLeft(before)
  })
  it('is a stream of JSON for programs', async () => {
    const sim = await simulated(`${free} --profile dell --password other -o json`)
    const [first] = sim.text().split('\n')
    const { uuid, ipmi, redfish, tls } = JSON.parse(first ?? '')
    expect({ ipmi, redfish, tls }).toEqual({ ipmi: expect.stringMatching(/^ipmi:\/\/admin:other@127\.0\.0\.1:\d+$/), redfish: expect.stringMatching(/^redfish\+https:\/\/admin:other@127\.0\.0\.1:\d+\/redfish\/v1\/Systems\/System\.Embedded\.1$/), tls: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) })
    const to = await openConsole(Number(/\d+$/.exec(ipmi)?.[0]), { password: 'other' })
    await to.ask([0, 2], [1])
    to.close()
    expect(JSON.parse(sim.text().split('\n')[1] ?? '')).toEqual({ event: 'on', from: null, machine: 'bmc1' })
    expect(uuid).toMatch(/^[0-9a-f-]{36}$/)
  })
  it('begins with what is wrong, and takes more while it runs', async () => {
    const sim = await simulated(`--http ${free} --fault lies --fault slow=1 --state on`)
    const url = urlIn(sim.text())
    const faults = async (change?: unknown) => await (await ask(url, '/bedplate/faults', change === undefined ? {} : { method: 'PATCH', body: JSON.stringify(change) })).json()
    expect(await faults()).toMatchObject({ lies: true, slow: 1 })
    expect(await faults({ lies: false, tells: 'off' })).toMatchObject({ lies: false, slow: 1 })
    expect(await (await ask(url, '/redfish/v1/Systems/1')).json()).toMatchObject({ PowerState: 'Off' })
  })
  it.each<readonly [string, string, number, string | RegExp]>([
    ['a number that is none', '--count many', 2, 'A whole number from 1 to 100000.'],
    ['a name for an address', '--host bmc.example.org', 2, 'bmc.example.org is no IP address'],
    ['an address that is not here', `--host 192.0.2.77 ${free}`, 1, '192.0.2.77 is no address of this host.'],
    ['more than loopback has', '--host 127.255.255.250 --count 10', 2, 'there are only 5 addresses'],
    ['more ports than there are', '--host ::1 --count 600 --redfish-port 65000 --no-ipmi', 2, 'the ports end at 65535'],
    ['a fault there is not', '--fault fire', 2, 'fire is no fault there is; there are slow=N'],
    ['a profile there is not', '--profile acme', 2, 'generic, dell, ilo5'],
    ['nothing to offer', '--no-ipmi --no-redfish', 2, 'nothing is left'],
    ['a password too long for IPMI', `--password ${'x'.repeat(21)} ${free}`, 2, 'IPMI has room for 20 bytes, it has 21'],
    ['too many virtual machines', '--machine qemu --count 65', 2, 'at most --count 64']
  ])('says what is wrong: %s', async (_, line, code, text) => {
    const ran = await run(`sim bmc ${line}`)
    expect(ran.err).toMatch(typeof text === 'string' ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : text)
    expect([ran.code, ran.out]).toEqual([code, ''])
  })
  it('says which port is taken', async () => {
    const server = createServer()
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    ends.push(() => new Promise(resolve => { server.close(resolve) }))
    const { port } = server.address() as AddressInfo
    expect((await run(`sim bmc --no-ipmi --redfish-port ${port}`)).err).toBe(`bedplate: 127.0.0.1 port ${port} is taken by another program.\n`)
  })
})

describe('thousands', () => {
  it('answer at once, each at its own address, and are gone afterwards', async () => {
    const before = resources()
    const count = 5_000
    const heard = new Set<string>()
    const socket: Socket = createSocket('udp4')
    const bmcs = await startFleet(placesFrom({ host: '127.30.0.1', ipmi: 16_230, redfish: undefined }, count), { tls: false }, index => createNothing({ name: `n${index}` }))
    try {
      expect(bmcs.at(-1)?.host).toBe('127.30.19.136')
      await new Promise<void>(resolve => { socket.bind(0, () => { resolve() }) })
      socket.on('message', (datagram, { address }) => { if (decodeAsf(datagram)?.kind === 'pong') heard.add(address) })
      // again those that were lost: a socket's buffer holds some hundred
      await until(() => { bmcs.filter(({ host }) => !heard.has(host)).slice(0, 200).forEach(({ host }) => { socket.send(encodePing(1), 16_230, host) }); return heard.size === count }, { timeout: 30_000, interval: 1, what: 'a pong of each' })
    } finally { socket.close(); await closeFleet(bmcs) }
    await nothingLeft(before)
  })
  it('need a file each, and say so before they start', () => {
    const places = placesFrom({ host: '127.0.0.1', ipmi: 623, redfish: 8443 }, 1000)
    expect(() => { checkFiles(places, 2199) }).toThrow(expect.objectContaining({ code: 'PRIVILEGE_MISSING', message: expect.stringContaining('ulimit -n 2200') }))
    expect(() => { checkFiles(places, 2200) }).not.toThrow()
    expect(() => { checkFiles(places, undefined) }).not.toThrow()
    const limits = (soft: string) => `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}      524288       files\n`
    expect([openFilesLimit(() => limits('1024')), openFilesLimit(() => limits('unlimited')), openFilesLimit(() => { throw new Error('no /proc') })]).toEqual([1024, undefined, undefined])
  })
  it('have addresses of their own on loopback, and ports of their own elsewhere', () => {
    expect(placesFrom({ host: '127.0.0.255', ipmi: 623, redfish: 0 }, 2)).toEqual([{ host: '127.0.0.255', ipmi: 623, redfish: 0 }, { host: '127.0.1.0', ipmi: 623, redfish: 0 }])
    expect(placesFrom({ host: '::1', ipmi: 6230, redfish: undefined }, 2)).toEqual([{ host: '::1', ipmi: 6230, redfish: undefined }, { host: '::1', ipmi: 6231, redfish: undefined }])
  })
})
