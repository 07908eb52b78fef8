/** BMC addresses, and a machine's parameters checked and split. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { parseAddress } from '../../../plugins/power/address.ts'
import { redact, redacted } from '../../../plugins/power/driver.ts'
import { redfish } from '../../../plugins/power/drivers/redfish.ts'
import { checked, driverFor, split } from '../../../plugins/power/parameters.ts'

test('every way to write an address', () => {
  const table: [string, object][] = [
    ['redfish+https://root:calvin@10.0.0.1/redfish/v1/Systems/1', { url: 'https://10.0.0.1/redfish/v1/Systems/1', user: 'root', password: 'calvin' }],
    ['redfish+http://10.0.0.1:8001', { url: 'http://10.0.0.1:8001' }],
    ['redfish://bmc.example/redfish/v1/', { url: 'https://bmc.example/redfish/v1' }],
    ['https://[2001:db8::1]:8443/', { url: 'https://[2001:db8::1]:8443' }],
    ['10.0.0.1', { url: 'https://10.0.0.1' }],
    ['bmc.example:8443', { url: 'https://bmc.example:8443' }],
    ['https://h:8443/redfish/v1/Systems/a%40b', { url: 'https://h:8443/redfish/v1/Systems/a%40b' }],
    ['https://a:b%40c%2F@h', { url: 'https://h', user: 'a', password: 'b@c/' }]
  ]
  for (const [text, expected] of table) expect(parseAddress(text), text).toEqual(expected)
})

test('what is no address is refused, and a password in it never repeated', () => {
  for (const text of ['', 'https://', 'ipmi://root:hunter2@host', 'ftp://root:hunter2@host', 'https://root:hunter2@host/?x=1', 'https://root:hunter2%zz@host', 'https://root:hunter2@ho st', 'https://root:12/hunter2@host', 'root:/hunter2@host/redfish/v1']) {
    const error: unknown = (() => { try { return parseAddress(text) } catch (reason) { return reason } })()
    expect(error, text).toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
    expect((error as BedplateError).message).not.toContain('hunter2')
  }
})

test('credentials survive being written into an address; hostile text costs one coded error', () => {
  const word = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter(text => text.isWellFormed())
  fc.assert(fc.property(word, word, (user, password) => {
    expect(parseAddress(`redfish+https://${encodeURIComponent(user)}:${encodeURIComponent(password)}@host`)).toEqual({ url: 'https://host', user, password })
  }), { numRuns: 200 })
  fc.assert(fc.property(fc.string(), fc.constantFrom('', 'https://', 'redfish+', 'redfish+http://'), (text, prefix) => {
    try { expect(URL.canParse(parseAddress(prefix + text).url)).toBe(true) } catch (error) { expect(error).toBeInstanceOf(BedplateError) }
  }), { numRuns: 500 })
})

test('an address that was normalised stays as it is', () => {
  fc.assert(fc.property(fc.webUrl({ validSchemes: ['http', 'https'] }), url => {
    const { url: once } = parseAddress(url)
    expect(parseAddress(once).url).toBe(once)
  }), { numRuns: 200 })
})

test('the driver comes from its name or from the address', () => {
  expect(driverFor('manual', {}).name).toBe('manual')
  expect(driverFor(undefined, { address: 'redfish+http://h' }).name).toBe('redfish')
  for (const [name, address] of [[undefined, 'http://h'], [undefined, undefined], ['nonsense', 'x'], [undefined, 'nonsense://h']] as const) expect(() => driverFor(name, { address })).toThrow(BedplateError)
})

test('a secret is split off, wherever it was written', () => {
  expect(split(redfish, checked(redfish, { address: 'redfish+https://root:hunter2@h/redfish/v1/Systems/1' }))).toEqual({ open: { address: 'https://h/redfish/v1/Systems/1', user: 'root' }, secret: { password: 'hunter2' } })
  expect(split(redfish, checked(redfish, { address: 'h', user: 'root', password: 'hunter2' }))).toEqual({ open: { address: 'https://h', user: 'root' }, secret: { password: 'hunter2' } })
})

test('an invalid field is named, its value is not', () => {
  expect(() => checked(redfish, { address: 'h', password: { hunter2: 1 } })).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }))
  expect(() => checked(redfish, { address: 'h', tls: 'maybe' })).toThrow(/tls/)
  expect(() => checked(redfish, {})).toThrow(/address/)
  expect(() => checked(redfish, { address: 'h', speed: 9 })).toThrow(/speed/)
})

test('redaction takes every occurrence, and leaves text alone when a secret is empty', () => {
  expect(redact('a hunter2 b hunter2', ['hunter2', ''])).toBe('a [redacted] b [redacted]')
  const error = redacted(new TypeError('socket to root:hunter2@h'), ['hunter2'])
  expect(error).toMatchObject({ code: 'POWER_FAILED' })
  expect(error.cause).toBe(undefined)
  expect(`${error.message}${JSON.stringify(error.details)}`).not.toContain('hunter2')
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')
test.each([
  ['Basic credentials', `got Basic ${base64('root:hunter2')} from you`, ['hunter2'], 'got Basic [redacted] from you'],
  ['those inside others', `x${base64('root:hunter2')}`, ['hunter2'], '[redacted]'],
  ['those of a password with umlauts', `"${base64('wörker:pässwörd')}"`, ['pässwörd'], '"[redacted]"'],
  ['the token of an Authorization header', 'the token tok-123.abc is unknown', ['Bearer tok-123.abc'], 'the token [redacted] is unknown'],
  ['the whole header', 'Bearer tok-123.abc?', ['Bearer tok-123.abc'], '[redacted]?'],
  ['what is in a Basic header', `no ${base64('me:hunter2')} nor hunter2`, [`Basic ${base64('me:hunter2')}`], 'no [redacted] nor [redacted]'],
  ['nothing else', `/redfish/v1/Systems/1 ${base64('root:another')} 5f0b9c3e-2d1a-4b6c-8e7f-001122334455`, ['hunter2', 'a b'], `/redfish/v1/Systems/1 ${base64('root:another')} 5f0b9c3e-2d1a-4b6c-8e7f-001122334455`]
])('redaction takes %s', (_, text, secrets, clean) => { expect(redact(text, secrets)).toBe(clean) })
