/** webhook: what is said and understood, and the guide's example held to its word. */
import fc from 'fast-check'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { isFatal, type Options } from '../../../../plugins/power/driver.ts'
import { webhook } from '../../../../plugins/power/drivers/webhook.ts'
import { signature, stateIn } from '../../../../plugins/power/drivers/webhook/message.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { selfSigned } from '../../../../sim/bmc/certificate.ts'
import { quickPace } from '../../../kit/conformance/power-driver.ts'
import { freePort } from '../../../kit/servers.ts'
import { onceEvent, until } from '../../../kit/wait.ts'

const secret = 'sixteen characters at least'
const options: Options = { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 5_000 }, kept: createKept() }
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => { await Promise.all(closing.splice(0).map(close => close())) })

interface Heard { readonly headers: IncomingHttpHeaders, readonly body: string }
/** An endpoint that answers each request with the next of `answers`, and the last one for ever. */
async function endpoint (answers: readonly { readonly status?: number, readonly text: string }[], make: (listener: Parameters<typeof createServer>[1]) => Server = createServer) {
  const heard: Heard[] = []
  const server = make(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    heard.push({ headers: request.headers, body: Buffer.concat(parts).toString() })
    const { status = 200, text } = answers[Math.min(heard.length, answers.length) - 1] ?? { text: '' }
    response.writeHead(status).end(text)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  closing.push(() => new Promise(resolve => { server.close(resolve); server.closeAllConnections() }))
  return { heard, host: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}
const told = (...states: readonly string[]) => endpoint(states.map(state => ({ text: JSON.stringify({ state }) })))
const at = (address: string, more = {}) => checked(webhook, { address, secret, machine: 'm1', ...more })

describe('what a webhook is told', () => {
  test('the signature is of the body\'s bytes, as whoever checks it computes it', async () => {
    const { heard, host } = await told('off', 'on')
    expect(await webhook.power(at(`http://${host}/a%20b`, { machine: 'mäuschen' }), 'on', { ...options, boot: 'network', firmware: 'uefi' })).toEqual({ state: 'on' })
    expect(heard.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { id: expect.any(String), at: expect.any(String), machine: 'mäuschen', action: 'status', boot: null, firmware: null },
      { id: expect.any(String), at: expect.any(String), machine: 'mäuschen', action: 'on', boot: 'network', firmware: 'uefi' }
    ])
    for (const { headers, body } of heard) expect(headers['x-bedplate-signature']).toBe(`sha256=${createHmac('sha256', secret).update(Buffer.from(body, 'utf8')).digest('hex')}`)
    expect(new Set(heard.map(({ body }) => (JSON.parse(body) as { id: string }).id)).size, 'an id for each request').toBe(2)
    expect(JSON.stringify(heard)).not.toContain(secret)
  })

  test('the signature is GitHub\'s: the example in its documentation', () => {
    expect(signature('It\'s a Secret to Everybody', 'Hello, World!')).toBe('sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17')
  })

  test('only a start has a boot device', async () => {
    const { heard, host } = await told('on', 'off')
    await webhook.power(at(`http://${host}/`), 'off', { ...options, boot: 'disk' })
    expect(heard.map(({ body }) => (JSON.parse(body) as { boot: unknown }).boot)).toEqual([null, null])
  })

  test('a machine that is as it should be is not switched', async () => {
    const { heard, host } = await told('on')
    expect(await webhook.power(at(`http://${host}/`), 'on', { ...options, boot: 'network' })).toEqual({ state: 'on' })
    expect(heard.map(({ body }) => (JSON.parse(body) as { action: unknown }).action)).toEqual(['status'])
  })

  test('credentials in the address become Basic authorization, and leave the address', async () => {
    const { heard, host } = await told('off')
    const parameters = at(`webhook+http://user:p%40ss@${host}/power`)
    expect(parameters).toEqual({ address: `http://${host}/power`, secret, machine: 'm1', authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}` })
    await webhook.query(parameters, options)
    expect(heard[0]?.headers.authorization).toBe(parameters.authorization)
  })
})

describe('addresses', () => {
  test.each([
    ['webhook+https://host/power/', 'https://host/power'], ['webhook://host/power', 'https://host/power'], ['https://host:443/x', 'https://host/x'],
    ['webhook+http://[2001:db8::1]:8080/x', 'http://[2001:db8::1]:8080/x'], ['host:9000/hooks/a b', 'https://host:9000/hooks/a%20b']
  ])('%s is %s', (given, normal) => { expect(at(given)).toMatchObject({ address: normal }) })
  test.each(['ftp://host/', 'webhook+https://host/?token=1'])('%s is not one', given => { expect(() => at(given)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' })) })
  test('a header cannot be smuggled in', () => { expect(() => at('https://host/', { authorization: 'Bearer x\r\nX-Other: y' })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' })) })
})

describe('what it answers', () => {
  test.each([
    [401, {}, 'POWER_AUTHENTICATION'], [403, { message: 'who?' }, 'POWER_AUTHENTICATION'], [501, {}, 'POWER_UNSUPPORTED'], [404, { message: 'no such machine' }, 'POWER_REFUSED'], [302, {}, 'POWER_REFUSED'],
    [500, {}, 'POWER_FAILED'], [409, {}, 'POWER_FAILED'], [429, {}, 'POWER_FAILED'], [200, {}, 'POWER_FAILED'], [200, { state: 'ON' }, 'POWER_FAILED'], [200, { state: 'error' }, 'POWER_FAILED']
  ])('HTTP %d with %j is %s', (status, body, code) => {
    expect(() => stateIn('on', status, body)).toThrow(expect.objectContaining({ code, message: expect.stringContaining('message' in body ? body.message : '') }))
  })

  test('any answer is a state or an error with a code', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 999 }), fc.dictionary(fc.constantFrom('state', 'message', 'x'), fc.jsonValue()), (status, body) => {
      try { expect(['on', 'off', 'unknown']).toContain(stateIn('off', status, body)) } catch (error) { expect(error).toMatchObject({ code: expect.stringMatching(/^POWER_/) }) }
    }))
  })

  test('one that cannot tell the state has taken the order, and somebody is told to look', async () => {
    const { host } = await told('unknown')
    expect(await webhook.power(at(`http://${host}/`), 'on', { ...options, boot: null })).toEqual({ state: 'unknown', note: expect.stringContaining('look whether') })
    expect(await webhook.query(at(`http://${host}/`), options)).toBe('unknown')
  })

  test('one that knows the state, and for a moment does not, is asked until it does', async () => {
    const { heard, host } = await told('off', 'unknown', 'unknown', 'on')
    expect(await webhook.power(at(`http://${host}/`), 'on', { ...options, pace: { ...quickPace, settle: 10_000 }, boot: null })).toEqual({ state: 'on' })
    expect(heard).toHaveLength(4)
  })

  test('a page instead of JSON is worth another try', async () => {
    const { host } = await endpoint([{ text: '<html>' }])
    const error: unknown = await webhook.query(at(`http://${host}/`), options).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('without a state') })
    expect(isFatal(error)).toBe(false)
  })

  test('over TLS its certificate is pinned like a BMC\'s', async () => {
    const own = selfSigned('127.0.0.1')
    const { heard, host } = await endpoint([{ text: '{"state":"on"}' }], listener => createSecure(own, listener))
    await expect(webhook.query(at(`https://${host}/`), options)).rejects.toMatchObject({ code: 'POWER_REFUSED' })
    expect(heard).toEqual([])
    expect(await webhook.query(at(`https://${host}/`, { tls: `sha256:${own.fingerprint}` }), options)).toBe('on')
  })
})

test('the example of the guide does what the guide says', async () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../../docs/guides/power-webhook.md'), 'utf8')
  const [, example = ''] = /```js\n([^]*?)```/.exec(guide) ?? []
  const port = await freePort()
  const program = spawn(process.execPath, ['--input-type=module', '-e', example], { env: { SECRET: secret, PORT: String(port) }, stdio: 'ignore' })
  closing.push(() => { const ended = onceEvent(program, 'exit'); program.kill(); return ended })
  await until(() => fetch(`http://127.0.0.1:${port}/`), { what: 'the example to answer' })
  const parameters = at(`http://127.0.0.1:${port}/`, { machine: 'rack 3, shelf 2' })
  const power = (action: 'on' | 'off' | 'shutdown', given = parameters, clock = systemClock) => webhook.power(given, action, { ...options, clock, boot: null })
  expect([await webhook.query(parameters, options), await power('on'), await webhook.query(parameters, options), await power('shutdown'), await power('on'), await power('off')]).toEqual(['off', { state: 'on' }, 'on', { state: 'off' }, { state: 'on' }, { state: 'off' }])
  await expect(power('on', { ...parameters, secret: 'another one, as long' })).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION', message: expect.stringContaining('wrong signature') })
  await expect(power('on', { ...parameters, machine: 'm2' })).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('there is no machine m2') })
  await expect(power('on', parameters, { ...systemClock, now: () => Date.now() - 120_000 })).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION', message: expect.stringContaining('clocks') })
  const body = JSON.stringify({ id: 'once', at: new Date().toISOString(), machine: 'rack 3, shelf 2', action: 'status' })
  const send = () => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers: { 'x-bedplate-signature': signature(secret, body) } })
  expect([(await send()).status, (await send()).status], 'the same request again').toEqual([200, 403])
})
